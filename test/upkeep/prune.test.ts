import { cpSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { backup, check, listSnapshots, objects, prune, repairIndex } from 'restic-engine';
import type { PruneOptions, PruneStats } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer, type Peer } from '../peers/peers.ts';
import { openStore, readEverything, storeOf } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { all, CHEAP, initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { checkAll, forgetDays, makeHistory } from './repository.ts';

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

/** Six snapshots of which the first three are forgotten; part of what they hold is held by others too. */
async function makeRepository(peer: Peer, repo: string, version: 1 | 2, compression: 'auto' | 'off'): Promise<void> {
  await initAt(repo, { version, kdf: CHEAP });
  await using repository = await openAt(repo, { ...OPEN, compression });
  const random = randomFrom(5);
  const entries = Array.from({ length: 14 }, (_, i) => ({
    path: `kept/${i}`,
    content: random.bytes(150_000 + i * 20_000),
  }));
  for (let day = 0; day < 6; day++) {
    for (const i of [day, day + 4, day + 8])
      entries[i] = { path: `kept/${i}`, content: random.bytes(400_000 + i * 30_000) };
    const text = { path: `text/${day}`, content: Buffer.from(`day ${day} `.repeat(20_000)) };
    await backup(repository, { source: objects([...entries, text]), tags: [String(day)] });
  }
  await forgetDays(repository, [0, 1, 2]);
  expect(await resticAt(peer, { repo }).ok(['check'])).toContain('no errors were found');
}

const CASES: readonly (readonly [string, PruneOptions, readonly string[]])[] = [
  ['nothing', {}, []],
  ['no unused data', { maxUnused: 0 }, ['--max-unused', '0']],
  ['a size of unused data', { maxUnused: 2 * MiB }, ['--max-unused', '2M']],
  ['any amount of unused data', { maxUnused: 'unlimited' }, ['--max-unused', 'unlimited']],
  ['a size to repack', { maxUnused: 0, maxRepackSize: 7 * MiB }, ['--max-unused', '0', '--max-repack-size', '7M']],
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
    await makeRepository(peer, repo, version, compression);
    await using repository = await openAt(repo, OPEN);
    const restic = resticAt(peer, { repo });
    const cases = [...CASES];
    if (version === 2) cases.push(['compression', { repackUncompressed: true }, ['--repack-uncompressed']]);
    for (const [title, options, flags] of cases) {
      const theirs = await restic.ok(['prune', '--dry-run', '--pack-size', '4', ...flags]);
      const { stats } = await prune(repository, { ...options, dryRun: true, lock: false });
      expect(planOf(stats), title).toEqual(planIn(theirs));
    }
  });

  it.each([
    ['5%', 2],
    [0, 2],
    [0, 1],
  ] as const)('leaves what restic leaves (at most %s unused, version %i)', async (maxUnused, version) => {
    using folder = makeTempDir();
    const [repo, other] = [join(folder.path, 'ours'), join(folder.path, 'theirs')];
    await makeRepository(peer, repo, version, 'auto');
    cpSync(repo, other, { recursive: true });
    await using repository = await openAt(repo, OPEN);
    const { stats, problems } = await prune(repository, { maxUnused });
    expect(problems).toEqual([]);
    await resticAt(peer, { repo: other }).ok(['prune', '--pack-size', '4', '--max-unused', String(maxUnused)]);

    expect(await resticAt(peer, { repo }).ok(['check', '--read-data'])).toContain('no errors were found');
    expect(await check(repository, { readData: true })).toMatchObject({ errors: [], hints: [] });
    expect(await all(listSnapshots(repository))).toHaveLength(3);
    expect(bytesIn(repo)).toBeLessThanOrEqual(bytesIn(other) * 1.01);
    expect(stats.bytes.remainingUnused).toBeLessThanOrEqual(maxUnused === 0 ? 0 : stats.bytes.remaining * 0.05);
    const after = await resticAt(peer, { repo }).ok(['prune', '--dry-run', '--pack-size', '4', '--max-unused', '0']);
    const left = await prune(repository, { maxUnused: 0, dryRun: true });
    expect(planIn(after)).toEqual(planOf(left.stats));
  });

  it('compresses what is not, and lets restic read it', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await makeRepository(peer, repo, 2, 'off');
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
