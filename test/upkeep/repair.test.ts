import { cpSync } from 'node:fs';
import { join } from 'node:path';
import {
  listSnapshots,
  localBackend,
  recover,
  repairIndex,
  repairPacks,
  repairSnapshots,
  withFaults,
  wrap,
} from 'restic-engine';
import type { Backend } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import type { Peer } from '../peers/peers.ts';
import { filesOf, openStore, saveSnapshot, saveTree, storeOf } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { all } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import type { Restic } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { contentsOf } from './contents.ts';
import { damageOf, DAMAGES } from './damages.ts';
import { checkAll, copyToFolder, makeHistory, packsByType } from './repository.ts';
import { repairAll } from './repairs.ts';
import type { KeptPacks } from './repairs.ts';

// After the repairs that check suggests, a damaged repository is sound, and all that can be saved is there.

const history = makeHistory();

const pristine = history.then(async (files) => contentsOf(await storeOf(files)));

/** Another store with the same files and an index that can be read. */
async function withIndex(store: Backend): Promise<Backend> {
  const copy = await storeOf(await filesOf(store));
  const { errors } = await checkAll(copy);
  if (errors.some(({ kind }) => kind === 'index-broken')) await repairIndex(await openStore(copy));
  return copy;
}

/** Is it among what nobody can save? */
function isLost(name: string, lost: readonly string[]): boolean {
  return lost.some((pattern) => {
    const [day, path = ''] = pattern.split(/ (.*)/s);
    const isDay = day === '*' || name.startsWith(`${day} `);
    const rest = name.slice(name.indexOf(' ') + 1);
    return isDay && (path.endsWith('*') ? rest.startsWith(path.slice(0, -1)) : rest === path);
  });
}

describe('after all repairs', () => {
  it.concurrent.each(DAMAGES)(
    'nothing is wrong any more with $title, and all is there but what is lost',
    async (damage) => {
      const store = await storeOf(await history);
      await damage.make(store);
      const kept: KeptPacks = new Map();
      const { damagedPacks } = await checkAll(store);
      const before = new Map<string, Uint8Array>();
      for (const name of damagedPacks) before.set(name, await store.load({ type: 'data', name }));
      const readable = await contentsOf(await withIndex(store));
      expect(await repairAll(store, kept)).toMatchObject({ errors: [] });
      for (const [name, bytes] of before) expect(kept.get(name)).toEqual(bytes);
      const left = await contentsOf(store);
      for (const [path, content] of readable) expect(left.get(path), path).toBe(content);
      const { lost = [] } = damage;
      for (const [name, content] of await pristine) {
        const saved = left.get(name) ?? left.get(`? ${name.slice(2)}`);
        if (isLost(name, lost)) expect(saved, name).not.toBe(content);
        else expect(saved, name).toBe(content);
      }
    },
  );
});

describe('repairing packs', () => {
  it('saves every blob but the damaged one, and says which that is', async () => {
    const store = await storeOf(await history);
    const { data } = await packsByType(store);
    const pack = data[0]!;
    const blobs = (await (await openStore(store)).loadIndex()).table;
    const inPack = [...blobs.entries()].filter((each) => each.pack === pack).toSorted((a, b) => a.offset - b.offset);
    expect(inPack.length).toBeGreaterThan(1);
    const bytes = await store.load({ type: 'data', name: pack });
    bytes[inPack[0]!.offset + 20]! ^= 1;
    await store.save({ type: 'data', name: pack }, [bytes]);
    const result = await repairPacks(await openStore(store), [pack], { keepCopy: async () => undefined });
    expect(result).toMatchObject({ removedPacks: [pack], missingPacks: [], salvagedBlobs: inPack.length - 1 });
    expect(result.lostBlobs).toMatchObject([{ id: inPack[0]!.id, type: 'data', pack, elsewhere: false }]);
    const after = (await (await openStore(store)).loadIndex()).table;
    expect(after.hasPack(pack)).toBe(false);
    expect(inPack.map(({ type, id }) => after.has(type, id))).toEqual(inPack.map((_, at) => at > 0));
    await expect(store.stat({ type: 'data', name: pack })).rejects.toMatchObject({ code: 'not-found' });
  });

  it('finds blobs by the header of a pack that the index does not know', async () => {
    const store = await storeOf((await history).filter(({ type }) => type !== 'index'));
    const packs = (await all(store.list('data'))).map(({ name }) => name);
    const result = await repairPacks(await openStore(store), packs, { keepCopy: async () => undefined });
    expect(result.lostBlobs).toEqual([]);
    expect((await checkAll(store)).errors).toEqual([]);
  });

  it('takes a pack that is not there out of the index', async () => {
    const store = await storeOf(await history);
    const pack = (await packsByType(store)).data[0]!;
    await store.remove({ type: 'data', name: pack });
    const result = await repairPacks(await openStore(store), [pack], { keepCopy: async () => undefined });
    expect(result.missingPacks).toEqual([pack]);
    expect(result.lostBlobs.length).toBeGreaterThan(0);
    expect((await packsByType(store)).data).not.toContain(pack);
  });

  it('changes nothing when the copy cannot be kept, or a pack is unknown', async () => {
    const store = await storeOf(await history);
    const before = await filesOf(store);
    const pack = (await packsByType(store)).data[0]!;
    const keepCopy = (): Promise<void> => Promise.reject(new Error('no room'));
    await expect(repairPacks(await openStore(store), [pack], { keepCopy })).rejects.toThrow('no room');
    const other = repairPacks(await openStore(store), ['ab'.repeat(32)], { keepCopy });
    await expect(other).rejects.toMatchObject({ code: 'not-found' });
    await expect(repairPacks(await openStore(store), [], { keepCopy })).rejects.toMatchObject({ code: 'bad-request' });
    expect(await filesOf(store)).toEqual(before);
  });
});

