/** Finds trees that nothing refers to any more, such as those of snapshots that were removed or are damaged. */
import { decodeSnapshot, encodeSnapshot, encodeTree, EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Code, Id, Node } from '@restic-engine/repo-format';
import { IndexedRepository } from '../indexed.ts';
import { withLock } from '../lock.ts';
import type { Repository } from '../repository.ts';
import { withUpload } from '../store/upload.ts';
import { formatInstant } from '../time.ts';
import { inParallel } from './in-parallel.ts';
import { repairIndexLocked } from './repair-index.ts';
import type { RepairIndexProgress, RepairIndexResult } from './repair-index.ts';

/** Where a recovery is. The index is repaired first; trees are counted. */
export interface RecoverProgress {
  readonly phase: RepairIndexProgress['phase'] | 'trees';
  readonly done: number;
  readonly total: number;
}

export interface RecoverOptions {
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RecoverProgress) => void) | undefined;
}

export interface RecoverResult {
  /** The new snapshot; undefined when there is nothing to recover. */
  readonly snapshot: Id | undefined;
  /** The trees that are in it. */
  readonly roots: readonly Id[];
  /** Snapshots that cannot be read: their trees are recovered. */
  readonly brokenSnapshots: readonly Id[];
  /** Trees that cannot be read. */
  readonly brokenTrees: readonly Id[];
  readonly index: RepairIndexResult;
  /** What went wrong beside the recovery, such as a lock that could not be removed. */
  readonly problems: readonly string[];
}

/** The public function of this name is in upkeep.ts, and described there. */
export async function recover(repository: Repository, options: RecoverOptions = {}): Promise<RecoverResult> {
  const { signal, retryLockMs: retryMs } = options;
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withLock(repository, { exclusive: true, retryMs, signal, onLeft }, (lock) =>
    recoverLocked(repository, { ...options, signal: lock.signal }),
  );
  return { ...result, problems };
}

async function recoverLocked(repository: Repository, options: RecoverOptions): Promise<RecoverResult> {
  const { signal } = options;
  const index = await repairIndexLocked(repository, options);
  const indexed = await repository.loadIndex({ signal });
  const trees = await surveyTrees(indexed, options);
  const brokenSnapshots = await markSnapshots(indexed, trees.used, signal);
  const roots = trees.sound.filter((id) => trees.used[indexed.table.numberOf('tree', id)] === 0);
  const found = { roots, brokenSnapshots, brokenTrees: trees.broken, index, problems: [] };
  if (roots.length === 0) return { ...found, snapshot: undefined };
  return { ...found, snapshot: await saveRoots(indexed, roots, signal) };
}

interface Trees {
  readonly sound: readonly Id[];
  readonly broken: readonly Id[];
  /** For each number of the blob table: 1 where something refers to a tree. */
  readonly used: Uint8Array;
}

/** What says that a tree is damaged, rather than the way to it. */
const DAMAGE: ReadonlySet<Code> = new Set<Code>(['corrupt', 'not-found', 'out-of-range', 'too-large', 'unsupported']);

/** Reads every tree there is. */
async function surveyTrees(indexed: IndexedRepository, { signal, onProgress }: RecoverOptions): Promise<Trees> {
  const { repository, table } = indexed;
  const ids = [...new Set(treeIds(indexed))];
  const used = new Uint8Array(table.size);
  const sound: Id[] = [];
  const broken: Id[] = [];
  let done = 0;
  await inParallel(ids, { places: repository.backend.traits.connections, signal }, async (id) => {
    try {
      for (const { type, subtree } of await indexed.loadTree(id, { signal })) {
        const number = type === 'dir' && subtree !== undefined ? table.numberOf('tree', subtree) : -1;
        if (number >= 0) used[number] = 1;
      }
      sound.push(id);
    } catch (error) {
      if (!EngineError.is(error) || !DAMAGE.has(error.code)) throw error;
      broken.push(id);
    }
    onProgress?.({ phase: 'trees', done: ++done, total: ids.length });
  });
  return { sound, broken, used };
}

/** Pack by pack: trees that lie together are read together. */
function* treeIds({ table }: IndexedRepository): Generator<Id> {
  for (const { blobs } of table.byPack()) {
    for (const { type, id } of blobs) if (type === 'tree') yield id;
  }
}

/** Marks the roots of all snapshots; resolves with the snapshots that cannot be read. */
async function markSnapshots(
  { repository, table }: IndexedRepository,
  used: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Id[]> {
  const names: Id[] = [];
  for await (const { name } of repository.list('snapshot', { signal })) names.push(name);
  const broken: Id[] = [];
  await inParallel(names, { places: repository.backend.traits.connections, signal }, async (name) => {
    try {
      const number = table.numberOf(
        'tree',
        decodeSnapshot(await repository.loadFile('snapshot', name, { signal })).tree,
      );
      if (number >= 0) used[number] = 1;
    } catch (error) {
      throwIfAborted(signal);
      if (!EngineError.is(error, 'corrupt')) throw error;
      broken.push(name);
    }
  });
  return broken;
}

/** Go's mode bit of a directory, and what everybody may do in it. */
const DIRECTORY_MODE = 0x8000_0000 + 0o755;

/** A snapshot with a folder for each root, named as restic does by the beginning of its id. */
async function saveRoots(
  indexed: IndexedRepository,
  roots: readonly Id[],
  signal: AbortSignal | undefined,
): Promise<Id> {
  const { repository } = indexed;
  const { platform } = repository;
  const only = roots.length === 1 && roots[0] !== undefined ? roots[0] : undefined;
  const time = formatInstant(platform);
  const tree =
    only !== undefined && (await isRecovered(indexed, only, signal))
      ? only
      : await withUpload(indexed, { signal }, async (upload) => {
          const { id } = await upload.save('tree', encodeTree(foldersOf(roots, time)));
          return id;
        });
  const { hostname, username } = platform;
  const snapshot = { time, tree, paths: ['/recover'], hostname, username, tags: ['recovered'] };
  return repository.saveFile('snapshot', encodeSnapshot(snapshot), { signal });
}

function foldersOf(roots: readonly Id[], time: string): Node[] {
  const folders: Node[] = [];
  for (const subtree of roots.toSorted()) {
    // Sorted: only neighbors can begin alike.
    const before = folders.at(-1)?.subtree;
    let length = 8;
    while (before?.slice(0, length) === subtree.slice(0, length)) length += 1;
    const name = subtree.slice(0, length);
    const times = { mtime: time, atime: time, ctime: time };
    folders.push({ name, type: 'dir', mode: DIRECTORY_MODE, ...times, uid: 0, gid: 0, content: null, subtree });
  }
  return folders;
}

/** Did a recovery make this tree, and die before its snapshot was stored? Then the snapshot is all that is missing. */
async function isRecovered(indexed: IndexedRepository, id: Id, signal: AbortSignal | undefined): Promise<boolean> {
  const nodes = await indexed.loadTree(id, { signal });
  return (
    nodes.length > 0 &&
    nodes.every(({ name, subtree }) => name.length >= 8 && subtree !== undefined && subtree.startsWith(name))
  );
}
