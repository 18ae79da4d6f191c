/** Repositories by chance: years of snapshots of many hosts, with trees that grow, shrink and move. */
import { withUpload } from '@restic-engine/repository';
import { encodeSnapshot, parseTimestamp } from 'restic-engine';
import type { Id, Repository, Snapshot, SnapshotSummary } from 'restic-engine';
import { pick } from './random.ts';
import type { Random } from './random.ts';
import { RandomTree } from './random-tree.ts';

export const HOSTS = ['alpha', 'beta', 'future', '', 'ünïcode <&>', '日本 é😀'] as const;
export const PATHS = [
  ['/srv'], ['/srv', '/home'], ['/home', '/srv'], ['/ä', '/z'], ['/日本', '/srv', '/a b'], ['relative'],
] as const; // biome-ignore format: a list
export const TAGS = [[], [], ['a'], ['b', 'a'], ['a', 'b'], ['x y'], ['c', 'a', 'b'], ['日本', '<&>']] as const;
const OFFSETS = [
  'Z', '+00:00', '+01:00', '+02:00', '-05:00', '-04:00', '+10:30', '+05:45', '-09:30', '+14:00', '-12:00',
] as const; // biome-ignore format: a list
/** Where calendars turn: ends of years, ISO weeks and months, leap days, clocks set forth and back. */
const EDGES = [
  '2024-12-31T23:59:59', '2025-01-01T00:00:00', '2020-12-31T12:00:00', '2021-01-03T23:30:00', '2021-01-04T00:30:00',
  '2024-02-29T10:00:00', '2023-02-28T10:00:00', '2024-03-31T02:30:00', '2024-10-27T02:30:00', '2024-11-03T01:30:00',
  '2024-03-10T02:30:00', '2023-05-31T08:00:00', '2022-08-31T08:00:00', '2026-01-31T00:00:00', '1969-12-31T23:59:59',
  '1900-02-28T12:00:00', '1600-02-29T00:00:00', '0001-01-01T00:00:00', '0000-12-31T12:00:00',
] as const; // biome-ignore format: a list
const VERSIONS = [undefined, 'restic 0.9.6', 'restic 0.19.1', 'rustic 0.9.4 <dev>'] as const;

export interface RandomRepositoryOptions {
  readonly snapshots: number;
  /** Trees there are, each some changes away from the one before. */
  readonly trees: number;
  /** Whether some snapshots have the very time of another. @default false */
  readonly twins?: boolean;
  /** Whether trees have what `check` and `rewrite` refuse. @default true */
  readonly odd?: boolean;
}

export interface RandomRepository {
  /** In the order in which they were made, which is not that of their times. */
  readonly snapshots: readonly (Snapshot & { readonly id: Id })[];
  /** Paths in some of the trees. */
  readonly paths: readonly string[];
}

/**
 * Fills a repository. No two snapshots have the same time, but for twins: these are alike in everything that rules and
 * groups look at, since restic takes equal times in whatever order it has read them.
 */
export async function fillRandomly(
  repository: Repository,
  random: Random,
  options: RandomRepositoryOptions,
): Promise<RandomRepository> {
  const tree = new RandomTree(random, options.odd ?? true);
  const paths = new Set<string>();
  const trees = await withUpload(await repository.loadIndex(), {}, async (upload) => {
    const made: { id: Id; summary: SnapshotSummary }[] = [];
    while (made.length < options.trees) {
      for (let left = random.int(6); left > 0; left--) tree.change();
      for (const path of tree.paths()) paths.add(path);
      made.push({ id: await tree.save(upload), summary: summaryOf(tree, random) });
    }
    return made;
  });
  const snapshots: (Snapshot & { readonly id: Id })[] = [];
  const times = new Set<string>();
  while (snapshots.length < options.snapshots) {
    const { id: root, summary } = pick(random, trees);
    const before = snapshots[random.int(snapshots.length + 1)];
    const twin = options.twins === true && before !== undefined && random.int(20) === 0;
    const snapshot: Snapshot = {
      ...(twin
        ? { time: before.time, paths: before.paths, hostname: before.hostname, tags: before.tags }
        : newFacts(random)),
      tree: root,
      username: pick(random, ['root', 'me', '', `user ${snapshots.length}`]),
      uid: pick(random, [0, 1000, 4_294_967_295]),
      gid: pick(random, [0, 100]),
      excludes: pick(random, [undefined, ['*.tmp', '/proc'], ['<&>']]),
      parent: random.int(2) === 0 ? before?.id : undefined,
      original: random.int(6) === 0 ? before?.id : undefined,
      programVersion: pick(random, VERSIONS),
      summary: twin ? before.summary : random.int(3) === 0 ? summary : undefined,
    };
    // A time that is taken by another one that is no twin would make restic's order a matter of luck.
    const { seconds, nanoseconds } = parseTimestamp(snapshot.time);
    const instant = `${seconds}.${nanoseconds}`;
    if (!twin && times.has(instant)) continue;
    times.add(instant);
    const id = await repository.saveFile('snapshot', encodeSnapshot(snapshot));
    snapshots.push({ ...snapshot, id });
  }
  return { snapshots, paths: [...paths] };
}

function newFacts(random: Random): Pick<Snapshot, 'time' | 'paths' | 'hostname' | 'tags'> {
  const hostname = pick(random, HOSTS);
  return {
    time: snapshotTime(random, hostname),
    paths: random.int(30) === 0 ? [] : pick(random, PATHS),
    hostname,
    tags: pick(random, TAGS),
  };
}

function snapshotTime(random: Random, host: string): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const offset = pick(random, OFFSETS);
  const fraction = pick(random, [
    '',
    '.5',
    '.120',
    `.${two(random.int(100))}`,
    `.${String(random.int(1e9)).padStart(9, '0')}`,
  ]);
  if (host === 'future') return `${2100 + random.int(7900)}-06-15T12:00:00${fraction}${offset}`;
  if (random.int(4) === 0) return `${pick(random, EDGES)}${fraction}${offset}`;
  // Many fall into the same hours and days.
  const [year, month] = random.int(3) === 0 ? [2025, 6] : [2014 + random.int(12), 1 + random.int(12)];
  const clock = `${two(random.int(24))}:${two(random.int(4) * 15)}:00`;
  return `${year}-${two(month)}-${two(1 + random.int(28))}T${clock}${fraction}${offset}`;
}

function summaryOf(tree: RandomTree, random: Random): SnapshotSummary {
  const { files, bytes } = tree.totals();
  return {
    backupStart: '2025-01-01T00:00:00.5+01:00',
    backupEnd: '2025-01-01T00:00:01.25+01:00',
    filesNew: files,
    filesChanged: random.int(9),
    filesUnmodified: 0,
    dirsNew: 1,
    dirsChanged: 0,
    dirsUnmodified: 0,
    dataBlobs: random.int(99),
    treeBlobs: 1,
    dataAdded: random.int(1e6),
    dataAddedPacked: random.int(1e6),
    totalFilesProcessed: files,
    // Sizes for people of every unit.
    totalBytesProcessed: pick(random, [bytes, bytes, random.int(1e9) * 1024, random.int(1e6) * 2 ** 30]),
  };
}
