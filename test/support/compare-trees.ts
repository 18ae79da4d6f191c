/** What a directory holds, in a form that two directories can be compared in. Works on raw bytes of names. */
import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type BigIntStats } from 'node:fs';
import { pathFromBytes } from '@restic-engine/repo-format';
import { loadNative, type NativeCalls } from '../../packages/snapshot/src/native/native.ts';

/** path (PEP 383, relative, from a `/` on) → everything about the entry that a restore must bring back. */
export type TreeFacts = Readonly<Record<string, string>>;

/** Describes everything below `root`; `root` itself is left out. Sockets, which nobody backs up, too. */
export function treeFacts(root: string): TreeFacts {
  const native = loadNative();
  if (native === undefined) throw new Error('comparing trees needs the optional package koffi');
  const walk: Walk = { native, facts: {}, linked: new Map() };
  describe(Buffer.from(root), '', walk);
  return walk.facts;
}

interface Walk {
  readonly native: NativeCalls;
  readonly facts: Record<string, string>;
  /** inode → the first path it was found at. */
  readonly linked: Map<bigint, string>;
}

function describe(directory: Buffer, path: string, walk: Walk): void {
  for (const name of readdirSync(directory, { encoding: 'buffer' }).toSorted(Buffer.compare)) {
    const real = Buffer.concat([directory, Buffer.from('/'), name]);
    const place = `${path}/${pathFromBytes(name)}`;
    const stat = lstatSync(real, { bigint: true });
    if (stat.isSocket()) continue;
    walk.facts[place] = [
      `mode=${stat.mode.toString(8)} owner=${stat.uid}:${stat.gid} mtime=${stat.mtimeNs}`,
      ...ofType(real, stat),
      ...links(place, stat, walk),
      ...attributes(pathFromBytes(real), walk.native),
    ].join(' ');
    if (stat.isDirectory()) describe(real, place, walk);
  }
}

function ofType(path: Buffer, stat: BigIntStats): string[] {
  if (stat.isFile()) return [`size=${stat.size} sha256=${digest(path)}`];
  if (stat.isSymbolicLink()) return [`target=${readlinkSync(path, { encoding: 'buffer' }).toString('hex')}`];
  return stat.isBlockDevice() || stat.isCharacterDevice() ? [`device=${stat.rdev}`] : [];
}

/** Which entry this one is the same file as. */
function links(path: string, stat: BigIntStats, { linked }: Walk): string[] {
  if (stat.isDirectory() || stat.nlink === 1n) return [];
  const first = linked.get(stat.ino);
  if (first === undefined) linked.set(stat.ino, path);
  return [`links=${stat.nlink} same=${first ?? path}`];
}

function attributes(path: string, native: NativeCalls): string[] {
  const names = native.listXattrs(path).toSorted();
  return names.map((name) => `${name}=${Buffer.from(native.getXattr(path, name) ?? []).toString('hex')}`);
}

function digest(path: Buffer): string {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1 << 20);
  const file = openSync(path, 'r');
  try {
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
      hash.update(buffer.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex');
}
