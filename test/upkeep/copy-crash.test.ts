import { copy, initRepository, listSnapshots, memoryBackend, removeStaleLocks, rewrite, wrap } from 'restic-engine';
import type { Backend, Repository, SnapshotEntry } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { CHEAPEST, filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { atEveryCall, expectSurvival } from './deaths.ts';
import { checkAll, makeHistory } from './repository.ts';

// Copies and new snapshots are there only when all that is in them is; what is removed has been replaced before; the
// next run does what is left, and nothing twice.

async function snapshotsIn(store: Backend): Promise<SnapshotEntry[]> {
  const found = await all(listSnapshots(await openStore(store)));
  return found.toSorted((a, b) => (a.time < b.time ? -1 : 1));
}

async function unlock(store: Backend): Promise<void> {
  await removeStaleLocks(await openStore(store), { all: true });
}

async function emptyOf(version: 1 | 2): Promise<StoredFile[]> {
  const store = memoryBackend();
  await initRepository({ backend: store, password: PASSWORD, kdf: CHEAPEST, version });
  return filesOf(store);
}

describe.each([
  [1, 2, 'target'],
  [2, 1, 'source'],
] as const)('a copy from version %i to version %i that dies at any call of the %s', (from, to, mortal) => {
  it('leaves whole snapshots only, and the next one copies the others', async () => {
    const files = await makeHistory(from);
    const empty = await emptyOf(to);
    const before = await readEverything(await storeOf(files));
    const originals = await snapshotsIn(await storeOf(files));
    await atEveryCall({
      setUp: async () => ({ source: await storeOf(files), target: await storeOf(empty) }),
      backends: ({ source, target }) => [source, target],
      work: async ({ source, target }, faults, signal) => {
        const [one, other] = mortal === 'source' ? [wrap(source, faults), target] : [source, wrap(target, faults)];
        const open = (store: Backend): Promise<Repository> => openStore(store, PASSWORD, signal);
        await copy(await open(one), await open(other), { signal });
      },
      judge: async ({ source, target }, hasDied) => {
        await unlock(source);
        await unlock(target);
        expect(await readEverything(source)).toBe(before);
        const saved = await snapshotsIn(target);
        expect((await checkAll(target)).errors).toEqual([]);
        const { copied, skipped } = await copy(await openStore(source), await openStore(target));
        expect(skipped.map((pair) => pair.target).toSorted()).toEqual(saved.map(({ id }) => id).toSorted());
        expect(copied.length + skipped.length).toBe(originals.length);
        if (!hasDied) expect(copied).toEqual([]);
        const copies = await snapshotsIn(target);
        expect(copies.map(({ original, tree }) => [original, tree])).toEqual(
          originals.map(({ id, tree }) => [id, tree]),
        );
        expect((await checkAll(target)).errors).toEqual([]);
        await readEverything(target);
      },
    });
  }, 120_000);
});

describe('a rewriting that dies at any call', () => {
  it.each([false, true])(
    'loses no snapshot and makes none twice, forgetting: %s',
    async (forget) => {
      const files = await makeHistory();
      const originals = await snapshotsIn(await storeOf(files));
      const work = { exclude: ['today'], newHost: 'other', forget };
      const undisturbed = await storeOf(files);
      await rewrite(await openStore(undisturbed), work);
      const wanted = await factsOf(undisturbed);
      expect(wanted).toHaveLength(forget ? originals.length : 2 * originals.length);
      await expectSurvival(
        files,
        (repository, signal) => rewrite(repository, { ...work, signal }),
        async (store) => {
          expect((await checkAll(store)).errors).toEqual([]);
          const left = await snapshotsIn(store);
          for (const { id } of originals) {
            expect(left.some((snapshot) => snapshot.id === id || (forget && snapshot.original === id))).toBe(true);
          }
          const { failed } = await rewrite(await openStore(store), work);
          expect(failed).toEqual([]);
          expect(await factsOf(store)).toEqual(wanted);
          expect((await checkAll(store)).errors).toEqual([]);
          await readEverything(store);
        },
        { errors: forget },
      );
    },
    120_000,
  );
});

async function factsOf(store: Backend): Promise<string[]> {
  const snapshots = await snapshotsIn(store);
  return snapshots.map(({ time, tree, hostname, original }) => [time, tree, hostname, original].join(' ')).toSorted();
}
