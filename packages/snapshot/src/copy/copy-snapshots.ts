/** Copies snapshots from one repository to another. */
import { compareTimestamps, encodeSnapshot } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { inParallel, returnNeeded, treeCopier, withLock, withUpload } from '@restic-engine/repository';
import type { IndexedRepository, MissingBlobs, Repository, TreeCopier, UploadTotals } from '@restic-engine/repository';
import { selectSnapshots } from '../find.ts';
import type { ListSnapshotsOptions, SnapshotEntry, SnapshotFilter } from '../find.ts';
import { isSameBackup, snapshotsByOrigin } from './same-snapshot.ts';

/** Where a copy is: index files of both repositories, trees that are looked at, packs that are read. */
export interface CopyProgress {
  readonly phase: 'index' | 'trees' | 'packs';
  readonly done: number;
  readonly total?: number | undefined;
}

/** A snapshot, and what it is called in the target. */
export interface CopiedSnapshot {
  readonly source: Id;
  readonly target: Id;
}

/** What has become of a snapshot so far. */
export type CopyEvent =
  | { readonly kind: 'skipped'; readonly source: SnapshotEntry; readonly target: Id }
  | { readonly kind: 'started'; readonly source: SnapshotEntry }
  /** What it needs and neither the target nor a snapshot before it has. */
  | { readonly kind: 'found'; readonly source: SnapshotEntry; readonly missing: MissingBlobs }
  | { readonly kind: 'copied'; readonly source: SnapshotEntry; readonly target: Id };

export interface CopyOptions {
  /** Ids, unique beginnings of ids, or `latest`. @default all that pass the filter, the oldest first */
  readonly ids?: readonly string[] | undefined;
  readonly filter?: SnapshotFilter | undefined;
  /** Takes snapshots that are damaged, which are left out then unless they are named. @default they reject */
  readonly onBroken?: ListSnapshotsOptions['onBroken'];
  /** Lock the source against removals; the target always is. @default true */
  readonly lockSource?: boolean | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onSnapshot?: ((event: CopyEvent) => void) | undefined;
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined;
}

export interface CopyResult {
  readonly copied: readonly CopiedSnapshot[];
  /** Those that were copied before, and where to. */
  readonly skipped: readonly CopiedSnapshot[];
  readonly totals: UploadTotals;
  /** What went wrong and did no harm, for people. */
  readonly problems: readonly string[];
}

/** When what has been found is moved, and when snapshots are written. */
export interface BatchLimits {
  /** Blobs are moved when they fill this many packs, so that a long run that dies has copied something. */
  readonly packs: number;
  /** Snapshots are written no more often than that, because each time ends packs that are not full. */
  readonly seconds: number;
}

/** restic's numbers. */
const LIMITS: BatchLimits = { packs: 100, seconds: 60 };

/** The public function is `copy`, and described there. */
export async function copySnapshots(
  source: Repository,
  target: Repository,
  options: CopyOptions,
  limits: BatchLimits = LIMITS,
): Promise<CopyResult> {
  const { retryLockMs: retryMs, signal } = options;
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`a lock could not be removed: ${String(error)}`);
  const copyTo = (held: AbortSignal | undefined): Promise<Omit<CopyResult, 'problems'>> =>
    withLock(target, { retryMs, signal: held, onLeft }, (lock) =>
      copyLocked(source, target, { ...options, signal: lock.signal }, limits),
    );
  const result =
    options.lockSource === false
      ? await copyTo(signal)
      : await withLock(source, { retryMs, signal, onLeft }, (lock) => copyTo(lock.signal));
  return { ...result, problems };
}

