/** Changing the tags of snapshots. A snapshot file never changes, so each is replaced by another. */
import { EngineError, encodeSnapshot } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { withLock } from '@restic-engine/repository';
import type { Repository } from '@restic-engine/repository';
import { snapshotsByOrigin } from './copy/same-snapshot.ts';
import { selectSnapshots } from './find.ts';
import type { ListSnapshotsOptions, SnapshotEntry, SnapshotFilter } from './find.ts';
import type { SnapshotFailure } from './forget/remove.ts';

export interface TagOptions {
  /** Ids, unique beginnings of ids, or `latest`. @default all that pass the filter */
  readonly ids?: readonly string[] | undefined;
  readonly filter?: SnapshotFilter | undefined;
  /** Takes snapshots that are damaged, which are left out then unless they are named. @default they reject */
  readonly onBroken?: ListSnapshotsOptions['onBroken'];
  /** These instead of the present tags, none if empty; not together with `add` and `remove`. */
  readonly set?: readonly string[] | undefined;
  readonly add?: readonly string[] | undefined;
  readonly remove?: readonly string[] | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A snapshot that has a new id, because it has other tags. */
export interface ReplacedSnapshot {
  readonly before: Id;
  readonly after: Id;
}

export interface TagResult {
  readonly changed: readonly ReplacedSnapshot[];
  /** What could not be changed, or could not be removed once the new one was there. */
  readonly failed: readonly SnapshotFailure[];
  /** What else went wrong, for people. */
  readonly problems: readonly string[];
}

/**
 * Changes tags under an exclusive lock. Each new snapshot is stored before the old one is removed and names in
 * `original` the first of its line. With `add` and `remove`, snapshots that would stay the same are left alone. A second
 * run finishes one that was interrupted, and makes no snapshot twice.
 *
 * Rejects with `bad-request` when there is nothing to do or too much, and with `locked`, `not-found`, `ambiguous`,
 * `aborted`, and `corrupt` if a snapshot cannot be read.
 */
export async function tag(repository: Repository, options: TagOptions): Promise<TagResult> {
  checkOptions(options);
  const { ids, filter, onBroken, signal, retryLockMs: retryMs } = options;
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  return withLock(repository, { exclusive: true, retryMs, signal, onLeft }, async (lock) => {
    const changed: ReplacedSnapshot[] = [];
    const failed: SnapshotFailure[] = [];
    let present: ReadonlyMap<Id, readonly SnapshotEntry[]> | undefined;
    const gone = new Set<Id>();
    for (const snapshot of await selectSnapshots(repository, { ids, filter, onBroken, signal: lock.signal })) {
      const tags = newTags(snapshot.tags ?? [], options);
      if (tags === undefined) continue;
      present ??= await snapshotsByOrigin(repository, { signal: lock.signal });
      const relatives = (present.get(snapshot.original ?? snapshot.id) ?? []).filter(({ id }) => !gone.has(id));
      try {
        const after = await replace(repository, { snapshot, tags, relatives }, lock.signal);
        gone.add(snapshot.id);
        changed.push({ before: snapshot.id, after });
      } catch (error) {
        if (!EngineError.is(error) || error.code === 'aborted') throw error;
        failed.push({ id: snapshot.id, error });
      }
    }
    return { changed, failed, problems };
  });
}

function checkOptions({ set, add = [], remove = [] }: TagOptions): void {
  const isRelative = add.length + remove.length > 0;
  if (set === undefined && !isRelative) throw new EngineError('bad-request', 'no tags to set, add or remove');
  if (set !== undefined && isRelative) {
    throw new EngineError('bad-request', 'tags cannot be set, and added or removed, at the same time');
  }
}

/** Undefined when nothing changes. */
function newTags(present: readonly string[], { set, add = [], remove = [] }: TagOptions): string[] | undefined {
  if (set !== undefined) return [...set];
  const all = [...new Set([...present, ...add])];
  const rest = all.filter((name) => !remove.includes(name));
  return rest.length === present.length && rest.every((name, at) => name === present[at]) ? undefined : rest;
}

interface Change {
  readonly snapshot: SnapshotEntry;
  readonly tags: readonly string[];
  /** Snapshots that came from the same one. */
  readonly relatives: readonly SnapshotEntry[];
}

/** Puts a snapshot with these tags in the place of another, the one of an earlier run if that died in between. */
async function replace(
  repository: Repository,
  { snapshot, tags, relatives }: Change,
  signal: AbortSignal,
): Promise<Id> {
  const { id } = snapshot;
  const changed = encodeSnapshot({ ...snapshot, tags, original: snapshot.original ?? id });
  const known = relatives.find((other) => other.id !== id && Buffer.compare(encodeSnapshot(other), changed) === 0);
  const after = known?.id ?? (await repository.saveFile('snapshot', changed, { signal }));
  await repository.removeFile('snapshot', id, { signal });
  return after;
}
