import { cpSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import {
  backup,
  check,
  initRepository,
  listSnapshots,
  memoryBackend,
  objects,
  openRepository,
  prune,
  repairIndex,
} from 'restic-engine';
import type { PruneOptions, PruneStats } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { all, CHEAP, openAt } from '../support/repository.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { checkAll, copyToFolder, forgetDays, makeHistory } from './repository.ts';

// Prune beside restic's: the same plan for the same repository, and a result that restic finds sound.

const MiB = 2 ** 20;
const OPEN = { workers: 2, packSize: 4 * MiB } as const;

/** What restic prints of a plan. */
function planIn(output: string): Record<string, number> {
  const rows = output.matchAll(/^(to repack|this removes|to delete|total prune|remaining):\s+(\d+) blobs/gm);
  return Object.fromEntries([...rows].map(([, name, count]) => [name, Number(count)]));
}

function planOf({ blobs }: PruneStats): Record<string, number> {
  return {
    'to repack': blobs.repack,
    'this removes': blobs.repackRemove,
    'to delete': blobs.remove,
    'total prune': blobs.removeTotal,
    remaining: blobs.remaining,
  };
}

function bytesIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

/** So many files of about 300 KB change from one large day to the next. */
const CHANGED = 18;
const LARGE_DAYS = 5;
const SMALL_DAYS = 6;

/**
 * Large days, of which the first three are forgotten, and small ones that leave small packs. Files that changed leave
 * packs of which more or less is used.
 */
async function makeRepository(version: 1 | 2, compression: 'auto' | 'off'): Promise<StoredFile[]> {
  const store = memoryBackend();
  await initRepository({ backend: store, password: PASSWORD, kdf: CHEAP, version });
  await using repository = await openRepository({ ...OPEN, backend: store, password: PASSWORD, compression });
  const random = randomFrom(5);
  const content = (i: number): Buffer => random.bytes(250_000 + i * 2000);
  const entries = Array.from({ length: 60 }, (_, i) => ({ path: `kept/${i}`, content: content(i) }));
  for (let day = 0; day < LARGE_DAYS + SMALL_DAYS; day++) {
    const [from, count] = day < LARGE_DAYS ? [day * 7, CHANGED] : [0, 0];
    for (let i = from; i < from + count; i++) entries[i] = { path: `kept/${i}`, content: content(i) };
    const text = { path: `text/${day}`, content: Buffer.from(`day ${day} `.repeat(20_000)) };
    await backup(repository, { source: objects([...entries, text]), tags: [String(day)] });
  }
  await forgetDays(repository, [0, 1, 2]);
  return await filesOf(store);
}

const made = new Map<string, Promise<StoredFile[]>>();

/** A folder with such a repository. */
async function placeRepository(path: string, version: 1 | 2, compression: 'auto' | 'off'): Promise<void> {
  const name = `${version} ${compression}`;
  const making = made.get(name) ?? makeRepository(version, compression);
  made.set(name, making);
  await copyToFolder(await making, path);
}

const CASES: readonly (readonly [string, PruneOptions, readonly string[]])[] = [
  ['nothing', {}, []],
  ['no unused data', { maxUnused: 0 }, ['--max-unused', '0']],
  ['a size of unused data', { maxUnused: 4 * MiB }, ['--max-unused', '4M']],
  ['a share of unused data', { maxUnused: '30%' }, ['--max-unused', '30%']],
  ['any amount of unused data', { maxUnused: 'unlimited' }, ['--max-unused', 'unlimited']],
  [
    'a size to repack',
    // Without small packs: which of those restic takes for the rest of the size is chance.
    { maxUnused: 0, maxRepackSize: 12 * MiB, repackSmallerThan: 1 },
    ['--max-unused', '0', '--max-repack-size', '12M', '--repack-smaller-than', '1'],
  ],
  ['trees only', { repackCacheableOnly: true }, ['--repack-cacheable-only']],
  [
    'a size of packs',
    { repackSmallerThan: 2 * MiB, maxUnused: 'unlimited' },
    ['--repack-smaller-than', '2M', '--max-unused', 'unlimited'],
  ],
];

await describeWithPeer('restic', 'prune', (peer) => {
  it.each([
    [2, 'auto'],
    [1, 'auto'],
    [2, 'off'],
  ] as const)('plans as restic does (version %i, compression %s)', async (version, compression) => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await placeRepository(repo, version, compression);
    await using repository = await openAt(repo, OPEN);
    const restic = resticAt(peer, { repo });
    const cases = [...CASES];
    if (version === 2) cases.push(['compression', { repackUncompressed: true }, ['--repack-uncompressed']]);
    const plans = new Set<string>();
    for (const [title, options, flags] of cases) {
      const theirs = await restic.ok(['prune', '--dry-run', '--no-lock', '--pack-size', '4', ...flags]);
      const { stats } = await prune(repository, { ...options, dryRun: true, lock: false });
      expect(planOf(stats), title).toEqual(planIn(theirs));
      plans.add(JSON.stringify(planOf(stats)));
    }
    // The wishes made a difference.
    expect(plans.size).toBeGreaterThanOrEqual(5);
  });

  it.each([
    ['5%', 2],
    [0, 2],
    [0, 1],
  ] as const)('leaves what restic leaves (at most %s unused, version %i)', async (maxUnused, version) => {
    using folder = makeTempDir();
    const [repo, other] = [join(folder.path, 'ours'), join(folder.path, 'theirs')];
    await placeRepository(repo, version, 'auto');
    cpSync(repo, other, { recursive: true });
    await using repository = await openAt(repo, OPEN);
    const { stats, problems } = await prune(repository, { maxUnused });
    expect(problems).toEqual([]);
    await resticAt(peer, { repo: other }).ok(['prune', '--pack-size', '4', '--max-unused', String(maxUnused)]);

    expect(await resticAt(peer, { repo }).ok(['check', '--read-data'])).toContain('no errors were found');
    expect(await check(repository, { readData: true })).toMatchObject({ errors: [], hints: [] });
    expect(await all(listSnapshots(repository))).toHaveLength(LARGE_DAYS + SMALL_DAYS - 3);
    expect(bytesIn(repo)).toBeLessThanOrEqual(bytesIn(other) * 1.01);
    expect(stats.bytes.remainingUnused).toBeLessThanOrEqual(maxUnused === 0 ? 0 : stats.bytes.remaining * 0.05);
    const after = await resticAt(peer, { repo }).ok(['prune', '--dry-run', '--pack-size', '4', '--max-unused', '0']);
    const left = await prune(repository, { maxUnused: 0, dryRun: true });
    expect(planIn(after)).toEqual(planOf(left.stats));
  });

  it('compresses what is not, and lets restic read it', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await placeRepository(repo, 2, 'off');
    const before = bytesIn(repo);
    await using repository = await openAt(repo, OPEN);
    const { stats } = await prune(repository, { repackUncompressed: true, maxUnused: 'unlimited' });
    expect(stats.bytes.uncompressed).toBe(0);
    expect(bytesIn(repo)).toBeLessThan(before - 400_000);
    const after = await prune(repository, { repackUncompressed: true, maxUnused: 'unlimited', dryRun: true });
    expect(after.stats.packs.repack).toBe(0);
    expect(await resticAt(peer, { repo }).ok(['check', '--read-data'])).toContain('no errors were found');
  });
});