async function copyLocked(
  source: Repository,
  target: Repository,
  options: CopyOptions,
  limits: BatchLimits,
): Promise<Omit<CopyResult, 'problems'>> {
  const { ids, filter, onBroken, signal, onSnapshot, onProgress } = options;
  const chosen = await selectSnapshots(source, { ids, filter, onBroken, signal });
  if (ids === undefined || ids.length === 0) chosen.sort((a, b) => compareTimestamps(a.time, b.time));
  const present = await snapshotsByOrigin(target, { signal });
  const skipped: CopiedSnapshot[] = [];
  const wanted = chosen.filter((snapshot) => {
    const copies = present.get(snapshot.original ?? snapshot.id) ?? [];
    const copy = copies.find((candidate) => isSameBackup(candidate, snapshot));
    if (copy === undefined) return true;
    skipped.push({ source: snapshot.id, target: copy.id });
    onSnapshot?.({ kind: 'skipped', source: snapshot, target: copy.id });
    return false;
  });
  if (wanted.length === 0) return { copied: [], skipped, totals: sumOf([]) };
  const [from, to] = await loadIndexes(source, target, { signal, onProgress });
  const copied: CopiedSnapshot[] = [];
  const totals: UploadTotals[] = [];
  const job = { copier: await treeCopier(from, target), to, queue: wanted.values(), options, limits };
  for (let left = wanted.length; left > 0; ) {
    const batch = await copyBatch(job, left);
    left -= batch.snapshots.length;
    totals.push(batch.totals);
    copied.push(...(await saveBatch(target, batch.snapshots, options)));
  }
  const roots = wanted.map(({ tree }) => tree);
  await returnNeeded(to, roots, { signal });
  return { copied, skipped, totals: sumOf(totals) };
}

/** Both indexes, after both lists of snapshots: all that the snapshots need is in them. */
async function loadIndexes(
  source: Repository,
  target: Repository,
  { signal, onProgress }: Pick<CopyOptions, 'signal' | 'onProgress'>,
): Promise<[IndexedRepository, IndexedRepository]> {
  const load = (repository: Repository): Promise<IndexedRepository> =>
    repository.loadIndex({
      signal,
      onProgress: ({ filesDone: done, filesTotal: total }) => onProgress?.({ phase: 'index', done, total }),
    });
  return [await load(source), await load(target)];
}

interface CopyJob {
  readonly copier: TreeCopier;
  readonly to: IndexedRepository;
  readonly queue: IterableIterator<SnapshotEntry>;
  readonly options: CopyOptions;
  readonly limits: BatchLimits;
}

interface CopyBatch {
  readonly snapshots: readonly SnapshotEntry[];
  readonly totals: UploadTotals;
}

/** Makes all that is in the next snapshots of the queue, which has `left` of them, durable in the target. */
async function copyBatch({ copier, to, queue, options, limits }: CopyJob, left: number): Promise<CopyBatch> {
  const { signal, onSnapshot, onProgress } = options;
  const snapshots: SnapshotEntry[] = [];
  const now = (): number => to.repository.platform.now().seconds;
  const started = now();
  const enough = limits.packs * to.repository.packSize;
  let trees = 0;
  const onTree = (): void => onProgress?.({ phase: 'trees', done: ++trees });
  return withUpload(to, { signal }, async (upload) => {
    do {
      let bytes = 0;
      while (snapshots.length < left && bytes < enough) {
        const { value: source } = queue.next();
        if (source === undefined) break;
        onSnapshot?.({ kind: 'started', source });
        const missing = await copier.find(source.tree, upload, { onTree });
        onSnapshot?.({ kind: 'found', source, missing });
        bytes += missing.bytes;
        snapshots.push(source);
      }
      const total = copier.packs;
      await copier.move(upload, (done) => onProgress?.({ phase: 'packs', done, total }));
    } while (snapshots.length < left && now() - started < limits.seconds);
    return { snapshots, totals: upload.totals };
  });
}

async function saveBatch(
  target: Repository,
  snapshots: readonly SnapshotEntry[],
  { signal, onSnapshot }: CopyOptions,
): Promise<CopiedSnapshot[]> {
  const copied: CopiedSnapshot[] = [];
  await inParallel(snapshots, { places: target.backend.traits.connections, signal }, async (source) => {
    const { id, ...snapshot } = source;
    // What was its parent may not be there, and the original is what tells copies.
    const content = encodeSnapshot({ ...snapshot, parent: undefined, original: snapshot.original ?? id });
    const saved = await target.saveFile('snapshot', content, { signal });
    copied.push({ source: id, target: saved });
    onSnapshot?.({ kind: 'copied', source, target: saved });
  });
  return copied;
}

function sumOf(totals: readonly UploadTotals[]): UploadTotals {
  const sum = { dataBlobs: 0, treeBlobs: 0, added: 0, stored: 0 };
  for (const { dataBlobs, treeBlobs, added, stored } of totals) {
    sum.dataBlobs += dataBlobs;
    sum.treeBlobs += treeBlobs;
    sum.added += added;
    sum.stored += stored;
  }
  return sum;
}
