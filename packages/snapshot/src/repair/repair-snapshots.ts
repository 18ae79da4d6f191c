/** Snapshots of what is left where something is lost. */
import { compareTimestamps, encodeSnapshot, EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { withLock, withUpload } from '@restic-engine/repository';
import type { Repository } from '@restic-engine/repository';
import { findSnapshot, listSnapshots, matchesFilter } from '../find.ts';
import type { SnapshotEntry, SnapshotFilter } from '../find.ts';
import { removeSnapshots } from '../forget/remove.ts';
import type { SnapshotFailure } from '../forget/remove.ts';
import { TreeRepairer } from './repair-trees.ts';
import type { RepairedTree, TreeChange } from './repair-trees.ts';

/** Snapshots whose trees have been looked at. */
export interface RepairSnapshotsProgress {
  readonly done: number;
  readonly total: number;
}

export interface RepairSnapshotsOptions {
  /** Ids, unique beginnings of ids, or `latest`. @default all that pass the filter */
  readonly ids?: readonly string[] | undefined;
  readonly filter?: SnapshotFilter | undefined;
  /**
   * Remove the snapshots that were repaired, and files of snapshots that cannot be read unless only some snapshots are
   * asked for. Otherwise the new ones have the tag `repaired`. @default false
   */
  readonly forget?: boolean | undefined;
  /** Say what would be done, and change nothing. @default false */
  readonly dryRun?: boolean | undefined;
  /** Lock the repository against all others; only a dry run may do without. @default true */
  readonly lock?: boolean | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairSnapshotsProgress) => void) | undefined;
}

/** What became of a snapshot. */
export interface SnapshotRepair {
  readonly snapshot: SnapshotEntry;
  /** Trees that several snapshots share are told with the first of them. */
  readonly changes: readonly TreeChange[];
  /** `lost`: its root cannot be read, so there is nothing to save. */
  readonly state: 'sound' | 'repaired' | 'lost';
  /** The new snapshot; in a dry run there is none. */
  readonly replacement?: Id | undefined;
  /** The replacement is there since an earlier repair. */
  readonly existed: boolean;
  /** The snapshot is removed. Those that are lost always are, as by restic. */
  readonly removed: boolean;
}

/** A snapshot file that cannot be read. */
export interface BrokenSnapshot extends SnapshotFailure {
  readonly removed: boolean;
}

export interface RepairSnapshotsResult {
  /** All that were looked at, the oldest first. */
  readonly snapshots: readonly SnapshotRepair[];
  /** Snapshot files that cannot be read. `recover` finds their trees. */
  readonly broken: readonly BrokenSnapshot[];
  /** What could not be repaired, or could not be removed once the new one was there. */
  readonly failed: readonly SnapshotFailure[];
  /** What else went wrong, for people. */
  readonly problems: readonly string[];
}

/**
 * Replaces snapshots of which something is missing by snapshots of the rest, as restic does: files lose the parts that
 * are in no index, folders that cannot be read become empty. Trees in which nothing is wrong keep their ids. First come
 * trees and their index, then snapshots; removals are last, and a second run finishes one that was interrupted.
 *
 * It believes the index: repair that first. Rejects with `bad-request`, `locked`, `not-found`, `ambiguous`, `aborted`,
 * `corrupt` if the index cannot be read, and what the store says.
 *
 * @example
 * ```ts
 * const { snapshots } = await repairSnapshots(repository, { forget: true, dryRun: true });
 * ```
 */
export async function repairSnapshots(
  repository: Repository,
  options: RepairSnapshotsOptions = {},
): Promise<RepairSnapshotsResult> {
  const { signal, retryLockMs: retryMs, dryRun = false, lock = true } = options;
  if (!lock) {
    if (!dryRun) throw new EngineError('bad-request', 'only a dry run can do without a lock');
    return repairLocked(repository, options);
  }
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withLock(repository, { exclusive: true, retryMs, signal, onLeft }, (held) =>
    repairLocked(repository, { ...options, signal: held.signal }),
  );
  return { ...result, problems };
}

