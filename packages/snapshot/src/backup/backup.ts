/** Backing up: from a source to a snapshot. */
import { EngineError, encodeSnapshot } from '@restic-engine/repo-format';
import type { Id, Snapshot, SnapshotSummary, Timestamp } from '@restic-engine/repo-format';
import { formatInstant, withPreparedLock, withUpload } from '@restic-engine/repository';
import type { IndexedRepository, Repository, Upload, UploadTotals } from '@restic-engine/repository';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SnapshotEntry } from '../find.ts';
import { isUsablePolynomial } from '../polynomial.ts';
import type { OpenedTree, Source } from '../source/source.ts';
import { ObjectArchiver } from './archive-objects.ts';
import { TreeArchiver } from './archive-tree.ts';
import type { StoredTree } from './archive-tree.ts';
import { asTimestamp } from './as-timestamp.ts';
import { ContentStore } from './content-store.ts';
import { findParent } from './parent.ts';
import { Tracker } from './progress.ts';
import { storeFiles, WINDOW_BYTES } from './store-tasks.ts';
import type { ChunkerSpec } from './store-tasks.ts';
import type { BackupOptions, BackupResult } from './types.ts';

/** What this package calls itself in snapshots. */
export const PROGRAM_VERSION = 'restic-engine 0.1.0';

/** What is known before anything is read. */
interface Run {
  readonly options: BackupOptions;
  readonly startedAt: number;
  readonly started: Timestamp;
  readonly time: Timestamp;
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly tracker: Tracker;
  readonly signal: AbortSignal;
}

interface Prepared {
  readonly parent: SnapshotEntry | undefined;
  readonly indexed: IndexedRepository;
}

interface Archived {
  readonly tree: StoredTree;
  readonly totals: UploadTotals;
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
  check(options);
  const { platform } = repository;
  const { retryLockMs: retryMs, signal, time } = options;
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
  const result = await withPreparedLock(
    repository,
    { retryMs, signal, onLeft },
    (reading) => prepare(repository, { ...facts, signal: reading }, opened),
    (lock, prepared) => backupLocked(repository, { ...facts, signal: lock.signal }, opened, prepared),
  );
  return { ...result, problems: [...tracker.problems] };
}

/** What would otherwise be met late: as a backup that waits forever, or a snapshot that no program can read. */
function check({ readConcurrency = 1, tags = [] }: BackupOptions): void {
  if (!(Number.isSafeInteger(readConcurrency) && readConcurrency > 0))
    throw new RangeError('readConcurrency must be a whole number of at least 1');
  if (!Array.isArray(tags) || tags.some((tag) => typeof tag !== 'string'))
    throw new TypeError('tags must be an array of strings');
}

/** What a backup must know of the repository; read while the lock settles. */
async function prepare(repository: Repository, run: Run, opened: OpenedTree | undefined): Promise<Prepared> {
  const { options, signal } = run;
  const hasParent = options.source.kind === 'tree' || options.source.hasParent;
  // Snapshots before the index: then the index has every blob of the parent.
  const parent = hasParent ? await findParent(repository, options, run) : undefined;
  // With a parent there may be nothing for threads to do; without one there is.
  if (parent === undefined) repository.pool.warm(storeFiles);
  opened?.warm?.();
  return { parent, indexed: await repository.loadIndex({ signal }) };
}

async function backupLocked(
  repository: Repository,
  run: Run,
  opened: OpenedTree | undefined,
  { parent, indexed }: Prepared,
): Promise<Omit<BackupResult, 'problems'>> {
  const { options, tracker, signal } = run;
  const { tree, totals } = await archive(indexed, run, opened, parent);
  const snapshot = describe(repository, run, { tree, totals, parent });
  // Nothing of the caller's runs after the snapshot is there: it would be there although the backup rejects.
  tracker.finish();
  const isSkipped = options.dryRun === true || (options.skipIfUnchanged === true && parent?.tree === tree.id);
  const snapshotId = isSkipped
    ? undefined
    : await repository.saveFile('snapshot', encodeSnapshot(snapshot), { signal });
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

async function archive(
  indexed: IndexedRepository,
  run: Run,
  opened: OpenedTree | undefined,
  parent: SnapshotEntry | undefined,
): Promise<Archived> {
  const { options, tracker, signal } = run;
  const counting = new AbortController();
  const counted = count(opened, tracker, counting.signal);
  // Met below; until then there may be hours.
  counted.catch(() => undefined);
  try {
    return await withUpload(indexed, { dryRun: options.dryRun ?? false, signal }, async (upload) => {
      const tree = await storeSource(indexed, upload, run, opened, parent?.tree);
      if (tree.entries === 0)
        throw new EngineError('bad-request', 'nothing was backed up: the snapshot would be empty');
      counting.abort();
      await counted;
      return { tree, totals: upload.totals };
    });
  } finally {
    counting.abort();
  }
}

function storeSource(
  indexed: IndexedRepository,
  upload: Upload,
  run: Run,
  opened: OpenedTree | undefined,
  parent: Id | undefined,
): Promise<StoredTree> {
  const { repository } = indexed;
  const { options, tracker, time } = run;
  const chunker = chunkerOf(repository, run);
  const store = new ContentStore(
    upload,
    repository.pool,
    { codec: repository.codecSpec, chunker },
    options.readConcurrency,
  );
  if (opened !== undefined) {
    const { ignoreInode = false, ignoreCtime = false } = options;
    return new TreeArchiver(indexed, upload, store, tracker, { ignoreInode, ignoreCtime }).archive(opened.root, parent);
  }
  if (options.source.kind !== 'objects') throw new TypeError('a tree source that was not opened');
  return new ObjectArchiver(indexed, upload, store, tracker, time).archive(options.source.entries, parent);
}

/** A window must hold two chunks for FastCDC to find the end of one. */
const MAX_FASTCDC_BYTES = WINDOW_BYTES / 2;

function chunkerOf({ config }: Repository, { options, tracker }: Run): ChunkerSpec {
  const { fastcdc } = options;
  if (fastcdc === undefined) {
    if (isUsablePolynomial(config.chunkerPolynomial)) return { polynomial: config.chunkerPolynomial };
    throw new EngineError('corrupt', 'the config has no polynomial that contents can be cut with');
  }
  if (fastcdc.maxSize > MAX_FASTCDC_BYTES) throw new RangeError(`maxSize must be at most ${MAX_FASTCDC_BYTES} bytes`);
  tracker.problem('contents were cut with FastCDC: they are not deduplicated with what restic, or Rabin, has stored');
  return fastcdc;
}

/** Which chunker made a snapshot must be seen from it; restic has no field for that. */
function programVersion({ fastcdc, programVersion: name = PROGRAM_VERSION }: BackupOptions): string {
  if (fastcdc === undefined) return name;
  return `${name} (fastcdc ${fastcdc.minSize}/${fastcdc.averageSize}/${fastcdc.maxSize})`;
}

/** Counts ahead, for those who watch; gives way to the backup itself. */
async function count(opened: OpenedTree | undefined, tracker: Tracker, signal: AbortSignal): Promise<void> {
  if (opened?.count === undefined || !tracker.wantsProgress) return;
  for (const total of opened.count()) {
    tracker.count(total);
    await nextTurn();
    if (signal.aborted) return;
  }
}

function describe(
  { platform }: Repository,
  run: Run,
  facts: {
    readonly tree: StoredTree;
    readonly totals: UploadTotals;
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
