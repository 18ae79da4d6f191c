/** Removes what no snapshot needs. */
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Call, Id, Node } from '@restic-engine/repo-format';
import { BlobTable } from '../index/blob-table.ts';
import { surveyIndexFiles } from '../index/load-index.ts';
import type { IndexFile } from '../index/load-index.ts';
import { IndexedRepository } from '../indexed.ts';
import { withLock } from '../lock.ts';
import type { RepositoryLock } from '../lock.ts';
import type { Repository } from '../repository.ts';
import { withUpload } from '../store/upload.ts';
import { rootsOf } from './check-structure.ts';
import { inParallel } from './in-parallel.ts';
import { moveBlobs } from './move-blobs.ts';
import { sentenceOf } from './problems.ts';
import { blobsToCopy, incomplete, usageOf } from './prune-packs.ts';
import type { Usage } from './prune-packs.ts';
import { checkLimits, Planner } from './prune-plan.ts';
import type { PruneLimits, PrunePlan, PruneStats } from './prune-plan.ts';
import { namesTwice, replacePacks, rewriteIndex } from './rewrite-index.ts';
import { walkTrees } from './walk-trees.ts';

/** Where a prune is; files and trees are counted. */
export interface PruneProgress {
  readonly phase: 'index' | 'trees' | 'repack' | 'remove-index' | 'remove-packs';
  readonly done: number;
  readonly total?: number | undefined;
}

export interface PruneOptions extends PruneLimits {
  /** Plan, and change nothing. @default false */
  readonly dryRun?: boolean | undefined;
  /** Plan as if these snapshots were removed already; for dry runs only. */
  readonly ignoreSnapshots?: readonly Id[] | undefined;
  /** Lock the repository against all others; only a dry run may do without. @default true */
  readonly lock?: boolean | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  /**
   * While packs are rewritten, write an index file at the latest for so many bytes of them: after the death of the
   * process, at most these are copied again. @default 256 MiB
   */
  readonly indexEveryBytes?: number | undefined;
  /**
   * Works where the store has no room at all: nothing is rewritten, and the old index is removed before the packs and a
   * new one written after them. Should the process die in between, `repairIndex` must make it anew. So that nobody asks
   * for this by accident, it must be the id in the repository's config.
   */
  readonly unsafeRecoverNoFreeSpace?: Id | undefined;
  /**
   * Go on beside backups and everything else that takes no exclusive lock: what is not needed is marked, and deleted by
   * a later run of this kind. @default false
   */
  readonly lockFree?: boolean | undefined;
  /** With `lockFree`: how long marked packs wait at least, in milliseconds. @default 23 hours */
  readonly keepDeleteMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The plan is made and nothing is changed yet. */
  readonly onPlan?: ((result: PruneResult) => void) | undefined;
  readonly onProgress?: ((progress: PruneProgress) => void) | undefined;
}

/** Numbers of packs. */
export interface LockFreeResult {
  /** Marked by this run. */
  readonly marked: number;
  /** Marked by now, by this run and earlier ones, and not deleted. */
  readonly waiting: number;
  /** Marked by earlier runs, and deleted now. */
  readonly deleted: number;
  /** Marked, but needed after all: they are in the index again. */
  readonly returned: number;
  /** Left alone because others are at work that may have stored them. */
  readonly postponed: number;
}

export interface PruneResult {
  /** With `lockFree`: what it marks. */
  readonly plan: PrunePlan;
  readonly stats: PruneStats;
  /** What became of marks, with `lockFree`. */
  readonly lockFree?: LockFreeResult;
  /** What went wrong and did no harm: packs that could not be removed, a lock that stayed. */
  readonly problems: readonly string[];
}

const INDEX_EVERY_BYTES = 256 << 20;

/** The public function of this name is in upkeep.ts, and described there. */
export async function prune(repository: Repository, options: PruneOptions = {}): Promise<PruneResult> {
  const { signal, retryLockMs: retryMs, dryRun = false, lock = true } = options;
  checkPruneOptions(repository, options);
  if (!lock) {
    if (!dryRun) throw new EngineError('bad-request', 'only a dry run can do without a lock');
    return pruneLocked(repository, options, undefined);
  }
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withLock(repository, { exclusive: true, retryMs, signal, onLeft }, (held) =>
    pruneLocked(repository, options, held),
  );
  return { ...result, problems: [...result.problems, ...problems] };
}

