import { copyFileSync, linkSync, mkdirSync, readdirSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { backup, objects, prune } from 'restic-engine';
import type { PruneLimits, PruneStats } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import type { Peer } from '../peers/peers.ts';
import { pick, randomFrom, SEED } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// Repositories by chance, of which some snapshots are forgotten by chance; one copy is pruned by restic and one by us,
// with the same options. RANDOM_SEED asks for other ones, PRUNE_CASES for more.

const CASES = Number(process.env['PRUNE_CASES'] ?? 36);
const BACKUPS = 18;
const MiB = 2 ** 20;
/** The smallest packs there are. */
const PACK = { packSize: 4 * MiB, workers: 0 } as const;

/** Files that come, change and go. */
class Files {
  readonly content = new Map<string, Buffer>();
  readonly #random: Random;
  #named = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Each time some, and from time to time many. */
  change(): void {
    const random = this.#random;
    for (const path of this.content.keys()) if (random.int(12) === 0) this.content.delete(path);
    const many = random.int(4) === 0 ? 12 : 2;
    for (let left = 1 + random.int(many); left > 0; left--) this.#write(700_000);
    for (let left = random.int(12); left > 0; left--) this.#write(20_000);
  }

  #write(most: number): void {
    const random = this.#random;
    const isNew = this.content.size === 0 || random.int(2) === 0;
    const path = isNew ? `d${random.int(5)}/f${this.#named++}` : pick(random, [...this.content.keys()]);
    const bytes = random.bytes(1 + random.int(most));
    // One in five compresses.
    this.content.set(path, random.int(5) === 0 ? Buffer.from(bytes.toString('hex')) : bytes);
  }
}

interface Kind {
  readonly title: string;
  readonly version: 1 | 2;
  readonly by: 'restic' | 'us';
  readonly compression: 'auto' | 'off' | 'sometimes';
}

const KINDS: readonly Kind[] = [
  { title: 'made by restic', version: 2, by: 'restic', compression: 'auto' },
  { title: 'made by us', version: 2, by: 'us', compression: 'sometimes' },
  { title: 'made by us, of version 1', version: 1, by: 'us', compression: 'auto' },
];

async function makeRepository(peer: Peer, path: string, random: Random, kind: Kind): Promise<void> {
  await initAt(path, { version: kind.version });
  const files = new Files(random);
  const folder = join(path, '..', 'source');
  for (let each = 0; each < BACKUPS; each++) {
    const before = new Map(files.content);
    files.change();
    if (kind.by === 'us') {
      const compression = kind.compression === 'sometimes' ? pick(random, ['auto', 'off'] as const) : kind.compression;
      await using repository = await openAt(path, { ...PACK, compression });
      const entries = [...files.content].map(([name, content]) => ({ path: name, content }));
      await backup(repository, { source: objects(entries) });
      continue;
    }
    for (const name of before.keys()) if (!files.content.has(name)) rmSync(join(folder, name));
    for (const [name, content] of files.content) {
      if (before.get(name) === content) continue;
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    await resticAt(peer, { repo: path }).ok(['backup', '--quiet', '--pack-size', '4', '.'], { cwd: folder });
  }
}

/** The same repository in another folder. Files are never changed, so it may have the very same ones. */
function copyRepository(from: string, to: string): void {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    const source = join(entry.parentPath, entry.name);
    const target = join(to, source.slice(from.length));
    if (entry.isDirectory()) mkdirSync(target, { recursive: true });
    else {
      mkdirSync(dirname(target), { recursive: true });
      if (source.includes('/data/')) linkSync(source, target);
      else copyFileSync(source, target);
    }
  }
}