async function repairLocked(repository: Repository, options: RepairSnapshotsOptions): Promise<RepairSnapshotsResult> {
  const { signal, dryRun = false, forget = false } = options;
  const broken: SnapshotFailure[] = [];
  const failed: SnapshotFailure[] = [];
  const onBroken = (id: Id, error: EngineError): void => void broken.push({ id, error });
  const all = await Array.fromAsync(listSnapshots(repository, { signal, onBroken }));
  const chosen = await choose(repository, all, options);
  const trees = await repairTrees(repository, chosen, failed, options);

  const earlier = Map.groupBy(all, ({ original }) => original);
  const repaired: SnapshotRepair[] = [];
  const leaving: Id[] = [];
  for (const [snapshot, repair] of trees) {
    const done = await replace(repository, snapshot, repair, earlier.get(snapshot.id) ?? [], options);
    repaired.push(done);
    if (done.state === 'lost' || (done.state === 'repaired' && forget)) leaving.push(snapshot.id);
  }
  if (dryRun) return { snapshots: repaired, broken: markRemoved(broken, new Set()), failed, problems: [] };
  // What they say is lost, and no filter can tell whether they are meant.
  if (forget && isEverything(options)) leaving.push(...broken.map(({ id }) => id));
  throwIfAborted(signal);
  const gone = await removeSnapshots(repository, leaving, signal ?? new AbortController().signal);
  const removed = new Set(gone.removed);
  return {
    snapshots: repaired.map((each) => ({ ...each, removed: removed.has(each.snapshot.id) })),
    broken: markRemoved(broken, removed),
    failed: [...failed, ...gone.failed],
    problems: [],
  };
}

function markRemoved(broken: readonly SnapshotFailure[], removed: ReadonlySet<Id>): BrokenSnapshot[] {
  return broken.map((each) => ({ ...each, removed: removed.has(each.id) }));
}

function isEverything({ ids = [], filter = {} }: RepairSnapshotsOptions): boolean {
  return [ids, filter.hosts ?? [], filter.tags ?? [], filter.paths ?? []].every(({ length }) => length === 0);
}

async function choose(
  repository: Repository,
  all: readonly SnapshotEntry[],
  { ids = [], filter, signal }: RepairSnapshotsOptions,
): Promise<SnapshotEntry[]> {
  const named = new Set<Id>();
  for (const id of ids) named.add((await findSnapshot(repository, id, { filter, signal })).snapshot.id);
  return all
    .filter((snapshot) => (ids.length > 0 ? named.has(snapshot.id) : matchesFilter(snapshot, filter)))
    .toSorted((a, b) => compareTimestamps(a.time, b.time) || (a.id < b.id ? -1 : 1));
}

/** What becomes of the trees of snapshots. They are stored and indexed when it resolves. */
async function repairTrees(
  repository: Repository,
  snapshots: readonly SnapshotEntry[],
  failed: SnapshotFailure[],
  { signal, dryRun = false, onProgress }: RepairSnapshotsOptions,
): Promise<Map<SnapshotEntry, RepairedTree>> {
  const indexed = await repository.loadIndex({ signal });
  return withUpload(indexed, { dryRun, signal }, async (upload) => {
    const repairer = new TreeRepairer(indexed, upload);
    const trees = new Map<SnapshotEntry, RepairedTree>();
    let done = 0;
    for (const snapshot of snapshots) {
      try {
        trees.set(snapshot, await repairer.repair(snapshot.tree));
      } catch (error) {
        // A tree that cannot be written. Other snapshots may do without it.
        if (!EngineError.is(error, 'bad-request') && !EngineError.is(error, 'unsupported')) throw error;
        failed.push({ id: snapshot.id, error });
      }
      onProgress?.({ done: ++done, total: snapshots.length });
    }
    return trees;
  });
}

/** Stores the snapshot that is to take the place of another, unless an earlier run, perhaps interrupted, has done so. */
async function replace(
  repository: Repository,
  snapshot: SnapshotEntry,
  { tree, changes }: RepairedTree,
  madeOfIt: readonly SnapshotEntry[],
  options: RepairSnapshotsOptions,
): Promise<SnapshotRepair> {
  const state = tree === undefined ? 'lost' : tree === snapshot.tree ? 'sound' : 'repaired';
  const done = { snapshot, changes, state, existed: false, removed: false } as const;
  if (state === 'sound' || tree === undefined || options.dryRun === true) return done;
  const { time, hostname } = snapshot;
  const earlier = madeOfIt.find((other) => other.tree === tree && other.time === time && other.hostname === hostname);
  if (earlier !== undefined) return { ...done, replacement: earlier.id, existed: true };
  return { ...done, replacement: await saveRepaired(repository, snapshot, tree, options) };
}

const REPAIRED = 'repaired';

async function saveRepaired(
  repository: Repository,
  { id, ...snapshot }: SnapshotEntry,
  tree: Id,
  { forget = false, signal }: RepairSnapshotsOptions,
): Promise<Id> {
  const { tags = [] } = snapshot;
  const marked = forget || tags.includes(REPAIRED) ? tags : [...tags, REPAIRED];
  const tagged = marked.length > 0 ? { tags: marked } : {};
  return repository.saveFile('snapshot', encodeSnapshot({ ...snapshot, ...tagged, tree, original: id }), { signal });
}
