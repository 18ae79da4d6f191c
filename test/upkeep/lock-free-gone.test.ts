import { prune, repairPacks } from 'restic-engine';
import type { Backend, PruneResult } from 'restic-engine';
import { encodeIndex, encodeMarks } from '@restic-engine/repo-format';
import { expect, it } from 'vitest';
import { openStore, readEverything, storeOf } from '../support/damage.ts';
import { checkAll, forgetDays, makeHistory, packsByType } from './repository.ts';
import { LOCK_FREE, makeWaiting, packsNamed } from './waiting.ts';

// Packs that index files name, or mark, and that are not there.

async function pruneOf(store: Backend, options: object): Promise<PruneResult> {
  return prune(await openStore(store), options);
}

/** A store with garbage. Of something that is needed the index has a second copy, in a pack that is not there. */
async function makeDangling(): Promise<{ store: Backend; expected: string }> {
  const store = await storeOf(await makeHistory());
  const repository = await openStore(store);
  await forgetDays(repository, [0, 2, 3]);
  const expected = await readEverything(store);
  const { plan } = await pruneOf(store, { ...LOCK_FREE, dryRun: true });
  const { table } = await repository.loadIndex();
  const [partly] = table.byPack((pack) => plan.repack.has(pack));
  const junk = { id: 'cd'.repeat(32), offset: 1 << 20, length: 1 << 20, uncompressedLength: 2 << 20 };
  const blobs = partly!.blobs.map((blob) => [blob, { ...blob, ...junk }]);
  // Which of them is needed is not known here: one copy each, in as many packs that are not there.
  const packs = blobs.map((some, at) => ({ id: `${at}`.padStart(64, 'ab'), blobs: some }));
  await repository.saveFile('index', encodeIndex(packs));
  return { store, expected };
}

it('are no copies of what a lock-free prune takes elsewhere', async () => {
  const { store, expected } = await makeDangling();
  expect(await readEverything(store)).toBe(expected);
  await pruneOf(store, LOCK_FREE);
  expect(await readEverything(store)).toBe(expected);
  await pruneOf(store, LOCK_FREE);
  expect(await readEverything(store)).toBe(expected);
  expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
});

/** Packs wait, but another program has removed them. */
async function makeRemoved(): Promise<Backend> {
  const { files } = await makeWaiting();
  const store = await storeOf(files);
  const { lockFree } = await pruneOf(store, { ...LOCK_FREE, keepDeleteMs: 3_600_000 });
  expect(lockFree!.waiting).toBeGreaterThan(0);
  const { named, marked } = await packsNamed(await openStore(store));
  const removed = [...marked].filter((pack) => !named.has(pack));
  expect(removed.length).toBeGreaterThan(0);
  for (const name of removed) await store.remove({ type: 'data', name });
  return store;
}

it('are not named again by a repair of packs', async () => {
  const store = await makeRemoved();
  const expected = await readEverything(store);
  const [pack] = (await packsByType(store)).data;
  await repairPacks(await openStore(store), [pack!], { keepCopy: async () => undefined });
  expect((await checkAll(store)).errors).toEqual([]);
  expect(await readEverything(store)).toBe(expected);
});

it('are no copies that a classic prune could count on', async () => {
  const store = await storeOf(await makeHistory());
  const repository = await openStore(store);
  await forgetDays(repository, [0, 2, 3]);
  const expected = await readEverything(store);
  const { table } = await repository.loadIndex();
  // Each looks better than the pack that has the blob indeed: it is larger, and all of it is needed.
  const packs = [...table.byPack()]
    .flatMap(({ blobs }) => blobs)
    .map((blob, at) => {
      const length = blob.length + (1 << 20);
      return { id: `${at}`.padStart(64, 'ab'), blobs: [{ ...blob, length }] };
    });
  const record = { time: '2024-01-01T00:00:00Z', holders: [], unsettled: [] };
  await repository.saveFile('index', encodeMarks({ packs, record }));
  await pruneOf(store, { maxUnused: 0 });
  expect(await readEverything(store)).toBe(expected);
  expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
});