/** Packs and their bytes. */
function packsIn(repo: string): Map<string, number> {
  const entries = readdirSync(join(repo, 'data'), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return new Map(files.map(({ parentPath, name }) => [name, statSync(join(parentPath, name)).size]));
}

const sum = (sizes: ReadonlyMap<string, number>): number => [...sizes.values()].reduce((all, size) => all + size, 0);

interface Request {
  readonly limits: PruneLimits;
  readonly words: readonly string[];
}

/** The same request in both languages. */
function randomRequest(random: Random, { version }: Kind): Request {
  const limits: { -readonly [K in keyof PruneLimits]: PruneLimits[K] } = {};
  const words: string[] = [];
  const wish = <K extends keyof PruneLimits>(key: K, flag: string, value: PruneLimits[K], word?: string): void => {
    limits[key] = value;
    words.push(flag, ...(word === undefined ? [] : [word]));
  };
  const share = (100 * random.int(1000)) / 2500;
  const bytes = random.int(3 * MiB);
  const unused = random.int(6);
  if (unused === 1) wish('maxUnused', '--max-unused', 0, '0');
  if (unused === 2) wish('maxUnused', '--max-unused', `${share}%`, `${share}%`);
  if (unused === 3) wish('maxUnused', '--max-unused', bytes, String(bytes));
  if (unused === 4) wish('maxUnused', '--max-unused', (bytes >> 10) << 10, `${bytes >> 10}K`);
  if (unused === 5) wish('maxUnused', '--max-unused', 'unlimited', 'unlimited');
  const most = random.int(8 * MiB);
  if (random.int(3) === 0) wish('maxRepackSize', '--max-repack-size', most, String(most));
  if (random.int(12) === 0) wish('repackCacheableOnly', '--repack-cacheable-only', true);
  const isLimited = limits.maxRepackSize !== undefined;
  // Which packs restic takes first of those without unused data (small ones, uncompressed ones) depends on the order of
  // a hash table: that shows where it may not take all of them.
  const compress = version === 2 && random.int(4) === 0;
  if (compress && !isLimited) wish('repackUncompressed', '--repack-uncompressed', true);
  const small = 1 + random.int(4 * MiB);
  const smaller = isLimited ? 1 : random.int(3) === 0 ? small : undefined;
  if (smaller !== undefined) wish('repackSmallerThan', '--repack-smaller-than', smaller, String(smaller));
  return { limits, words };
}

/** Bytes that may be unused afterwards. */
function allowed({ maxUnused = '5%', ...limits }: PruneLimits, { bytes }: PruneStats): number {
  if (maxUnused === 'unlimited' || limits.maxRepackSize !== undefined || limits.repackCacheableOnly) return Infinity;
  if (typeof maxUnused === 'number') return maxUnused;
  const share = Number(maxUnused.slice(0, -1));
  return (share / (100 - share)) * bytes.used;
}

interface Outcome {
  readonly limits: PruneLimits;
  readonly stats: PruneStats;
  readonly before: ReadonlyMap<string, number>;
  readonly own: ReadonlyMap<string, number>;
  readonly other: ReadonlyMap<string, number>;
}

/** Forgets and prunes by chance in two copies, `ours` and `theirs`. */
async function pruneBoth(peer: Peer, folder: string, random: Random, kind: Kind, title: string[]): Promise<Outcome> {
  const [origin, ours, theirs] = [join(folder, 'origin'), join(folder, 'ours'), join(folder, 'theirs')];
  const { limits, words } = randomRequest(random, kind);
  title.push(...words);
  for (const path of [ours, theirs]) {
    rmSync(path, { recursive: true, force: true });
    copyRepository(origin, path);
  }
  const keepOneIn = 2 + random.int(4);
  for (const name of readdirSync(join(origin, 'snapshots'))) {
    if (random.int(keepOneIn) > 0) for (const path of [ours, theirs]) unlinkSync(join(path, 'snapshots', name));
  }
  await resticAt(peer, { repo: theirs }).ok(['prune', '--pack-size', '4', ...words]);
  await using repository = await openAt(ours, PACK);
  const { stats, problems } = await prune(repository, limits);
  expect(problems).toEqual([]);
  return { limits, stats, before: packsIn(origin), own: packsIn(ours), other: packsIn(theirs) };
}

/** Those of the packs there were before that are still there. */
function keptOf(packs: ReadonlyMap<string, number>, { before }: Outcome): string[] {
  return [...before.keys()].filter((pack) => packs.has(pack)).toSorted();
}

await describeWithPeer('restic', 'prune by chance', (peer) => {
  it.concurrent.each(KINDS)(
    'leaves what restic leaves, in a repository $title',
    async (kind) => {
      using folder = makeTempDir();
      const seed = SEED * 64 + KINDS.indexOf(kind) * 2 + 1;
      await makeRepository(peer, join(folder.path, 'origin'), randomFrom(seed), kind);
      const random = randomFrom(seed + 32);
      const ours = join(folder.path, 'ours');
      const judge = resticAt(peer, { repo: ours });
      const totals = { kept: 0, removed: 0, written: 0 };
      for (let each = 0; each < CASES / KINDS.length; each++) {
        const words = [`RANDOM_SEED=${SEED} case ${each}: restic prune`];
        const outcome = await pruneBoth(peer, folder.path, random, kind, words);
        const { own, other, before, stats, limits } = outcome;
        const title = words.join(' ');
        const kept = keptOf(own, outcome);
        expect(kept, title).toEqual(keptOf(other, outcome));
        expect(sum(own), title).toBeLessThanOrEqual(sum(other) * 1.01);
        expect(stats.bytes.remainingUnused, title).toBeLessThanOrEqual(allowed(limits, stats));
        const checking = ['check', ...(each % 4 === 0 ? ['--read-data'] : [])];
        expect(await judge.ok(checking), title).toContain('no errors were found');
        // What we say is left, restic finds.
        const [, unused] = /^unused: +(\d+) blobs/m.exec(await judge.ok(['prune', '--dry-run', '--verbose=2'])) ?? [];
        const { total, used } = stats.blobs;
        const removed = stats.blobs.removeTotal;
        expect(Number(unused), title).toBe(total - removed - used);
        totals.kept += kept.length;
        totals.removed += before.size - kept.length;
        totals.written += own.size - kept.length;
      }
      // There was something to decide.
      expect(Math.min(totals.kept, totals.removed, totals.written)).toBeGreaterThan(CASES / KINDS.length);
    },
    600_000,
  );
});
