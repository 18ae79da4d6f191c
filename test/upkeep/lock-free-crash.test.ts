import { prune } from 'restic-engine';
import { expect, it } from 'vitest';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { expectSurvival } from './deaths.ts';
import { checkAll } from './repository.ts';
import { LOCK_FREE, makeWaiting, packsNamed } from './waiting.ts';

// A lock-free prune may die between any two things it does, in either phase.

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
      // Whatever a file names is there.
      const { named, marked } = await packsNamed(await openStore(store));
      const stored = (await all(store.list('data'))).map(({ name }) => name);
      expect(stored).toEqual(expect.arrayContaining([...named, ...marked]));
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
