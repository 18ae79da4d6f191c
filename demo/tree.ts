/** The file system's side of the demo, with nothing but Node: it must not trust the engine it judges. */
import {
  closeSync,
  copyFileSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  chmodSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  symlinkSync,
  type BigIntStats,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface TreeEntry {
  /** Relative to the folder. */
  readonly path: string;
  readonly stat: BigIntStats;
}

/** Entries between two looks at the signal. */
const ENTRIES_A_TURN = 200;

/** Every entry below `folder`, a folder before what is in it. */
export async function* entriesOf(folder: string, signal: AbortSignal): AsyncGenerator<TreeEntry> {
  const pending = [''];
  for (let folderPath = pending.pop(), seen = 0; folderPath !== undefined; folderPath = pending.pop()) {
    for (const name of readdirSync(join(folder, folderPath)).sort()) {
      if (++seen % ENTRIES_A_TURN === 0) await nextTurn();
      signal.throwIfAborted();
      const path = join(folderPath, name);
      const stat = lstatSync(join(folder, path), { bigint: true, throwIfNoEntry: false });
      // Somebody else may be at work in the folder.
      if (stat === undefined) continue;
      yield { path, stat };
      if (stat.isDirectory()) pending.push(path);
    }
  }
}

/**
 * Copies a tree: contents, links, modes, owners and times, as near as Node can set them. What is no file, folder or
 * link is left out.
 */
export async function copyTree(from: string, to: string, signal: AbortSignal, onEntry: () => void): Promise<void> {
  const folders: TreeEntry[] = [{ path: '', stat: lstatSync(from, { bigint: true }) }];
  mkdirSync(to);
  for await (const entry of entriesOf(from, signal)) {
    const source = join(from, entry.path);
    const target = join(to, entry.path);
    if (entry.stat.isDirectory()) {
      mkdirSync(target);
      folders.push(entry);
    } else if (entry.stat.isSymbolicLink()) {
      symlinkSync(readlinkSync(source), target);
      keepMetadata(target, entry.stat);
    } else if (entry.stat.isFile() && copyFile(source, target)) {
      keepMetadata(target, entry.stat);
    }
    onEntry();
  }
  // What is put into a folder changes its time: folders come last, the deepest first.
  for (const { path, stat } of folders.reverse()) keepMetadata(join(to, path), stat);
}

/** False for a file that has vanished meanwhile. */
function copyFile(from: string, to: string): boolean {
  try {
    copyFileSync(from, to);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

function keepMetadata(path: string, stat: BigIntStats): void {
  if (process.getuid?.() === 0) lchownSync(path, Number(stat.uid), Number(stat.gid));
  if (!stat.isSymbolicLink()) chmodSync(path, Number(stat.mode) & 0o7777);
  lutimesSync(path, Number(stat.atimeNs) / 1e9, Number(stat.mtimeNs) / 1e9);
}

export interface Comparison {
  readonly entries: number;
  /** Bytes of content that were compared. */
  readonly bytes: number;
  /** What differs: a path and why. */
  readonly differences: readonly string[];
}

/** Compares two trees: names, types, modes, owners, times to the nanosecond, link targets and every byte. */
export async function compareTrees(
  expected: string,
  actual: string,
  signal: AbortSignal,
  onEntry: () => void = () => undefined,
): Promise<Comparison> {
  const differences: string[] = [];
  const others = new Map<string, BigIntStats>();
  for await (const { path, stat } of entriesOf(actual, signal)) others.set(path, stat);
  let entries = 0;
  let bytes = 0;
  for await (const { path, stat } of entriesOf(expected, signal)) {
    onEntry();
    entries += 1;
    const other = others.get(path);
    others.delete(path);
    const why =
      other === undefined ? ['missing'] : differencesOf(stat, other, join(expected, path), join(actual, path));
    if (why.length > 0) differences.push(`${path}: ${why.join(', ')}`);
    if (stat.isFile()) bytes += Number(stat.size);
  }
  for (const path of others.keys()) differences.push(`${path}: should not be there`);
  return { entries, bytes, differences };
}

const SIZES_OF_FILES = ['mode', 'uid', 'gid', 'mtimeNs', 'size'] as const;
const ALL_BUT_SIZE = ['mode', 'uid', 'gid', 'mtimeNs'] as const;

function differencesOf(stat: BigIntStats, other: BigIntStats, path: string, otherPath: string): string[] {
  const keys = stat.isFile() ? SIZES_OF_FILES : ALL_BUT_SIZE;
  const why = keys.filter((key) => stat[key] !== other[key]).map((key) => `${key} ${stat[key]} became ${other[key]}`);
  if (stat.isSymbolicLink() && other.isSymbolicLink() && readlinkSync(path) !== readlinkSync(otherPath)) {
    why.push('link target');
  }
  if (stat.isFile() && other.isFile() && stat.size === other.size && !haveSameContent(path, otherPath)) {
    why.push('content');
  }
  return why;
}

const here = Buffer.allocUnsafe(1 << 20);
const there = Buffer.allocUnsafe(1 << 20);

function haveSameContent(path: string, otherPath: string): boolean {
  const a = openSync(path, 'r');
  const b = openSync(otherPath, 'r');
  try {
    for (;;) {
      const length = readSync(a, here);
      if (readSync(b, there) !== length || here.compare(there, 0, length, 0, length) !== 0) return false;
      if (length === 0) return true;
    }
  } finally {
    closeSync(a);
    closeSync(b);
  }
}
