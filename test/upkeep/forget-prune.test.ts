import { forget, listSnapshots, prune, withFaults, wrap } from 'restic-engine';
import type { Backend, ForgetOptions, ForgetResult } from 'restic-engine';
import type { Fault } from '@restic-engine/backends';
import { expect, it } from 'vitest';
import { openStore, readEverything, storeOf } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { expectSurvival } from './deaths.ts';
import { checkAll, forgetDays, makeHistory } from './repository.ts';

// Forgetting and pruning under one lock.

const history = makeHistory();
const LAST: ForgetOptions = { policy: { last: 1 }, prune: { maxUnused: 0 } };

/** Forgets, and resolves with what was stored and removed, in order, by type. */
async function forgetLogged(
  store: Backend,
  options: ForgetOptions,
  faults: readonly Fault[] = [],
): Promise<{ result: ForgetResult; log: string[] }> {
  const log: string[] = [];
  const watch = withFaults({
    faults,
    onCall: ({ method, type }) => {
      const line = `${method} ${type}`;
      if ((method === 'save' || method === 'remove') && log.at(-1) !== line) log.push(line);
    },
  });
  const result = await forget(await openStore(wrap(store, watch)), options);
  return { result, log };
}

it('removes snapshots and what only they needed under a single lock', async () => {
  const store = await storeOf(await history);
  const told: ForgetResult[] = [];
  const onForgotten = (result: ForgetResult): void => void told.push(result);
  const { result, log } = await forgetLogged(store, { ...LAST, onForgotten });
  expect(result.removed).toHaveLength(4);
  expect(result.pruned?.stats.bytes).toMatchObject({ remainingUnused: 0 });
  expect(result.pruned?.stats.packs.removeTotal).toBeGreaterThan(0);
  expect(told).toEqual([{ ...result, pruned: undefined }]);
  expect([log[0], log[1], log.at(-2), log.at(-1)]).toEqual([
    'save lock',
    'remove snapshot',
    'remove data',
    'remove lock',
  ]);
  expect(log.filter((line) => line.endsWith('lock'))).toHaveLength(2);
  expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
});

it('leaves what it leaves when the days are forgotten first and pruned then', async () => {
  const store = await storeOf(await history);
  await forget(await openStore(store), LAST);
  const other = await storeOf(await history);
  await forgetDays(await openStore(other), [0, 1, 2, 3]);
  expect(await readEverything(store)).toBe(await readEverything(other));
});

it('plans a dry run as if the snapshots were gone', async () => {
  const store = await storeOf(await history);
  const { result, log } = await forgetLogged(store, { ...LAST, dryRun: true, lock: false });
  expect(log).toEqual([]);
  expect(result.pruned?.plan.remove.size).toBeGreaterThan(0);
  const done = await forgetLogged(store, LAST);
  expect(done.result.pruned?.stats).toEqual(result.pruned?.stats);
});

it('does not prune when nothing was removed, or not all that should be', async () => {
  const store = await storeOf(await history);
  const none = await forgetLogged(store, { policy: { last: 9 }, prune: {} });
  expect(none).toMatchObject({ result: { removed: [] }, log: ['save lock', 'remove lock'] });
  expect(none.result.pruned).toBeUndefined();
  const stuck: Fault = {
    when: ({ method, type }) => method === 'remove' && type === 'snapshot',
    nth: 2,
    effect: { kind: 'fail-before' },
  };
  const some = await forgetLogged(store, LAST, [stuck]);
  expect(some.result.failed).toHaveLength(1);
  expect(some.result.pruned).toBeUndefined();
  expect(some.log).not.toContain('remove data');
});

it('refuses what cannot be pruned before a snapshot is removed', async () => {
  const store = await storeOf(await history);
  const options = { ...LAST, prune: { maxUnused: '100%' } } as const;
  await expect(forgetLogged(store, options)).rejects.toMatchObject({ code: 'bad-request' });
  expect(await all(listSnapshots(await openStore(store)))).toHaveLength(5);
});

it('has removed nothing but what it was to remove when it dies at any call', async () => {
  const files = await history;
  const options: ForgetOptions = { policy: { last: 2 }, prune: { maxUnused: 0 } };
  const done = await storeOf(files);
  await forget(await openStore(done), options);
  const expected = await readEverything(done);
  const kept = (await all(done.list('snapshot'))).map(({ name }) => name);
  await expectSurvival(
    files,
    (repository, signal) => forget(repository, { ...options, signal }),
    async (store) => {
      expect((await checkAll(store)).errors).toEqual([]);
      expect((await all(store.list('snapshot'))).map(({ name }) => name)).toEqual(expect.arrayContaining(kept));
      await forget(await openStore(store), options);
      await prune(await openStore(store), { maxUnused: 0 });
      expect(await readEverything(store)).toBe(expected);
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    },
  );
}, 60_000);
