import {
  EngineError,
  listSnapshots,
  memoryBackend,
  migrate,
  openRepository,
  recover,
  repairPacks,
  repairSnapshots,
} from 'restic-engine';
import type { Backend, Repository } from 'restic-engine';
import { expect, it } from 'vitest';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { expectSurvival } from './deaths.ts';
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
  const work = (repository: Repository): Promise<unknown> => repairPacks(repository, [pack], { keepCopy });
  await expectSurvival(files, work, async (store) => {
    expect(await soundBlobs(store)).toEqual(sound);
    await work(await openStore(store)).catch((error: unknown) => {
      // The other run had come to its end.
      if (!EngineError.is(error, 'not-found')) throw error;
    });
    expect(await soundBlobs(store)).toEqual(sound);
    const names = (await all(store.list('data'))).map(({ name }) => name);
    expect(names).not.toContain(pack);
    expect((await checkAll(store)).errors.map(({ kind }) => kind)).not.toContain('pack-damaged');
  });
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
    const work = (repository: Repository): Promise<unknown> => repairSnapshots(repository, { forget });
    await expectSurvival(files, work, async (store) => {
      const left = new Set(
        await all(listSnapshots(await openStore(store))).then((list) =>
          list.flatMap(({ id, original = '' }) => [id, original]),
        ),
      );
      for (const { snapshot } of snapshots) expect(left).toContain(snapshot.id);
      await work(await openStore(store));
      expect(await trees(store)).toEqual(expected);
      if (forget) expect((await checkAll(store)).errors).toEqual([]);
    });
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
  const work = (each: Repository): Promise<unknown> => recover(each);
  await expectSurvival(files, work, async (left) => {
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
  });
}, 120_000);

it('an upgrade that dies at any call leaves a repository that can be opened, and the next one finishes', async () => {
  const files = await makeHistory(1);
  const expected = snapshotsIn(await readEverything(await storeOf(files)));
  const work = (repository: Repository): Promise<unknown> =>
    migrate(repository, 'upgrade_repo_v2', { keepConfig: async () => undefined });
  await expectSurvival(files, work, async (store) => {
    expect(snapshotsIn(await readEverything(store))).toBe(expected);
    const repository = await openStore(store);
    if (repository.config.version === 1) await work(repository);
    expect((await openStore(store)).config).toEqual({ ...repository.config, version: 2 });
    expect(snapshotsIn(await readEverything(store))).toBe(expected);
    expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
  });
}, 120_000);

/** All but the first line, which has the config. */
function snapshotsIn(everything: string): string {
  return everything.slice(everything.indexOf('\n'));
}

it('an upgrade of a store that cannot replace files needs its copy at worst', async () => {
  const files = await makeHistory(1);
  const config = files.find(({ type }) => type === 'config')!;
  let kept: Uint8Array | undefined;
  const keepConfig = async (bytes: Uint8Array): Promise<void> => void (kept = bytes.slice());
  const place = async (): Promise<Backend> => {
    const store = memoryBackend({ atomicReplace: false });
    for (const { type, name, bytes } of files) await store.save({ type, name }, [bytes]);
    return store;
  };
  // Replaying all of the deaths on such a store: `storeOf` makes stores that can replace.
  const store = await place();
  let saves = 0;
  const failing: Backend = new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (key === 'save') {
        return async (...args: Parameters<Backend['save']>): Promise<void> => {
          if (args[0].type === 'config' && saves++ === 0) throw new EngineError('io', 'the line broke');
          return target.save(...args);
        };
      }
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const repository = await openRepository({ backend: failing, password: PASSWORD, workers: 0 });
  await expect(migrate(repository, 'upgrade_repo_v2', { keepConfig })).rejects.toMatchObject({ code: 'io' });
  expect(kept).toEqual(config.bytes);
  expect(await store.load({ type: 'config', name: '' })).toEqual(config.bytes);
  await migrate(await openStore(store), 'upgrade_repo_v2', { keepConfig });
  expect((await openStore(store)).config.version).toBe(2);
  await expect(migrate(await openStore(store), 'upgrade_repo_v2', { keepConfig })).rejects.toMatchObject({
    code: 'bad-request',
  });
});
