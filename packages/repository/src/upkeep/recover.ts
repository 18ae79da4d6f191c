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
  const states = new Uint8Array(indexed.table.size);
  await surveyTrees(indexed, states, options);
  const brokenSnapshots = await markSnapshots(indexed, states, signal);
  const roots = treesThat(indexed, states, (state) => (state & (USED | BROKEN)) === 0);
  const brokenTrees = treesThat(indexed, states, (state) => (state & BROKEN) !== 0);
  const found = { roots, brokenSnapshots, brokenTrees, index, problems: [] };
  if (roots.length === 0) return { ...found, snapshot: undefined };
  return { ...found, snapshot: await saveRoots(indexed, roots, signal) };
}

/** What is known of a tree, at its number in the blob table: somebody counted it, */
const COUNTED = 1;
/** somebody is reading it, */
const READ = 2;
/** a tree or a snapshot refers to it, */
const USED = 4;
/** it cannot be read. */
const BROKEN = 8;

/** What says that a tree or a snapshot is damaged, rather than the way to it. */
const DAMAGE: ReadonlySet<Code> = new Set<Code>(['corrupt', 'not-found', 'out-of-range', 'too-large', 'unsupported']);

/** Reads every tree there is. */
async function surveyTrees(
  indexed: IndexedRepository,
  states: Uint8Array,
  { signal, onProgress }: RecoverOptions,
): Promise<void> {
  const { repository, table } = indexed;
  let total = 0;
  for (const { type, id } of table.entries()) {
    if (type === 'tree' && mark(indexed, states, id, COUNTED)) total += 1;
  }
  const places = repository.backend.traits.connections;
  let done = 0;
  await inParallel(unreadTrees(indexed, states), { places, signal }, async (id) => {
    try {
      for (const { type, subtree } of await indexed.loadTree(id, { signal })) {
        if (type === 'dir' && subtree !== undefined) mark(indexed, states, subtree, USED);
      }
    } catch (error) {
      if (!EngineError.is(error) || !DAMAGE.has(error.code)) throw error;
      mark(indexed, states, id, BROKEN);
    }
    onProgress?.({ phase: 'trees', done: ++done, total });
  });
}

/** Says whether the mark is new; trees that are in no index have none. */
function mark({ table }: IndexedRepository, states: Uint8Array, tree: Id, bit: number): boolean {
  const number = table.numberOf('tree', tree);
  const state = states[number];
  if (state === undefined || (state & bit) !== 0) return false;
  states[number] = state | bit;
  return true;
}

/** Each tree once, pack by pack: trees that lie together are read together. */
function* unreadTrees(indexed: IndexedRepository, states: Uint8Array): Generator<Id> {
  for (const { blobs } of indexed.table.byPack()) {
    for (const { type, id } of blobs) if (type === 'tree' && mark(indexed, states, id, READ)) yield id;
  }
}

/** The trees whose state passes, in a fixed order. */
function treesThat({ table }: IndexedRepository, states: Uint8Array, passes: (state: number) => boolean): Id[] {
  const found = new Set<Id>();
  for (const { type, id } of table.entries()) {
    if (type === 'tree' && passes(states[table.numberOf('tree', id)] ?? 0)) found.add(id);
  }
  return [...found].toSorted();
}

/** Marks the roots of all snapshots; resolves with the snapshots that cannot be read. */
async function markSnapshots(
  indexed: IndexedRepository,
  states: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Id[]> {
  const { repository } = indexed;
  const names: Id[] = [];
  for await (const { name } of repository.list('snapshot', { signal })) names.push(name);
  const broken: Id[] = [];
  await inParallel(names, { places: repository.backend.traits.connections, signal }, async (name) => {
    try {
      const { tree } = decodeSnapshot(await repository.loadFile('snapshot', name, { signal }));
      mark(indexed, states, tree, USED);
    } catch (error) {
      throwIfAborted(signal);
      if (!EngineError.is(error) || !DAMAGE.has(error.code)) throw error;
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
  for (const subtree of roots) {
    // They are sorted, so only neighbors can begin alike.
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
