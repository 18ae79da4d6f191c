import {
  EngineError,
  listSnapshots,
  memoryBackend,
  migrate,
  recover,
  removeStaleLocks,
  repairPacks,
  repairSnapshots,
  withFaults,
  wrap,
} from 'restic-engine';
import type { Backend, Repository } from 'restic-engine';
import { expect, it } from 'vitest';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { atEveryCall, expectSurvival } from './deaths.ts';
import { checkAll, makeHistory, packsByType } from './repository.ts';

// Repairs may die between any two things they do. What could be read can be read at every moment, and the next run
// finishes the work.

/** A small history in which a pack of data has a damaged blob. */
async function makeDamaged(): Promise<{ files: StoredFile[]; pack: string; sound: string[] }> {
  const store = await storeOf(await makeHistory());
  const pack = (await packsByType(store)).data[0]!;
  const bytes = await store.load({ type: 'data', name: pack });
  bytes[30]! ^= 1;
  await store.save({ type: 'data', name: pack }, [bytes]);
  return { files: await filesOf(store), pack, sound: await soundBlobs(store) };
}

/** Every blob that can be read, as text. */
async function soundBlobs(store: Backend): Promise<string[]> {
  const indexed = await (await openStore(store)).loadIndex();
  const found = new Set<string>();
  for (const { type, id } of indexed.table.entries()) {
    const name = `${type} ${id}`;
    if (found.has(name)) continue;
    try {
      await indexed.loadBlob(type, id);
      found.add(name);
    } catch (error) {
      if (!EngineError.is(error)) throw error;
    }
  }
  return [...found].toSorted();
}

it('a repair of packs that dies at any call loses nothing that was sound, and the next one finishes', async () => {
  const { files, pack, sound } = await makeDamaged();
  const kept = new Map<string, Uint8Array>();
  const keepCopy = async (id: string, bytes: Uint8Array): Promise<void> => void kept.set(id, bytes.slice());
  const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
    repairPacks(repository, [pack], { keepCopy, signal });
  await expectSurvival(
    files,
    work,
    async (store) => {
      expect(await soundBlobs(store)).toEqual(sound);
      await work(await openStore(store)).catch((error: unknown) => {
        // The other run had come to its end.
        if (!EngineError.is(error, 'not-found')) throw error;
      });
      expect(await soundBlobs(store)).toEqual(sound);
      const names = (await all(store.list('data'))).map(({ name }) => name);
      expect(names).not.toContain(pack);
      expect((await checkAll(store)).errors.map(({ kind }) => kind)).not.toContain('pack-damaged');
    },
    { errors: true },
  );
  expect(kept.get(pack)).toEqual(files.find(({ name }) => name === pack)!.bytes);
}, 120_000);

/** What is left when packs have been repaired: snapshots of which something is missing. */
async function makeIncomplete(): Promise<StoredFile[]> {
  const { files, pack } = await makeDamaged();
  const store = await storeOf(files);
  await repairPacks(await openStore(store), [pack], { keepCopy: async () => undefined });
  return filesOf(store);
}

it.each([false, true])(
  'a repair of snapshots (forget: %s) that dies at any call leaves each of them or its repair',
  async (forget) => {
    const files = await makeIncomplete();
    const done = await storeOf(files);
    const { snapshots } = await repairSnapshots(await openStore(done), { forget });
    const states = snapshots.map(({ state }) => state);
    expect(states).toContain('repaired');
    const trees = async (store: Backend): Promise<string[]> =>
      (await all(listSnapshots(await openStore(store)))).map(({ tree }) => tree).toSorted();
    const expected = await trees(done);
    const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
      repairSnapshots(repository, { forget, signal });
    await expectSurvival(
      files,
      work,
      async (store) => {
        const left = new Set(
          await all(listSnapshots(await openStore(store))).then((list) =>
            list.flatMap(({ id, original = '' }) => [id, original]),
          ),
        );
        for (const { snapshot } of snapshots) expect(left).toContain(snapshot.id);
        await work(await openStore(store));
        expect(await trees(store)).toEqual(expected);
        if (forget) expect((await checkAll(store)).errors).toEqual([]);
      },
      { errors: forget },
    );
  },
  120_000,
);

it('a recovery that dies at any call leaves every snapshot whole, and the next one finds what is lost', async () => {
  const store = await storeOf(await makeHistory());
  const repository = await openStore(store);
  const gone = (await all(listSnapshots(repository))).slice(0, 2);
  for (const { id } of gone) await repository.removeFile('snapshot', id);
  const files = await filesOf(store);
  const before = (await all(listSnapshots(repository))).map(({ id }) => id).toSorted();
  const work = (each: Repository, signal?: AbortSignal): Promise<unknown> => recover(each, { signal });
  await expectSurvival(
    files,
    work,
    async (left) => {
      await work(await openStore(left));
      const again = await openStore(left);
      const found = await all(listSnapshots(again));
      const recovered = found.filter(({ tags }) => tags?.includes('recovered'));
      expect(recovered).toHaveLength(1);
      const indexed = await again.loadIndex();
      const roots = (await indexed.loadTree(recovered[0]!.tree)).map(({ subtree = '' }) => subtree);
      expect(roots.toSorted()).toEqual(gone.map(({ tree }) => tree).toSorted());
      expect(
        found
          .map(({ id }) => id)
          .filter((id) => id !== recovered[0]!.id)
          .toSorted(),
      ).toEqual(before);
      expect((await checkAll(left)).errors).toEqual([]);
    },
    { errors: true },
  );
}, 120_000);

