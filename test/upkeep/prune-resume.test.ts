import {
  backup,
  check,
  EngineError,
  initRepository,
  localBackend,
  memoryBackend,
  objects,
  openRepository,
  prune,
  removeStaleLocks,
  withFaults,
  wrap,
} from 'restic-engine';
import type { Backend, PruneOptions, Repository } from 'restic-engine';
import type { FaultCall, FaultPlan } from '@restic-engine/backends';
import { pruneLocked } from '@restic-engine/repository';
import { beforeAll, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { CHEAPEST, filesOf, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { all } from '../support/repository.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { checkAll, copyToFolder, forgetDays } from './repository.ts';

// A prune that is interrupted has not worked for nothing: the next one copies what is left, and not more.

const MiB = 2 ** 20;
/** The smallest there is. */
const PACK = 4 * MiB;
const INTERVAL = 2 * PACK;

function openIt(backend: Backend): Promise<Repository> {
  return openRepository({ backend, password: PASSWORD, workers: 0, packSize: PACK });
}

/** Packs of which every other file is needed, and small ones that are worth joining. */
async function makeLarge(): Promise<StoredFile[]> {
  const store = memoryBackend();
  await initRepository({ backend: store, password: PASSWORD, kdf: CHEAPEST });
  const repository = await openIt(store);
  const random = randomFrom(31);
  const entries = Array.from({ length: 90 }, (_, i) => ({ path: `kept/${i}`, content: random.bytes(400_000) }));
  await backup(repository, { source: objects(entries), tags: ['0'] });
  for (let i = 0; i < entries.length; i += 2) entries[i] = { path: `kept/${i}`, content: Buffer.from(`${i}`) };
  for (let day = 1; day <= 11; day++) {
    entries.push({ path: `day ${day}`, content: random.bytes(500_000) });
    await backup(repository, { source: objects(entries), tags: [String(day)] });
  }
  await forgetDays(repository, [0]);
  return filesOf(store);
}

const large = makeLarge();

const isPackSaved = ({ method, type }: FaultCall): boolean => method === 'save' && type === 'data';

/** Prunes all there is to prune, however that ends, and resolves with the bytes of the packs that are stored by it. */
async function copiedBy(store: Backend, options: PruneOptions = {}, faults: FaultPlan = {}): Promise<number> {
  const saved = new Set<string>();
  const onCall = (call: FaultCall): void => {
    if (isPackSaved(call)) saved.add(call.file!.name);
    faults.onCall?.(call);
  };
  await using repository = await openIt(wrap(store, withFaults({ ...faults, onCall })));
  await prune(repository, { maxUnused: 0, ...options }).catch((error: unknown) => {
    if (!EngineError.is(error)) throw error;
  });
  const sizes = await all(store.list('data'));
  return sizes.reduce((sum, { name, size }) => sum + (saved.has(name) ? size : 0), 0);
}

/** Lets a prune end early by `end`, and another one finish: what both copied. */
async function copiedByTwo(end: (store: Backend) => Promise<number>): Promise<{ first: number; second: number }> {
  const store = await storeOf(await large);
  const first = await end(store);
  await removeStaleLocks(await openIt(store), { all: true });
  expect((await check(await openIt(store), { lock: false })).errors).toEqual([]);
  const second = await copiedBy(store);
  expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
  const after = await prune(await openIt(store), { maxUnused: 0, dryRun: true, lock: false });
  expect(after.stats.bytes).toMatchObject({ unused: 0, duplicate: 0, unreferenced: 0 });
  return { first, second };
}

describe('a prune of which packs are to be copied', () => {
  /** Bytes that a prune copies which nobody interrupts. */
  let needed = 0;
  beforeAll(async () => {
    needed = await copiedBy(await storeOf(await large));
  });

  it('has something to copy', () => {
    expect(needed).toBeGreaterThan(5 * PACK);
  });

  it.each([1, 3, 5])('repeats what one interval is long when it was killed after %i packs', async (packs) => {
    const { first, second } = await copiedByTwo((store) =>
      copiedBy(store, { indexEveryBytes: INTERVAL }, { crash: { after: packs, when: isPackSaved } }),
    );
    expect(first).toBeGreaterThan((packs - 1) * PACK);
    // Besides the interval, packs that were on their way to the store.
    expect(first + second - needed).toBeLessThan(INTERVAL + 2 * PACK);
    if (packs > 4) expect(second).toBeLessThan(needed - INTERVAL);
  });

  it.each([2, 4])('repeats nothing when it is told to end after %i packs', async (packs) => {
    const stop = new AbortController();
    let saved = 0;
    const onCall = (call: FaultCall): void => {
      if (isPackSaved(call) && ++saved > packs) stop.abort();
    };
    const { first, second } = await copiedByTwo((store) => copiedBy(store, { signal: stop.signal }, { onCall }));
    // One may have been on its way.
    expect(first).toBeGreaterThan((packs - 1) * PACK);
    expect(first).toBeLessThan(needed);
    expect(Math.abs(first + second - needed)).toBeLessThan(MiB);
  });

  it('keeps what it had copied when the store fails', async () => {
    const fault = { when: isPackSaved, nth: 4, effect: { kind: 'fail-before' } } as const;
    const { first, second } = await copiedByTwo((store) => copiedBy(store, {}, { faults: [fault] }));
    expect(first).toBeGreaterThan(PACK);
    expect(Math.abs(first + second - needed)).toBeLessThan(MiB);
  });

  it('leaves the index alone once its lock is lost: others may have removed what is in no index', async () => {
    const store = await storeOf(await large);
    const before = await all(store.list('index'));
    const losing = new AbortController();
    const lock = {
      id: '',
      signal: losing.signal,
      run: 'a run of its own',
      lost: undefined as EngineError | undefined,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
    let saved = 0;
    const onCall = (call: FaultCall): void => {
      if (!isPackSaved(call) || ++saved < 4) return;
      lock.lost = new EngineError('locked', 'the lock was lost');
      losing.abort(lock.lost);
    };
    const repository = await openIt(wrap(store, withFaults({ onCall })));
    await expect(pruneLocked(repository, { maxUnused: 0 }, lock)).rejects.toMatchObject({ name: 'EngineError' });
    expect(await all(store.list('index'))).toEqual(before);
    expect((await prune(await openIt(store), { dryRun: true, lock: false })).plan.unreferenced.size).toBeGreaterThan(1);
  });
});

await describeWithPeer('restic', 'a prune that was killed', (peer) => {
  it('leaves what restic finds sound, and can finish', async () => {
    using folder = makeTempDir();
    const store = await storeOf(await large);
    await copiedBy(store, { indexEveryBytes: PACK }, { crash: { after: 4, when: isPackSaved } });
    await removeStaleLocks(await openIt(store), { all: true });
    await copyToFolder(await filesOf(store), folder.path);
    const restic = resticAt(peer, { repo: folder.path });
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    await restic.ok(['prune', '--pack-size', '4', '--max-unused', '0']);
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    const ours = await openIt(localBackend(folder.path));
    const { stats } = await prune(ours, { maxUnused: 0, dryRun: true });
    expect(stats.bytes).toMatchObject({ unused: 0, duplicate: 0, unreferenced: 0 });
  });
});