/** Rejects what cannot be asked for, with `bad-request`. */
export function checkPruneOptions(repository: Repository, options: PruneOptions): void {
  checkLimits(options, repository.config.version, repository.packSize);
  if (options.repackUncompressed === true && repository.codecSpec.compression === 'off') {
    throw new EngineError('bad-request', 'compression is off, so nothing can be compressed');
  }
  const { id } = repository.config;
  if (options.unsafeRecoverNoFreeSpace !== undefined && options.unsafeRecoverNoFreeSpace !== id) {
    throw new EngineError('bad-request', `recovering without free space needs the id of the repository, ${id}`);
  }
  if (options.lockFree === true && options.unsafeRecoverNoFreeSpace !== undefined) {
    throw new EngineError('bad-request', 'beside others, the index must never be missing');
  }
  if (options.lockFree !== true && options.keepDeleteMs !== undefined) {
    throw new EngineError('bad-request', 'only packs that a lock-free prune marks are kept for a time');
  }
  if (options.dryRun !== true && options.ignoreSnapshots !== undefined) {
    throw new EngineError('bad-request', 'data of snapshots that are there can be left out of a dry run only');
  }
}

/** The same for those who hold the lock; only a dry run may do without. */
export async function pruneLocked(
  repository: Repository,
  unbound: PruneOptions,
  lock: RepositoryLock | undefined,
): Promise<PruneResult> {
  const signal = lock?.signal ?? unbound.signal;
  const options = { ...unbound, signal };
  const { onProgress } = options;
  const ignored = new Set(options.ignoreSnapshots);
  const snapshots: Id[] = [];
  for await (const { name } of repository.list('snapshot', { signal })) {
    if (!ignored.has(name)) snapshots.push(name);
  }
  const stored = new Map<Id, number>();
  for await (const { name, size } of repository.list('data', { signal })) stored.set(name, size);
  const table = new BlobTable();
  const { files, broken } = await surveyIndexFiles(repository, table, {
    signal,
    withMarked: (pack) => stored.has(pack),
    onProgress: ({ filesDone: done, filesTotal: total }) => onProgress?.({ phase: 'index', done, total }),
  });
  if (broken[0] !== undefined) throw broken[0].error;
  const indexed = new IndexedRepository(repository, table);
  const reached = await findUsed(indexed, snapshots, options);

  const limits = options.unsafeRecoverNoFreeSpace === undefined ? options : { ...options, maxRepackSize: 0 };
  const usage = usageOf(table, reached);
  await addStoredSince(repository, usage, stored, { signal });
  const planner = new Planner(usage, limits, repository.config.version);
  const { plan, stats } = planner.decide(stored);
  const result: PruneResult = { plan, stats, problems: [] };
  options.onPlan?.(result);
  if (options.dryRun === true) return result;
  throwIfAborted(signal);
  const isHeld = (): boolean => lock?.lost === undefined;
  return { ...result, problems: await execute(indexed, reached, files, plan, { ...options, isHeld }) };
}

/** Marks the numbers of all blobs that snapshots need. Anything that is missing rejects. */
export async function findUsed(
  indexed: IndexedRepository,
  snapshots: readonly Id[],
  { signal, onProgress }: PruneOptions,
): Promise<Uint8Array> {
  const { repository, table } = indexed;
  const fail = (_: Id, error: unknown): never => {
    throw error;
  };
  const roots = await rootsOf(repository, snapshots, fail, { signal });
  const reached = new Uint8Array(table.size);
  let trees = 0;
  const nodes = (tree: Id, entries: readonly Node[]): void => {
    for (const { type, content, subtree } of entries) {
      if (type === 'dir' && subtree === undefined) throw incomplete({ tree });
      for (const blob of content ?? []) {
        const number = table.numberOf('data', blob);
        if (number < 0) throw incomplete({ tree, blob });
        reached[number] = 1;
      }
    }
    onProgress?.({ phase: 'trees', done: ++trees });
  };
  await walkTrees(indexed, roots, reached, { nodes, broken: fail }, { signal });
  return reached;
}