it('an upgrade that dies at any call leaves a repository that can be opened, and the next one finishes', async () => {
  const files = await makeHistory(1);
  const expected = snapshotsIn(await readEverything(await storeOf(files)));
  const work = (repository: Repository, signal?: AbortSignal): Promise<unknown> =>
    migrate(repository, 'upgrade_repo_v2', { keepConfig: async () => undefined, signal });
  await expectSurvival(
    files,
    work,
    async (store) => {
      expect(snapshotsIn(await readEverything(store))).toBe(expected);
      const repository = await openStore(store);
      if (repository.config.version === 1) await work(repository);
      expect((await openStore(store)).config).toEqual({ ...repository.config, version: 2 });
      expect(snapshotsIn(await readEverything(store))).toBe(expected);
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    },
    { errors: true },
  );
}, 120_000);

/** All but the first line, which has the config. */
function snapshotsIn(everything: string): string {
  return everything.slice(everything.indexOf('\n'));
}

it('an upgrade of a store that cannot replace files needs the copy of the config at worst', async () => {
  const files = await makeHistory(1);
  const original = files.find(({ type }) => type === 'config')?.bytes;
  const CONFIG = { type: 'config', name: '' } as const;
  let withoutConfig = 0;
  await atEveryCall({
    setUp: async () => {
      const store = memoryBackend({ atomicReplace: false });
      for (const { type, name, bytes } of files) await store.save({ type, name }, [bytes]);
      return { store, kept: [] as Uint8Array[] };
    },
    work: async ({ store, kept }, faults) => {
      const keepConfig = async (bytes: Uint8Array): Promise<void> => void kept.push(bytes.slice());
      await migrate(await openStore(wrap(store, faults)), 'upgrade_repo_v2', { keepConfig });
    },
    judge: async ({ store, kept }) => {
      const isThere = (await filesOf(store)).some(({ type }) => type === 'config');
      if (!isThere) {
        withoutConfig += 1;
        expect(kept).toEqual([original]);
        await store.save(CONFIG, [kept[0]!]);
      }
      await removeStaleLocks(await openStore(store), { all: true });
      const { config } = await openStore(store);
      const keepConfig = async (): Promise<void> => undefined;
      if (config.version === 1) await migrate(await openStore(store), 'upgrade_repo_v2', { keepConfig });
      expect((await openStore(store)).config).toEqual({ ...config, version: 2 });
      expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    },
  });
  // After the old one was removed, and before the new one was there.
  expect(withoutConfig).toBe(2);
}, 120_000);

it.each([true, false])(
  'an upgrade that fails puts the old config back (replaced in one step: %s)',
  async (atomicReplace) => {
    const files = await makeHistory(1);
    const store = memoryBackend({ atomicReplace });
    for (const { type, name, bytes } of files) await store.save({ type, name }, [bytes]);
    const isConfig = ({ method, type }: { method: string; type: unknown }): boolean =>
      method === 'save' && type === 'config';
    for (const kind of ['fail-before', 'fail-after'] as const) {
      const faults = withFaults({ faults: [{ when: isConfig, nth: 1, effect: { kind } }] });
      const keepConfig = async (): Promise<void> => undefined;
      const upgrading = migrate(await openStore(wrap(store, faults)), 'upgrade_repo_v2', { keepConfig });
      await expect(upgrading).rejects.toMatchObject({ code: 'io' });
      expect(await filesOf(store)).toEqual(files);
    }
  },
);

it('an upgrade is refused where there is damage, or nothing to do', async () => {
  const store = await storeOf(await makeHistory(1));
  const keepConfig = async (): Promise<void> => undefined;
  const upgrade = async (force = false): Promise<unknown> =>
    migrate(await openStore(store), 'upgrade_repo_v2', { keepConfig, force });
  const pack = { type: 'data', name: (await packsByType(store)).data[0]! } as const;
  const bytes = await store.load(pack);
  await store.remove(pack);
  await expect(upgrade(true)).rejects.toMatchObject({ code: 'corrupt' });
  await store.save(pack, [bytes]);
  await upgrade();
  await expect(upgrade()).rejects.toMatchObject({ code: 'bad-request' });
  await expect(upgrade(true)).rejects.toMatchObject({ code: 'bad-request' });
});
