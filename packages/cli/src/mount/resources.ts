/** What WebDAV clients see of the snapshots: folders and files, since links and devices are unknown to them. */
import { createHash } from 'node:crypto';
import type { Node, SnapshotDirent, SnapshotFs, SnapshotStats } from 'restic-engine';
import type { Engine } from '../open.ts';
import { hrefOf } from './href.ts';

export interface Resource {
  /** For people; '' for the root. */
  readonly name: string;
  /** From the server's root on; that of a folder ends with `/`. */
  readonly href: string;
  readonly stats: SnapshotStats;
  /** With its quotes; undefined for folders. */
  readonly etag: string | undefined;
}

export interface Tree {
  readonly engine: Engine;
  readonly fs: SnapshotFs;
  /** What paths of URLs begin with, without a `/` at the end. */
  readonly prefix: string;
}

interface Call {
  readonly signal: AbortSignal;
}

/** Is there, for these clients, nothing at that path? Everything else is a failure. */
export function isAbsence(engine: Engine, error: unknown): boolean {
  return engine.EngineError.is(error) && 'errno' in error.context;
}

/** The file or folder at a path, where a link leads; undefined where there is neither. */
export async function resourceAt(tree: Tree, path: string, call: Call): Promise<Resource | undefined> {
  try {
    const stats = await tree.fs.stat(path, call);
    return stats.isFile() || stats.isDirectory() ? describe(tree, path, stats) : undefined;
  } catch (error) {
    if (isAbsence(tree.engine, error)) return undefined;
    throw error;
  }
}

/**
 * What is in a folder. A link to a file is that file; one to a folder, which could be one above it and without end, is left
 * out, except for the `latest` snapshot.
 */
export async function* resourcesIn(tree: Tree, path: string, call: Call): AsyncGenerator<Resource> {
  const folder = path.endsWith('/') ? path : `${path}/`;
  for (const entry of await tree.fs.readdir(path, { withFileTypes: true, ...call })) {
    const resource = await resourceOf(tree, folder + entry.name, entry, call);
    if (resource !== undefined) yield resource;
  }
}

async function resourceOf(tree: Tree, path: string, entry: SnapshotDirent, call: Call): Promise<Resource | undefined> {
  if (entry.isFile() || entry.isDirectory()) return describe(tree, path, entry.stats());
  if (!entry.isSymbolicLink()) return undefined;
  const target = await resourceAt(tree, path, call);
  const isMadeUp = entry.stats().node === undefined;
  return target?.stats.isFile() || isMadeUp ? target : undefined;
}

function describe({ engine, prefix }: Tree, path: string, stats: SnapshotStats): Resource {
  const plain = path.replace(/\/+$/, '');
  return {
    name: plain.slice(plain.lastIndexOf('/') + 1),
    href: hrefOf(engine, prefix, stats.isDirectory() ? `${plain}/` : plain),
    stats,
    etag: stats.node && stats.isFile() ? etagOf(stats.node) : undefined,
  };
}

const etags = new WeakMap<Node, string>();

/** Equal contents have equal tags, whatever their names and times. */
function etagOf(node: Node): string {
  const known = etags.get(node);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  for (const id of node.content ?? []) hash.update(id);
  const etag = `"${hash.digest('hex').slice(0, 32)}"`;
  etags.set(node, etag);
  return etag;
}
