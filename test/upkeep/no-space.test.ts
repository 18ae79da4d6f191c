import { EngineError, prune, repairIndex, withFaults, wrap } from 'restic-engine';
import type { Backend, Id } from 'restic-engine';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { all, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { expectSurvival } from './deaths.ts';
import { checkAll, copyToFolder, forgetDays, makeHistory } from './repository.ts';

// Pruning where the store has no room for anything new.

/** Three of five days are forgotten: there are packs to remove, and packs that another prune would rewrite. */
async function makeFull(): Promise<{ files: StoredFile[]; id: Id }> {
  const store = await storeOf(await makeHistory());
  const repository = await openStore(store);
  await forgetDays(repository, [0, 2, 3]);
  return { files: await filesOf(store), id: repository.config.id };
}

const full = makeFull();

/** A store that takes locks only, until a pack is removed. */
async function openFull(store: Backend): ReturnType<typeof openStore> {
  let hasRoom = false;
  const error = new EngineError('no-space', 'no space left on device');
  const onCall = ({ method, type }: { method: string; type: unknown }): void => {
    if (method === 'remove' && type === 'data') hasRoom = true;
  };
  const refuse = {
    when: ({ method, type }: { method: string; type: unknown }) => method === 'save' && type !== 'lock' && !hasRoom,
    effect: { kind: 'fail-before', error },
  } as const;
  return openStore(wrap(store, withFaults({ faults: [refuse], onCall })));
}

it('removes packs before anything is written', async () => {
  const { files, id } = await full;
  const store = await storeOf(files);
  const expected = await readEverything(store);
  await expect(prune(await openFull(store), { maxUnused: 0 })).rejects.toThrow('no space left');
  expect(await readEverything(store)).toBe(expected);
  const packs = (await all(store.list('data'))).length;
  const { plan, problems } = await prune(await openFull(store), { maxUnused: 0, unsafeRecoverNoFreeSpace: id });
  expect([plan.repack.size, problems.length]).toEqual([0, 0]);
  expect(await all(store.list('data'))).toHaveLength(packs - plan.remove.size);
  expect(plan.remove.size).toBeGreaterThan(0);
  expect(await readEverything(store)).toBe(expected);
  expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
});

it('asks for the id of the repository, also for a dry run, and changes nothing otherwise', async () => {
  const { files, id } = await full;
  const store = await storeOf(files);
  for (const dryRun of [true, false]) {
    const pruning = prune(await openStore(store), { unsafeRecoverNoFreeSpace: 'a'.repeat(64), dryRun });
    await expect(pruning).rejects.toMatchObject({ code: 'bad-request', message: expect.stringContaining(id) });
  }
  expect(await filesOf(store)).toEqual(files);
});

it('writes the index in spite of being told to end', async () => {
  const { files, id } = await full;
  const store = await storeOf(files);
  const expected = await readEverything(store);
  const stop = new AbortController();
  const onProgress = ({ phase }: { phase: string }): void => {
    if (phase === 'remove-index') stop.abort();
  };
  const pruning = prune(await openStore(store), { unsafeRecoverNoFreeSpace: id, signal: stop.signal, onProgress });
  await expect(pruning).rejects.toMatchObject({ code: 'aborted' });
  expect(await readEverything(store)).toBe(expected);
  expect((await checkAll(store)).errors).toEqual([]);
});

it('has lost nothing that a repair of the index does not bring back when it dies at any call', async () => {
  const { files, id } = await full;
  const expected = await readEverything(await storeOf(files));
  await expectSurvival(
    files,
    (repository) => prune(repository, { unsafeRecoverNoFreeSpace: id }),
    async (store) => {
      await repairIndex(await openStore(store));
      expect(await readEverything(store)).toBe(expected);
      expect((await checkAll(store)).errors).toEqual([]);
    },
  );
}, 60_000);

await describeWithPeer('restic', 'pruning without free space', (peer) => {
  it('removes what restic removes', async () => {
    using folder = makeTempDir();
    const { files, id } = await full;
    const [ours, theirs] = [join(folder.path, 'ours'), join(folder.path, 'theirs')];
    for (const path of [ours, theirs]) await copyToFolder(files, path);
    const refused = await resticAt(peer, { repo: theirs }).run(['prune', '--unsafe-recover-no-free-space', 'x']);
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining(`must pass id '${id}'`) });
    await resticAt(peer, { repo: theirs }).ok([
      'prune',
      '--max-unused',
      '0',
      '--max-repack-size',
      '1G',
      '--unsafe-recover-no-free-space',
      id,
    ]);
    await using repository = await openAt(ours);
    await prune(repository, { maxUnused: 0, maxRepackSize: 2 ** 30, unsafeRecoverNoFreeSpace: id });
    const packsAt = async (path: string): Promise<string[]> => {
      await using opened = await openAt(path);
      return (await all(opened.list('data'))).map(({ name }) => name).toSorted();
    };
    expect(await packsAt(ours)).toEqual(await packsAt(theirs));
    expect(await resticAt(peer, { repo: ours }).ok(['check', '--read-data'])).toContain('no errors were found');
  });
});