/** Adds packs that the index names and that others have stored since `stored` was listed. */
export async function addStoredSince(
  repository: Repository,
  { packs }: Usage,
  stored: Map<Id, number>,
  call: Call,
): Promise<void> {
  const unknown = new Set(packs.flatMap(({ id }) => (stored.has(id) ? [] : id)));
  if (unknown.size === 0) return;
  for await (const { name, size } of repository.list('data', call)) if (unknown.has(name)) stored.set(name, size);
}

interface ExecuteOptions extends PruneOptions {
  /** Is the lock still there? */
  readonly isHeld: () => boolean;
}

/** Carries out a plan. Resolves with what went wrong without harm. */
async function execute(
  indexed: IndexedRepository,
  reached: Uint8Array,
  files: readonly IndexFile[],
  plan: PrunePlan,
  options: ExecuteOptions,
): Promise<string[]> {
  const { repository, table } = indexed;
  const { signal, onProgress } = options;
  const problems: string[] = [];
  let removed = 0;
  const total = plan.unreferenced.size + plan.remove.size + plan.repack.size;
  const removePacks = async (packs: ReadonlySet<Id>): Promise<void> => {
    await inParallel(packs, { places: repository.backend.traits.connections, signal }, async (name) => {
      try {
        await repository.backend.remove({ type: 'data', name }, { signal });
      } catch (error) {
        problems.push(`pack ${name} could not be removed: ${sentenceOf(error)}`);
      }
      onProgress?.({ phase: 'remove-packs', done: ++removed, total });
    });
  };
  await removePacks(plan.unreferenced);
  const leaving = new Set([...plan.remove, ...plan.repack]);
  const without = new Set([...leaving, ...plan.missing]);
  if (without.size === 0 && !namesTwice(files) && !files.some(({ marked }) => marked)) return problems;

  if (options.unsafeRecoverNoFreeSpace !== undefined) {
    await replaceIndexAround(indexed, files, without, options, () => removePacks(leaving));
    return problems;
  }
  const copies = new BlobTable();
  if (plan.repack.size > 0) {
    await repack(indexed, copies, blobsToCopy(table, reached, without), plan.repack, options);
  }
  await replacePacks(indexed, {
    files,
    copies,
    without,
    signal,
    onRemoved: (done, indexes) => onProgress?.({ phase: 'remove-index', done, total: indexes }),
  });
  await removePacks(leaving);
  return problems;
}

/** Removes the index, does `work`, and writes an index without some packs, however the work ends. */
async function replaceIndexAround(
  { repository, table }: IndexedRepository,
  files: readonly IndexFile[],
  without: ReadonlySet<Id>,
  { signal, isHeld, onProgress }: ExecuteOptions,
  work: () => Promise<void>,
): Promise<void> {
  const places = repository.backend.traits.connections;
  const left = new Set(files.map(({ id }) => id));
  try {
    await inParallel([...left], { places, signal }, async (id) => {
      await repository.removeFile('index', id, { signal });
      left.delete(id);
      onProgress?.({ phase: 'remove-index', done: files.length - left.size, total: files.length });
    });
    await work();
  } finally {
    // Without a lock, others may have removed what it would name.
    if (isHeld()) await rewriteIndex(repository, { files: [], obsolete: [...left], sources: [{ table, without }] });
  }
}

/**
 * Copies the blobs that `needed` marks out of `packs`; the new packs are indexed when it resolves, and in `copies`. When
 * it fails, those that are complete are indexed as well: the next run sees that, and copies only the rest.
 */
export async function repack(
  indexed: IndexedRepository,
  copies: BlobTable,
  needed: Uint8Array,
  packs: ReadonlySet<Id>,
  { signal, onProgress, indexEveryBytes = INDEX_EVERY_BYTES, isHeld }: ExecuteOptions,
): Promise<void> {
  const { repository } = indexed;
  const uploading = { signal, indexEveryBytes, keepOnFailure: isHeld };
  await withUpload(new IndexedRepository(repository, copies), uploading, (upload) =>
    moveBlobs({
      from: indexed,
      to: repository,
      upload,
      wanted: needed,
      packs,
      onPack: (done) => onProgress?.({ phase: 'repack', done, total: packs.size }),
    }),
  );
}
