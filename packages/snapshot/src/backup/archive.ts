/** The inner part of a backup: the source is walked, and what is new of it stored. */
import { EngineError } from '@restic-engine/repo-format';
import type { Id, Timestamp } from '@restic-engine/repo-format';
import { withUpload } from '@restic-engine/repository';
import type { IndexedRepository, Pool, Repository, Upload, UploadTotals } from '@restic-engine/repository';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SnapshotEntry } from '../find.ts';
import { isUsablePolynomial } from '../polynomial.ts';
import type { OpenedTree } from '../source/source.ts';
import { ObjectArchiver } from './archive-objects.ts';
import { TreeArchiver } from './archive-tree.ts';
import type { StoredTree } from './archive-tree.ts';
import { ContentStore } from './content-store.ts';
import type { Tracker } from './progress.ts';
import { storeFiles, WINDOW_BYTES } from './store-tasks.ts';
import type { ChunkerSpec } from './store-tasks.ts';
import type { BackupOptions } from './types.ts';

/** What is known before anything is read. */
export interface Run {
  readonly options: BackupOptions;
  readonly startedAt: number;
  readonly started: Timestamp;
  readonly time: Timestamp;
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly tracker: Tracker;
  readonly signal: AbortSignal;
}

export interface Archived {
  readonly tree: StoredTree;
  readonly totals: UploadTotals;
}

/** Starts the worker threads of `pool`, for the contents that are to come. */
export function warmPool(pool: Pool): void {
  pool.warm(storeFiles);
}

/** Stores what is new of the source, all of it durable when this resolves. */
export async function archive(
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

/** Counts ahead, for those who watch; gives way to the backup itself. */
async function count(opened: OpenedTree | undefined, tracker: Tracker, signal: AbortSignal): Promise<void> {
  if (opened?.count === undefined || !tracker.wantsProgress) return;
  for (const total of opened.count()) {
    tracker.count(total);
    await nextTurn();
    if (signal.aborted) return;
  }
}