it('keeps one copy of what is stored twice', async () => {
  const files = await makeHistory();
  // Blobs of lost index files are stored again, and a repaired index then names both copies.
  const store = await storeOf(files.filter(({ type }) => type !== 'index' && type !== 'snapshot'));
  const repository = await openStore(store);
  const random = randomFrom(77);
  const entries = [{ path: 'kept', content: random.bytes(30_000) }];
  await backup(repository, { source: objects(entries), tags: ['0'] });
  await repairIndex(repository);
  const expected = await readEverything(store);
  const { stats } = await prune(repository, { maxUnused: 0 });
  expect(stats.blobs.duplicate).toBeGreaterThan(0);
  expect(await readEverything(store)).toBe(expected);
  expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
  const after = await prune(repository, { maxUnused: 0, dryRun: true });
  expect(after.stats.blobs).toMatchObject({ duplicate: 0, unused: 0, remove: 0 });
});

it('touches nothing when something that is needed is missing', async () => {
  const files = await makeHistory();
  const lost = files.find(({ type }) => type === 'index');
  const store = await storeOf(files.filter((file) => file !== lost));
  const count = async (): Promise<number> => (await all(store.list('data'))).length;
  const before = await count();
  await expect(prune(await openStore(store))).rejects.toMatchObject({
    code: expect.stringMatching(/corrupt|not-found/),
  });
  expect(await count()).toBe(before);
  expect(await all(store.list('lock'))).toEqual([]);
});

it.each(['trees', 'repack', 'remove-index', 'remove-packs'] as const)(
  'ends in good order when it is told to during %s',
  async (phase) => {
    const store = await storeOf(await makeHistory());
    const repository = await openStore(store);
    await forgetDays(repository, [0, 1, 2]);
    const expected = await readEverything(store);
    const stop = new AbortController();
    const onProgress = (progress: { phase: string }): void => {
      if (progress.phase === phase) stop.abort();
    };
    const pruning = prune(repository, { maxUnused: 0, signal: stop.signal, onProgress });
    await expect(pruning).rejects.toMatchObject({ code: 'aborted' });
    expect(await all(store.list('lock'))).toEqual([]);
    expect(await readEverything(store)).toBe(expected);
    await prune(repository, { maxUnused: 0 });
    expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    expect(await readEverything(store)).toBe(expected);
  },
);