describe('repairing snapshots', () => {
  it('leaves entries alone that a newer program may know', async () => {
    const store = await storeOf(await history);
    const repository = await openStore(store);
    const json = '{"nodes":[{"name":"new","type":"odd","mode":0,"uid":0,"gid":0,"content":null}]}\n';
    await saveSnapshot(repository, await saveTree(repository, Buffer.from(json)));
    const before = await filesOf(store);
    const { snapshots, failed } = await repairSnapshots(repository, { forget: true });
    expect(snapshots.every(({ state }) => state === 'sound')).toBe(true);
    expect(failed).toEqual([]);
    expect(await filesOf(store)).toEqual(before);
  });

  it('does in a dry run nothing but tell', async () => {
    const store = await storeOf(await history);
    await damageOf('a file whose content is unknown').make(store);
    const before = await filesOf(store);
    const { snapshots } = await repairSnapshots(await openStore(store), { forget: true, dryRun: true });
    const [repaired, ...others] = snapshots.filter(({ state }) => state !== 'sound');
    expect(repaired).toMatchObject({ state: 'repaired', changes: [{ path: '/file', kind: 'content-removed' }] });
    expect(others).toEqual([]);
    expect(await filesOf(store)).toEqual(before);
  });

  it('looks at the snapshots it is asked for', async () => {
    const store = await storeOf(await history);
    await damageOf('a file whose content is unknown').make(store);
    const { snapshots } = await repairSnapshots(await openStore(store), { filter: { tags: [['3']] } });
    expect(snapshots).toMatchObject([{ state: 'sound', snapshot: { tags: ['3'] } }]);
    const unknown = repairSnapshots(await openStore(store), { ids: ['ffffffff'] });
    await expect(unknown).rejects.toMatchObject({ code: 'not-found' });
  });

  it('fails rather than take what the store cannot read just now for lost', async () => {
    const store = await storeOf(await history);
    const before = await filesOf(store);
    const faults = withFaults({
      faults: [{ when: ({ method, type }) => method === 'load' && type === 'data', effect: { kind: 'fail-before' } }],
    });
    const repairing = repairSnapshots(await openStore(wrap(store, faults)), { forget: true });
    await expect(repairing).rejects.toMatchObject({ code: 'io' });
    expect(await filesOf(store)).toEqual(before);
  });
});

describe('recovering', () => {
  it('finds snapshots that are gone, and only those', async () => {
    const store = await storeOf(await history);
    const repository = await openStore(store);
    expect(await recover(repository)).toMatchObject({ snapshot: undefined, roots: [] });
    const gone = (await all(listSnapshots(repository))).slice(0, 2);
    for (const { id } of gone) await repository.removeFile('snapshot', id);
    const { roots, snapshot } = await recover(repository);
    expect(roots.toSorted()).toEqual(gone.map(({ tree }) => tree).toSorted());
    expect((await all(listSnapshots(repository))).find(({ id }) => id === snapshot)).toMatchObject({
      paths: ['/recover'],
      tags: ['recovered'],
    });
    expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    expect(await recover(repository)).toMatchObject({ snapshot: undefined, roots: [] });
  });
});

/** What restic and this engine can be compared by: all that is said of snapshots, but not their ids. */
async function factsOf(folder: string): Promise<string[]> {
  const repository = await openStore(localBackend(folder));
  const found = await all(listSnapshots(repository, { onBroken: () => undefined }));
  return found.map((snapshot) => JSON.stringify({ ...snapshot, id: '' })).toSorted();
}

interface Patient {
  /** Packs whose content is damaged. */
  readonly damaged: readonly string[];
  /** Nothing can be said of packs before the index can be read. */
  readonly indexFirst: boolean;
}

