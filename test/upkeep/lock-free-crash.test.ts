import { backup, listSnapshots, objects, prune } from 'restic-engine';
import type { Backend } from 'restic-engine';
import { encodeMarks } from '@restic-engine/repo-format';
import { expect, it } from 'vitest';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { all } from '../support/repository.ts';
import { expectSurvival } from './deaths.ts';
import { checkAll, forgetDays, makeHistory } from './repository.ts';

// A lock-free prune may die between any two things it does, in either phase.

const LOCK_FREE = { lockFree: true, keepDeleteMs: 0, maxUnused: 0 } as const;

/** The files of a store that holds `files` and has gone through `work`. */
async function after(files: readonly StoredFile[], work: (store: Backend) => Promise<unknown>): Promise<StoredFile[]> {
  const store = await storeOf(files);
  await work(store);
  return filesOf(store);
}

interface Waiting {
  /** A run on these deletes, returns, confirms and marks. */
  readonly files: readonly StoredFile[];
  /** The same snapshots, where no prune has ever been. */
  readonly untouched: readonly StoredFile[];
  /** A snapshot that needs what is only marked. */
  readonly late: StoredFile;
}

/** Days 0 and 2 are forgotten and marked; 3 was, too, but is back; 1 and 7 are forgotten since; packs were left behind. */
async function makeWaiting(): Promise<Waiting> {
  const whole = await after(await makeHistory(), async (store) => {
    const repository = await openStore(store);
    const random = randomFrom(4);
    const [p, q] = [random.bytes(9000), random.bytes(9000)].map((content, i) => ({ path: `${i}`, content }));
    await backup(repository, { source: objects([p!, q!]), tags: ['7'] });
    await backup(repository, { source: objects([p!]), tags: ['8'] });
  });
  const [third] = (await all(listSnapshots(await openStore(await storeOf(whole))))).filter(
    ({ tags }) => tags?.[0] === '3',
  );
  const late = whole.find(({ name }) => name === third!.id)!;
  const untouched = await after(whole, async (store) => forgetDays(await openStore(store), [0, 1, 2, 7]));
  const files = await after(whole, async (store) => {
    const repository = await openStore(store);
    await forgetDays(repository, [0, 2, 3]);
    await prune(repository, LOCK_FREE);
    await store.save({ type: 'snapshot', name: late.name }, [late.bytes]);
    await forgetDays(repository, [1, 7]);
    await store.save({ type: 'data', name: 'ab'.repeat(32) }, [new Uint8Array(500)]);
    await store.save({ type: 'data', name: 'cd'.repeat(32) }, [new Uint8Array(500)]);
    const packs = [{ id: 'cd'.repeat(32), time: '2024-01-01T00:00:00Z', blobs: [] }];
    await repository.saveFile('index', encodeMarks({ packs }));
  });
  return { files, untouched, late };
}

it('loses nothing when it dies at any call, and the next ones finish', async () => {
  const { files, untouched, late } = await makeWaiting();
  const without = ({ name }: StoredFile): boolean => name !== late.name;
  const expected = await readEverything(await storeOf(untouched));
  const expectedNow = await readEverything(await storeOf(untouched.filter(without)));
  const trial = await prune(await openStore(await storeOf(files)), LOCK_FREE);
  expect(trial.plan.repack.size).toBeGreaterThan(0);
  expect(trial.plan.unreferenced.size).toBe(1);
  for (const number of ['marked', 'deleted', 'returned'] as const) expect(trial.lockFree![number]).toBeGreaterThan(0);
  await expectSurvival(
    files,
    (repository) => prune(repository, LOCK_FREE),
    async (store) => {
      // Everything but what waits for its return can be read at once.
      expect(await readEverything(await storeOf((await filesOf(store)).filter(without)))).toBe(expectedNow);
      await prune(await openStore(store), LOCK_FREE);
      expect(await readEverything(store)).toBe(expected);
      expect((await checkAll(store)).errors).toEqual([]);
      await prune(await openStore(store), LOCK_FREE);
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
      expect(await readEverything(store)).toBe(expected);
      const { stats } = await prune(await openStore(store), { dryRun: true, lock: false, maxUnused: 0 });
      expect(stats.bytes).toMatchObject({ unused: 0, duplicate: 0, unreferenced: 0 });
    },
  );
}, 120_000);
