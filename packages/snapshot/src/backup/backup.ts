/** Backing up: from a source to a snapshot. */
import { encodeSnapshot } from '@restic-engine/repo-format';
import type { Snapshot, SnapshotSummary } from '@restic-engine/repo-format';
import { formatInstant, returnNeeded, withPreparedLock } from '@restic-engine/repository';
import type { IndexedRepository, Repository, RepositoryLock } from '@restic-engine/repository';
import type { SnapshotEntry } from '../find.ts';
import type { OpenedTree, Source } from '../source/source.ts';
import type { archive, Archived, Run } from './archive.ts';
import { asTimestamp } from './as-timestamp.ts';
import { findParent } from './parent.ts';
import { Tracker } from './progress.ts';
import type { BackupOptions, BackupResult } from './types.ts';

/** What this package calls itself in snapshots. */
export const PROGRAM_VERSION = 'restic-engine 0.1.0';

interface Prepared {
  readonly archive: typeof archive;
  readonly parent: SnapshotEntry | undefined;
  readonly indexed: IndexedRepository;
}

/**
 * Makes a snapshot of a source.
 *
 * An entry that cannot be read is an error in the result, and everything else goes on. When the returned promise
 * resolves, the snapshot and all it needs are durable: packs first, then the index, the snapshot last. When it rejects
 * there is no snapshot, and what was stored is found again by the next run or removed by a prune.
 *
 * Rejects with `locked` (by others, or the lock was lost), `not-found` (a parent that was asked for), `bad-request`
 * (nothing to back up), `aborted`, and what the backend says.
 *
 * @example
 * ```ts
 * const result = await backup(repository, { source: files({ targets: ['/srv/data'] }), tags: ['nightly'] });
 * console.log(result.snapshotId, result.summary.dataAdded, result.errors.length);
 * ```
 */
export async function backup(repository: Repository, options: BackupOptions): Promise<BackupResult> {
  check(repository, options);
  const { platform } = repository;
  const { retryLockMs: retryMs, signal, time, under } = options;
  const tracker = new Tracker(options);
  const given = time === undefined ? undefined : asTimestamp(time, platform);
  const onLeft = (error: unknown): void => tracker.problem(`the lock could not be removed: ${String(error)}`);
  const { source } = options;
  const opened = source.kind === 'tree' ? openTree(source, repository, tracker) : undefined;
  const paths = opened?.paths ?? (source.kind === 'objects' ? source.paths : []);
  const started = formatInstant(platform);
  const facts = {
    options,
    startedAt: performance.now(),
    started,
    time: given ?? started,
    hostname: options.hostname ?? platform.hostname,
    paths,
    tracker,
  };
  const ready = (reading: AbortSignal): Promise<Prepared> => prepare(repository, { ...facts, signal: reading }, opened);
  const work = (lock: RepositoryLock, prepared: Prepared): Promise<Omit<BackupResult, 'problems'>> =>
    backupLocked(repository, { ...facts, signal: underLock(lock, signal) }, opened, prepared);
  const result =
    under === undefined
      ? await withPreparedLock(repository, { retryMs, signal, onLeft }, ready, work)
      : await inHeldLock(under.lock, async (lock) => work(lock, await ready(underLock(lock, signal))));
  return { ...result, problems: [...tracker.problems] };
}

/** Fires when the lock is lost, and when the caller of this backup gives up. */
function underLock(lock: RepositoryLock, signal: AbortSignal | undefined): AbortSignal {
  return signal === undefined ? lock.signal : AbortSignal.any([lock.signal, signal]);
}

async function inHeldLock<T>(lock: RepositoryLock, body: (lock: RepositoryLock) => Promise<T>): Promise<T> {
  try {
    return await body(lock);
  } catch (error) {
    throw lock.lost ?? error;
  }
}

/** What would otherwise be met late: as a backup that waits forever, or a snapshot that no program can read. */
function check(repository: Repository, { readConcurrency = 1, tags = [], under }: BackupOptions): void {
  if (under !== undefined && under.indexed.repository !== repository)
    throw new TypeError('the index is that of another repository');
  if (!(Number.isSafeInteger(readConcurrency) && readConcurrency > 0))
    throw new RangeError('readConcurrency must be a whole number of at least 1');
  if (!Array.isArray(tags) || tags.some((tag) => typeof tag !== 'string'))
    throw new TypeError('tags must be an array of strings');
}