async function repairByRestic(restic: Restic, { damaged, indexFirst }: Patient, cwd: string): Promise<void> {
  if (indexFirst) await restic.ok(['repair', 'index']);
  if (damaged.length > 0) await restic.ok(['repair', 'packs', ...damaged], { cwd });
  await restic.ok(['repair', 'index']);
  await restic.ok(['repair', 'snapshots', '--forget']);
}

async function repairByUs(place: Backend, { damaged, indexFirst }: Patient): Promise<void> {
  if (indexFirst) await repairIndex(await openStore(place));
  const keepCopy = async (): Promise<void> => undefined;
  if (damaged.length > 0) await repairPacks(await openStore(place), damaged, { keepCopy });
  await repairIndex(await openStore(place));
  await repairSnapshots(await openStore(place), { forget: true });
}

/** Both repair the same; what is left must be the same, and sound. */
async function expectSameEnd(peer: Peer, store: Backend): Promise<void> {
  using folder = makeTempDir();
  const [ours, theirs] = [join(folder.path, 'ours'), join(folder.path, 'theirs')];
  const copy = await withIndex(store);
  const { damagedPacks: damaged } = await checkAll(copy);
  const { errors } = await checkAll(store);
  const patient = { damaged, indexFirst: errors.some(({ kind }) => kind === 'index-broken') };
  await copyToFolder(await filesOf(store), ours);
  cpSync(ours, theirs, { recursive: true });
  await repairByRestic(resticAt(peer, { repo: theirs }), patient, folder.path);
  await repairByUs(localBackend(ours), patient);
  expect(await factsOf(ours)).toEqual(await factsOf(theirs));
  expect(await resticAt(peer, { repo: ours }).ok(['check', '--read-data'])).toContain('no errors were found');
}

/** Flips bits of, cuts and removes a few packs and snapshots, whichever chance takes. */
async function damageAtRandom(store: Backend, seed: number): Promise<void> {
  const random = randomFrom(seed);
  // One only: the next might want to change what this one has removed.
  const damages = DAMAGES.filter(({ title, restic }) => !/index/.test(title) && restic === undefined);
  await damages[random.int(damages.length)]!.make(store);
  for (const type of ['data', 'data', 'snapshot'] as const) {
    const files = (await all(store.list(type))).toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const { name } = files[random.int(files.length)]!;
    const bytes = await store.load({ type, name });
    const at = random.int(bytes.length);
    const cut = type === 'data' && random.int(3) === 0;
    bytes[at]! ^= 1 + random.int(255);
    await store.save({ type, name }, [cut ? bytes.subarray(0, at) : bytes]);
  }
}

await describeWithPeer('restic', 'repairs beside restic', (peer) => {
  it.concurrent.each(DAMAGES.filter(({ restic }) => restic !== 'helpless'))(
    'end alike with $title',
    async ({ make }) => {
      const store = await storeOf(await history);
      await make(store);
      await expectSameEnd(peer, store);
    },
    60_000,
  );

  it.concurrent.each(DAMAGES.filter(({ restic }) => restic === 'helpless'))(
    'are more than restic has: $title',
    async ({ make }) => {
      using folder = makeTempDir();
      const repo = join(folder.path, 'repo');
      const store = await storeOf(await history);
      await make(store);
      await repairAll(store);
      await copyToFolder(await filesOf(store), repo);
      expect(await resticAt(peer, { repo }).ok(['check', '--read-data'])).toContain('no errors were found');
    },
    60_000,
  );

  it.concurrent.each([1, 3, 5, 7, 9, 11, 13, 15])(
    'end alike by chance (seed %i)',
    async (seed) => {
      const store = await storeOf(await history);
      await damageAtRandom(store, seed);
      await expectSameEnd(peer, store);
    },
    60_000,
  );

  it('recover what restic recovers', async () => {
    using folder = makeTempDir();
    const [ours, theirs] = [join(folder.path, 'ours'), join(folder.path, 'theirs')];
    const store = await storeOf(await history);
    const [gone] = await all(listSnapshots(await openStore(store)));
    await store.remove({ type: 'snapshot', name: gone!.id });
    await copyToFolder(await filesOf(store), ours);
    cpSync(ours, theirs, { recursive: true });
    await recover(await openStore(localBackend(ours)));
    await resticAt(peer, { repo: theirs }).ok(['recover']);
    const recovered = async (repo: string): Promise<string[]> => {
      const entries = await resticAt(peer, { repo }).json(['ls', 'latest', '--path', '/recover']);
      return entries.filter(({ mtime: _ }) => _).map(({ path, type, size }) => `${path} ${type} ${size}`);
    };
    expect(await recovered(ours)).toEqual(await recovered(theirs));
    expect((await recovered(ours)).length).toBeGreaterThan(4);
    expect(await resticAt(peer, { repo: ours }).ok(['check', '--read-data'])).toContain('no errors were found');
  });
});
