/** How much is in snapshots (restic manual, "Getting information about repository and snapshots data"). */
import { EngineError, SEAL_OVERHEAD, sha256, throwIfAborted } from '@restic-engine/repo-format';
import type { BlobType, Call, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import type { SnapshotEntry } from './find.ts';
import { subtreeOf, walk } from './walk.ts';

/**
 * `restore-size`: what a restore writes, with hard links once a snapshot. `files-by-contents`: files with the same
 * content count once. `blobs-per-file`: a blob counts once for each path. `raw-data`: what the blobs take as stored.
 */
export type StatsMode = 'restore-size' | 'files-by-contents' | 'blobs-per-file' | 'raw-data';

export interface Stats {
  readonly snapshots: number;
  /** Bytes. */
  readonly size: number;
  /** Items, directories and all but in `blobs-per-file`; 0 with `raw-data`. */
  readonly files: number;
  /** 0 where blobs are not counted. */
  readonly blobs: number;
  /** With `raw-data` in a repository that compresses. */
  readonly compression?: CompressionStats | undefined;
}

/** Bytes as stored, and as they would be stored without compression. */
export interface CompressionStats {
  readonly uncompressedSize: number;
  /** Of compressed blobs alone. */
  readonly compressedBlobs: { readonly size: number; readonly uncompressedSize: number };
}

export interface StatsOptions extends Call {
  /** @default 'restore-size' */
  readonly mode?: StatsMode | undefined;
  /** Told of every snapshot that has been looked at, and what has been added up by then. */
  readonly onProgress?:
    | ((progress: {
        readonly snapshotsDone: number;
        readonly snapshotsTotal: number;
        readonly size: number;
        readonly files: number;
        readonly blobs: number;
      }) => void)
    | undefined;
}

/** Adds up what is in snapshots. Rejects with `not-found` and `corrupt` when a tree cannot be read, `aborted`. */
export async function stats(
  repository: IndexedRepository,
  snapshots: readonly SnapshotEntry[],
  options: StatsOptions = {},
): Promise<Stats> {
  const { mode = 'restore-size', signal, onProgress } = options;
  if (mode === 'raw-data') return rawData(repository, snapshots, options);
  const counter = COUNTERS[mode](repository);
  for (const [index, { tree }] of snapshots.entries()) {
    const count = counter.snapshot();
    for await (const { path, node } of walk(repository, tree, { signal })) count(node, path);
    onProgress?.({ snapshotsDone: index + 1, snapshotsTotal: snapshots.length, ...counter.totals });
  }
  return { snapshots: snapshots.length, ...counter.totals };
}

interface Totals {
  size: number;
  files: number;
  blobs: number;
}

interface Counter {
  readonly totals: Totals;
  /** Begins a snapshot; the result counts its nodes. */
  snapshot(): (node: Node, path: string) => void;
}

const COUNTERS: Readonly<Record<Exclude<StatsMode, 'raw-data'>, (repository: IndexedRepository) => Counter>> = {
  'restore-size': restoreSize,
  'files-by-contents': filesByContents,
  'blobs-per-file': blobsPerFile,
};

function restoreSize(): Counter {
  const totals: Totals = { size: 0, files: 0, blobs: 0 };
  return {
    totals,
    snapshot() {
      const links = new Set<string>();
      return ({ type, links: count, inode = 0, deviceId = 0, size = 0 }) => {
        totals.files += 1;
        if (count !== 1 && type !== 'dir' && inode !== 0) {
          const link = `${deviceId} ${inode}`;
          if (links.has(link)) return;
          links.add(link);
        }
        totals.size += Number(size);
      };
    },
  };
}

function filesByContents(): Counter {
  const totals: Totals = { size: 0, files: 0, blobs: 0 };
  const isNew = newContents();
  return {
    totals,
    snapshot: () => (node) => {
      if (!isNew(node)) return;
      totals.files += 1;
      totals.size += Number(node.size ?? 0);
    },
  };
}

/** As restic counts: a content that was seen at one path is not counted at another. */
function blobsPerFile(repository: IndexedRepository): Counter {
  const totals: Totals = { size: 0, files: 0, blobs: 0 };
  const isNew = newContents();
  const blobsOf = new Map<string, Set<Id>>();
  return {
    totals,
    snapshot: () => (node, path) => {
      if (node.content === null || node.content.length === 0 || !isNew(node)) return;
      const known = blobsOf.get(path) ?? new Set();
      if (known.size === 0) totals.files += 1;
      blobsOf.set(path, known);
      for (const id of node.content) {
        if (known.has(id)) continue;
        known.add(id);
        totals.blobs += 1;
        totals.size += repository.plainLength('data', id) ?? missing('data', id);
      }
    },
  };
}

/** Tells whether a content is there for the first time; what has none has the empty one. */
function newContents(): (node: Node) => boolean {
  const seen = new Set<Id>();
  return ({ content }) => {
    const id = sha256(Buffer.from((content ?? []).join(''), 'hex'));
    return seen.size !== seen.add(id).size;
  };
}

async function rawData(
  repository: IndexedRepository,
  snapshots: readonly SnapshotEntry[],
  { signal, onProgress }: StatsOptions,
): Promise<Stats> {
  let [size, uncompressedSize] = [0, 0];
  const compressedBlobs = { size: 0, uncompressedSize: 0 };
  const seen = new Set<string>();
  const count = (type: BlobType, id: Id): boolean => {
    if (seen.size === seen.add(`${type} ${id}`).size) return false;
    const location = repository.locate(type, id) ?? missing(type, id);
    const plain = location.uncompressedLength === 0 ? location.length : location.uncompressedLength + SEAL_OVERHEAD;
    size += location.length;
    uncompressedSize += plain;
    if (location.uncompressedLength === 0) return true;
    compressedBlobs.size += location.length;
    compressedBlobs.uncompressedSize += plain;
    return true;
  };
  for (const [index, snapshot] of snapshots.entries()) {
    const waiting = [snapshot.tree];
    for (let tree = waiting.pop(); tree !== undefined; tree = waiting.pop()) {
      throwIfAborted(signal);
      if (!count('tree', tree)) continue;
      for (const node of await repository.loadTree(tree, { signal })) {
        if (node.type === 'dir') waiting.push(subtreeOf(node, node.name));
        if (node.type === 'file') for (const id of node.content ?? []) count('data', id);
      }
    }
    const snapshotsTotal = snapshots.length;
    onProgress?.({ snapshotsDone: index + 1, snapshotsTotal, size, files: 0, blobs: seen.size });
  }
  const compression = repository.repository.config.version < 2 ? undefined : { uncompressedSize, compressedBlobs };
  return { snapshots: snapshots.length, size, files: 0, blobs: seen.size, compression };
}

function missing(type: BlobType, id: Id): never {
  throw new EngineError('not-found', `${type} blob ${id} is in no index`, { type, id });
}