/** What a backup needs: its code, and what it must know of the repository. Read while the lock settles. */
async function prepare(repository: Repository, run: Run, opened: OpenedTree | undefined): Promise<Prepared> {
  const { options, signal } = run;
  const { archive, warmPool } = await import('./archive.ts');
  const hasParent = options.source.kind === 'tree' || options.source.hasParent;
  // Snapshots before the index: then the index has every blob of the parent.
  const parent = hasParent ? await findParent(repository, options, run) : undefined;
  // With a parent there may be nothing for threads to do; without one there is.
  if (parent === undefined) warmPool(repository.pool);
  opened?.warm?.();
  return { archive, parent, indexed: options.under?.indexed ?? (await repository.loadIndex({ signal })) };
}

async function backupLocked(
  repository: Repository,
  run: Run,
  opened: OpenedTree | undefined,
  { archive, parent, indexed }: Prepared,
): Promise<Omit<BackupResult, 'problems'>> {
  const { options, tracker, signal } = run;
  options.onParent?.(parent);
  const { tree, totals } = await archive(indexed, run, opened, parent);
  const snapshot = describe(repository, run, { tree, totals, parent });
  // Nothing of the caller's runs after the snapshot is there: it would be there although the backup rejects.
  tracker.finish();
  const isSkipped = options.dryRun === true || (options.skipIfUnchanged === true && parent?.tree === tree.id);
  const snapshotId = isSkipped
    ? undefined
    : await repository.saveFile('snapshot', encodeSnapshot(snapshot), { signal });
  if (snapshotId !== undefined) {
    // A prune beside this backup keeps what it took out of the index for as long as the lock is there, and longer.
    const onFailure = (error: unknown): void =>
      tracker.problem(`what a prune may have marked was not looked at: ${String(error)}`);
    await returnNeeded(indexed, [tree.id], { signal }).catch(onFailure);
  }
  return {
    snapshotId,
    snapshot,
    parentId: parent?.id,
    summary: snapshot.summary,
    errors: tracker.errors,
    durationMs: performance.now() - run.startedAt,
  };
}

function openTree(source: Extract<Source, { kind: 'tree' }>, { platform }: Repository, tracker: Tracker): OpenedTree {
  return source.open({
    platform,
    onError: (path, error) => tracker.failed(path, error),
    onProblem: (problem) => tracker.problem(problem),
  });
}

/** Which chunker made a snapshot must be seen from it; restic has no field for that. */
function programVersion({ fastcdc, programVersion: name = PROGRAM_VERSION }: BackupOptions): string {
  if (fastcdc === undefined) return name;
  return `${name} (fastcdc ${fastcdc.minSize}/${fastcdc.averageSize}/${fastcdc.maxSize})`;
}

function describe(
  { platform }: Repository,
  run: Run,
  facts: Archived & {
    readonly parent: SnapshotEntry | undefined;
  },
): Snapshot & { readonly summary: SnapshotSummary } {
  const { options, paths, tracker } = run;
  const { files, dirs } = tracker;
  const { tree, totals, parent } = facts;
  return {
    time: run.time,
    parent: parent?.id,
    tree: tree.id,
    paths,
    hostname: run.hostname,
    username: options.username ?? platform.username,
    uid: platform.uid,
    gid: platform.gid,
    excludes: options.excludes,
    tags: options.tags,
    programVersion: programVersion(options),
    summary: {
      backupStart: run.started,
      backupEnd: formatInstant(platform),
      filesNew: files.new,
      filesChanged: files.changed,
      filesUnmodified: files.unchanged,
      dirsNew: dirs.new,
      dirsChanged: dirs.changed,
      dirsUnmodified: dirs.unchanged,
      dataBlobs: totals.dataBlobs,
      treeBlobs: totals.treeBlobs,
      dataAdded: totals.added,
      dataAddedPacked: totals.stored,
      totalFilesProcessed: files.new + files.changed + files.unchanged,
      totalBytesProcessed: tracker.bytes,
    },
  };
}
