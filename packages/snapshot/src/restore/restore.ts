/** Restoring a snapshot into a directory. */
import type { Id } from '@restic-engine/repo-format';
import { withPreparedLock } from '@restic-engine/repository';
import type { IndexedRepository, Repository } from '@restic-engine/repository';
import { findSnapshot } from '../find.ts';
import type { SnapshotEntry, SnapshotFilter } from '../find.ts';
import { findTree } from '../walk.ts';
import { checkOptions } from './check-options.ts';
import type { restoreTree } from './restore-tree.ts';
import type { RestoreTreeOptions, RestoreTreeResult } from './types.ts';

/** Which snapshot to restore, and where to. */
export interface RestoreOptions extends RestoreTreeOptions {
  /** An id, the unique beginning of one, or `latest`; `:sub/folder` after it restores that folder's content. */
  readonly snapshot: string;
  /** Which snapshots `latest` may mean. */
  readonly filter?: SnapshotFilter | undefined;
  /** Lock the repository against removal of data meanwhile. @default true */
  readonly lock?: boolean | undefined;
  /** How long to wait for a lock that is in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
}

/** What a restore did. Look at `errors`: items that fail do not make it reject. */
export interface RestoreResult extends RestoreTreeResult {
  readonly snapshot: SnapshotEntry;
}

/**
 * Restores a snapshot, or a folder of it, into a directory. Nothing outside that directory is written, whatever the
 * snapshot or links in the target say. Items that fail are in the result's `errors`; the rest is restored.
 *
 * Rejects with `not-found` or `ambiguous` for the snapshot, `locked`, `bad-request` for contradictory options,
 * `corrupt` if the snapshot or its first tree cannot be read, `denied` if the target cannot be made, and `aborted`.
 * Nothing is running any more when the promise settles.
 *
 * @example
 * ```ts
 * const { errors } = await restore(repository, { snapshot: 'latest', target: '/tmp/restored', verify: true });
 * ```
 */
export async function restore(repository: Repository, options: RestoreOptions): Promise<RestoreResult> {
  checkOptions(options);
  const { signal, retryLockMs: retryMs } = options;
  if (options.lock === false) return restorePrepared(await prepare(repository, options), options);
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withPreparedLock(
    repository,
    { retryMs, signal, onLeft },
    (reading) => prepare(repository, { ...options, signal: reading }),
    (lock, prepared) => restorePrepared(prepared, { ...options, signal: lock.signal }),
  );
  return { ...result, problems: [...result.problems, ...problems] };
}

interface Prepared {
  readonly restoreTree: typeof restoreTree;
  readonly snapshot: SnapshotEntry;
  readonly indexed: IndexedRepository;
  readonly tree: Id;
}

/** What a restore needs: its code, and what it must know of the repository. Read while the lock settles. */
async function prepare(repository: Repository, { snapshot: spec, filter, signal }: RestoreOptions): Promise<Prepared> {
  const { writeSealed } = await import('./sink-fs/write-task.ts');
  repository.pool.warm(writeSealed);
  const { restoreTree } = await import('./restore-tree.ts');
  const { snapshot, subfolder } = await findSnapshot(repository, spec, { filter, signal });
  const indexed = await repository.loadIndex({ signal });
  return { restoreTree, snapshot, indexed, tree: await findTree(indexed, snapshot.tree, subfolder, { signal }) };
}

async function restorePrepared(
  { restoreTree, snapshot, indexed, tree }: Prepared,
  options: RestoreOptions,
): Promise<RestoreResult> {
  return { snapshot, ...(await restoreTree(indexed, tree, options)) };
}
