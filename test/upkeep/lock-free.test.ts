import { backup, objects, prune } from 'restic-engine';
import type { Backend, PruneResult } from 'restic-engine';
import { expect, it } from 'vitest';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { checkAll, forgetDays, makeHistory } from './repository.ts';

// Pruning beside others: marks first, deletes in a later run.

const lockFree = { lockFree: true, keepDeleteMs: 0, maxUnused: 0 } as const;

async function pruneAt(store: Backend, options: Parameters<typeof prune>[1] = lockFree): Promise<PruneResult> {
  return prune(await openStore(store), options);
}

async function packsOf(store: Backend): Promise<Set<string>> {
  return new Set((await all(store.list('data'))).map(({ name }) => name));
}

it('marks in one run and deletes in the next', async () => {
  const store = await storeOf(await makeHistory());
  await forgetDays(await openStore(store), [0, 2, 3]);
  const expected = await readEverything(store);
  const before = await packsOf(store);
  const first = await pruneAt(store);
  expect(first).toMatchObject({ problems: [], lockFree: { deleted: 0, returned: 0, postponed: 0 } });
  expect(first.lockFree!.marked).toBe(first.plan.remove.size + first.plan.repack.size);
  expect(first.lockFree!.waiting).toBe(first.lockFree!.marked);
  expect([first.plan.remove.size, first.plan.repack.size].every((size) => size > 0)).toBe(true);
  expect(await readEverything(store)).toBe(expected);
  const second = await pruneAt(store);
  expect(second.lockFree).toMatchObject({ marked: 0, deleted: first.lockFree!.marked, waiting: 0 });
  expect(await readEverything(store)).toBe(expected);
  expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
});
