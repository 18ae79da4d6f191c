/**
 * Pruning beside others, in two phases: what is not needed leaves the index and is marked, and is deleted by a later run
 * when nobody can count on it any more. docs/prune.md says why nothing is ever lost.
 */
import { EngineError, parseTimestamp, sha256, throwIfAborted } from '@restic-engine/repo-format';
import type { Id, LockRecord, Timestamp } from '@restic-engine/repo-format';
import { BlobTable } from '../../index/blob-table.ts';
import { IndexedRepository } from '../../indexed.ts';
import { withLock } from '../../lock.ts';
import type { FoundLock } from '../../lock-files.ts';
import type { Repository } from '../../repository.ts';
import { formatInstant } from '../../time.ts';
import { inParallel } from '../in-parallel.ts';
import { sentenceOf } from '../problems.ts';
import { blobsToCopy, usageOf } from '../prune-packs.ts';
import { Planner } from '../prune-plan.ts';
import type { PrunePlan } from '../prune-plan.ts';
import { addStoredSince, checkPruneOptions, findUsed, repack } from '../prune.ts';
import type { LockFreeResult, PruneOptions, PruneResult } from '../prune.ts';
import { namesTwice, rewriteIndex } from '../rewrite-index.ts';
import { holderOf, isAbandoned, isHolder, otherLocks, removeAbandoned } from './holders.ts';
import { loadMarkedIndex, removeIndexFiles, saveMarks, saveObservation } from './marks.ts';
import type { MarkedIndex, MarkFile } from './marks.ts';
import { packsToReturn, returnPacks } from './return-packs.ts';

/** rustic's: longer than what runs without locks may take. */
const KEEP_DELETE_MS = 23 * 60 * 60 * 1000;

interface RunOptions extends PruneOptions {
  readonly keepDeleteMs: number;
  /** Is the lock still there? */
  readonly isHeld: () => boolean;
}

/** The public function is `prune`, and described in upkeep.ts. */
export async function pruneLockFree(repository: Repository, options: PruneOptions): Promise<PruneResult> {
  const { signal, retryLockMs: retryMs, dryRun = false, keepDeleteMs = KEEP_DELETE_MS } = options;
  checkPruneOptions(repository, options);
  if (!(keepDeleteMs >= 0)) throw new EngineError('bad-request', 'keepDeleteMs cannot be negative');
  if (options.lock === false && !dryRun) throw new EngineError('bad-request', 'only a dry run can do without a lock');
  if (dryRun) return run(repository, { ...options, keepDeleteMs, isHeld: () => true }, undefined);
  await refuseAppendOnly(repository, signal);
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withLock(repository, { lockFreePrune: true, retryMs, signal, onLeft }, (held) =>
    run(repository, { ...options, keepDeleteMs, signal: held.signal, isHeld: () => held.lost === undefined }, held.run),
  );
  return { ...result, problems: [...result.problems, ...problems] };
}

/** Before anything is written that could not be removed again, tries to remove what is not there. */
async function refuseAppendOnly({ backend }: Repository, signal: AbortSignal | undefined): Promise<void> {
  if (!backend.traits.canRemove) throw new EngineError('denied', 'this store removes nothing, so it cannot be pruned');
  const name = sha256(globalThis.crypto.getRandomValues(new Uint8Array(32)));
  for (const type of ['index', 'data'] as const) {
    try {
      await backend.remove({ type, name }, { signal });
    } catch (error) {
      if (!EngineError.is(error, 'not-found')) throw error;
    }
  }
}

/** What a run knows when it begins to change things. */
interface Survey extends MarkedIndex {
  readonly indexed: IndexedRepository;
  /** Packs, with their bytes, listed before anything else. */
  readonly stored: ReadonlyMap<Id, number>;
  /** The locks of others, listed next: before the snapshots and the index. */
  readonly locks: readonly FoundLock[];
  readonly snapshots: ReadonlySet<Id>;
}

async function survey(repository: Repository, options: RunOptions, ownRun: string | undefined): Promise<Survey> {
  const { signal, onProgress } = options;
  const stored = new Map<Id, number>();
  // Packs before the index: a pack that an upload has stored and not indexed yet must not look like left over.
  for await (const { name, size } of repository.list('data', { signal })) stored.set(name, size);
  // Locks before snapshots: the snapshots of whoever holds none any more are seen.
  const locks = await otherLocks(repository, ownRun, { signal });
  const ignored = new Set(options.ignoreSnapshots);
  const snapshots = new Set<Id>();
  for await (const { name } of repository.list('snapshot', { signal })) if (!ignored.has(name)) snapshots.add(name);
  const index = await loadMarkedIndex(repository, stored, {
    signal,
    onProgress: ({ filesDone: done, filesTotal: total }) => onProgress?.({ phase: 'index', done, total }),
  });
  return { ...index, indexed: new IndexedRepository(repository, index.table), stored, locks, snapshots };
}

/** What becomes of a marked pack. Where several files mark it, the first of these that one of them gives. */
const FATES = ['confirm', 'wait', 'delete', 'return', 'forget'] as const;
type Fate = (typeof FATES)[number];

async function run(repository: Repository, options: RunOptions, ownRun: string | undefined): Promise<PruneResult> {
  const { signal } = options;
  const found = await survey(repository, options, ownRun);
  const reached = await findUsed(found.indexed, [...found.snapshots], options);
  const fates = fatesOf(repository, found, reached, options.keepDeleteMs);
  const unsettled = unsettledPacks(found);
  const { plan, stats, postponed } = await makePlan(found, reached, unsettled, options);
  const withFate = (fate: Fate): Set<Id> => new Set([...fates].flatMap(([id, each]) => (each === fate ? id : [])));
  const leaving = new Set([...plan.remove, ...plan.repack]);
  const expected: LockFreeResult = {
    marked: leaving.size + plan.unreferenced.size,
    waiting: withFate('wait').size + withFate('confirm').size + leaving.size + plan.unreferenced.size,
    deleted: withFate('delete').size,
    returned: withFate('return').size,
    postponed: postponed.size,
  };
  const result: PruneResult = { plan, stats, lockFree: expected, problems: [] };
  options.onPlan?.(result);
  if (options.dryRun === true) return result;
  throwIfAborted(signal);
  const work = new LockFreeRun(repository, found, fates, options, ownRun);
  await work.finishEarlierMarks(withFate('return'), withFate('delete'));
  const returned = await work.mark(reached, leaving, plan);
  await work.rememberPostponed(postponed);
  await work.removeAbandonedLocks();
  const lockFree = { ...expected, returned: expected.returned + returned };
  return { ...result, lockFree, problems: work.problems };
}

function fatesOf(repository: Repository, found: Survey, reached: Uint8Array, keepMs: number): Map<Id, Fate> {
  const { table, named, stored, markFiles, locks } = found;
  const marked = new Set(markFiles.flatMap(({ packs }) => [...packs.keys()]));
  const isWaiting = (pack: Id): boolean => marked.has(pack) && stored.has(pack) && !named.has(pack);
  const needed = packsToReturn(table, reached, isWaiting, (pack) => named.has(pack));
  const fates = new Map<Id, Fate>();
  for (const { packs, record } of markFiles) {
    const isRipe =
      record !== undefined && isOver(repository, record, keepMs) && liveHolders(record, locks).length === 0;
    const mine: Fate = record === undefined ? 'confirm' : isRipe ? 'delete' : 'wait';
    for (const pack of packs.keys()) {
      const fate = needed.has(pack) ? 'return' : isWaiting(pack) ? mine : 'forget';
      const other = fates.get(pack) ?? fate;
      fates.set(pack, FATES.indexOf(fate) < FATES.indexOf(other) ? fate : other);
    }
  }
  return fates;
}

/** Has the time passed that marks wait in any case? */
function isOver({ platform }: Repository, { time }: LockRecord, keepMs: number): boolean {
  return platform.now().seconds * 1000 >= parseTimestamp(time).seconds * 1000 + keepMs;
}

/** The locks of those who are in the record. */
function liveHolders({ holders }: LockRecord, locks: readonly FoundLock[]): FoundLock[] {
  return locks.filter(({ lock }) => holders.some((holder) => isHolder(holder, holderOf(lock))));
}

/**
 * Tells packs that someone may have stored who is still at work, and who counts on what no snapshot has yet. Without
 * other locks these are the packs that came after the locks were listed; beside others, all that no earlier run has
 * seen, and those it saw while someone was at work who still is.
 */
function unsettledPacks({ stored, locks, markFiles }: Survey): (pack: Id) => boolean {
  if (locks.length === 0) return (pack) => !stored.has(pack);
  const settled = new Set<Id>();
  for (const { record } of markFiles) {
    if (record !== undefined && liveHolders(record, locks).length === 0) {
      for (const pack of record.unsettled) settled.add(pack);
    }
  }
  return (pack) => !settled.has(pack) || !stored.has(pack);
}

/** Plans for what is settled. The packs in `postponed` are unused, wholly or in part, and stay for the time being. */
async function makePlan(
  { indexed, table, stored, named, markFiles }: Survey,
  reached: Uint8Array,
  isUnsettled: (pack: Id) => boolean,
  options: RunOptions,
): Promise<Pick<PruneResult, 'plan' | 'stats'> & { readonly postponed: ReadonlySet<Id> }> {
  const { repository } = indexed;
  const usage = usageOf(table, reached, (pack) => named.has(pack));
  const postponed = new Set<Id>();
  for (const use of usage.packs) {
    use.fixed = isUnsettled(use.id);
    if (use.fixed && use.unusedBlobs > 0 && stored.has(use.id)) postponed.add(use.id);
  }
  const marked = new Set(markFiles.flatMap(({ packs }) => [...packs.keys()]));
  const present = new Map<Id, number>();
  for (const [id, size] of stored) {
    if (named.has(id)) present.set(id, size);
    else if (marked.has(id)) continue;
    else if (isUnsettled(id)) postponed.add(id);
    else present.set(id, size);
  }
  await addStoredSince(repository, usage, present, { signal: options.signal });
  const planner = new Planner(usage, options, repository.config.version);
  return { ...planner.decide(present), postponed };
}

/** Carries out a plan. */
class LockFreeRun {
  readonly problems: string[] = [];
  readonly #repository: Repository;
  readonly #found: Survey;
  readonly #fates: ReadonlyMap<Id, Fate>;
  readonly #options: RunOptions;
  readonly #ownRun: string | undefined;

  constructor(
    repository: Repository,
    found: Survey,
    fates: ReadonlyMap<Id, Fate>,
    options: RunOptions,
    ownRun: string | undefined,
  ) {
    this.#repository = repository;
    this.#found = found;
    this.#fates = fates;
    this.#options = options;
    this.#ownRun = ownRun;
  }

  get #now(): Timestamp {
    return formatInstant(this.#repository.platform);
  }

  /** Returns what is needed, then lets marks go, then deletes: whatever a file names is there, and what is needed is named. */
  async finishEarlierMarks(returning: ReadonlySet<Id>, deleting: ReadonlySet<Id>): Promise<void> {
    const { signal, onProgress } = this.#options;
    const { indexed, markFiles } = this.#found;
    await returnPacks(indexed, returning, { signal });
    for (const file of markFiles) if (file.record !== undefined) await this.#renewMarks(file, file.record);
    let done = 0;
    await inParallel(deleting, { places: this.#repository.backend.traits.connections, signal }, async (name) => {
      try {
        await this.#repository.backend.remove({ type: 'data', name }, { signal });
      } catch (error) {
        this.problems.push(`pack ${name} could not be removed: ${sentenceOf(error)}`);
      }
      onProgress?.({ phase: 'remove-packs', done: ++done, total: deleting.size });
    });
  }

  /** Puts a file with the marks that stay in the place of one with marks that go. */
  async #renewMarks({ id, packs }: MarkFile, record: LockRecord): Promise<void> {
    const { signal } = this.#options;
    const staying = new Map<Id, Timestamp>();
    for (const [pack, time] of packs) {
      const fate = this.#fates.get(pack);
      if (fate === 'wait' || fate === 'confirm') staying.set(pack, time ?? record.time);
    }
    if (staying.size === packs.size) return;
    await saveMarks(this.#repository, this.#found.table, staying, record, { signal });
    await removeIndexFiles(this.#repository, [id], { signal });
  }

  /** Resolves with the number of packs that new snapshots need and that therefore are in the index again. */
  async mark(
    reached: Uint8Array,
    leaving: ReadonlySet<Id>,
    { repack: repacked, unreferenced: leftOver, missing }: PrunePlan,
  ): Promise<number> {
    const { signal, onProgress } = this.#options;
    const { indexed, table, files, markFiles } = this.#found;
    const unconfirmed = markFiles.filter(({ record }) => record === undefined);
    const naming = files.filter(({ packs }) => packs.size > 0);
    const rewrites = leaving.size + missing.size > 0 || unconfirmed.some(({ mixed }) => mixed) || namesTwice(naming);
    if (!rewrites && leftOver.size === 0 && unconfirmed.length === 0) return 0;

    // What is missing is no copy of anything, here and in later runs. What is returned has an index file of its own.
    const out = [...this.#fates.keys()].filter((pack) => !this.#found.named.has(pack));
    const unnamed = new Set([...leaving, ...missing, ...out]);
    if (repacked.size > 0) {
      // What was returned has been named again.
      const lost = new Set([...unnamed].filter((pack) => this.#fates.get(pack) !== 'return'));
      await repack(indexed, new BlobTable(), blobsToCopy(table, reached, lost), repacked, this.#options);
    }
    const confirming = [...this.#fates].flatMap(([pack, fate]) => (fate === 'confirm' ? pack : []));
    const marks = new Map<Id, Timestamp>([...leaving, ...confirming].map((pack) => [pack, this.#now]));
    const early = rewrites ? await saveMarks(this.#repository, table, marks, undefined, { signal }) : [];
    if (rewrites) {
      await rewriteIndex(this.#repository, {
        files: naming,
        obsolete: [],
        sources: [{ table, without: unnamed }],
        signal,
        onRemoved: (done, total) => onProgress?.({ phase: 'remove-index', done, total }),
      });
    }
    for (const pack of leftOver) marks.set(pack, this.#now);
    // Only now: whoever holds no lock yet loads an index without these packs.
    const record = await this.#lockRecord();
    await saveMarks(this.#repository, table, marks, record, { signal });
    await removeIndexFiles(this.#repository, [...early, ...unconfirmed.map(({ id }) => id)], { signal });
    return this.#returnForNewSnapshots();
  }

  async #lockRecord(): Promise<LockRecord> {
    const { signal } = this.#options;
    const locks = await otherLocks(this.#repository, this.#ownRun, { signal });
    return { time: this.#now, holders: locks.map(({ lock }) => holderOf(lock)), unsettled: [] };
  }

  /** Those who were at work may have counted on what was marked, and are not all of a kind that looks itself. */
  async #returnForNewSnapshots(): Promise<number> {
    const { signal } = this.#options;
    const { snapshots, stored } = this.#found;
    const added: Id[] = [];
    for await (const { name } of this.#repository.list('snapshot', { signal })) {
      if (!snapshots.has(name)) added.push(name);
    }
    if (added.length === 0) return 0;
    const now = await loadMarkedIndex(this.#repository, stored, { signal });
    const indexed = new IndexedRepository(this.#repository, now.table);
    const reached = await findUsed(indexed, added, this.#options);
    const isWaiting = (pack: Id): boolean => !now.named.has(pack);
    const returning = packsToReturn(now.table, reached, isWaiting, (pack) => now.named.has(pack));
    await returnPacks(indexed, returning, { signal });
    return returning.size;
  }

  /** Writes down what was left alone, and who was at work then; forgets what an earlier run wrote and nobody asks for. */
  async rememberPostponed(postponed: ReadonlySet<Id>): Promise<void> {
    const { signal } = this.#options;
    const { locks, markFiles } = this.#found;
    const fresh = new Set(postponed);
    const obsolete: Id[] = [];
    for (const { id, packs, record } of markFiles) {
      if (record === undefined || packs.size > 0) continue;
      if (!record.unsettled.some((pack) => postponed.has(pack))) obsolete.push(id);
      for (const pack of record.unsettled) fresh.delete(pack);
    }
    if (fresh.size > 0) {
      const holders = locks.map(({ lock }) => holderOf(lock));
      await saveObservation(this.#repository, { time: this.#now, holders, unsettled: [...fresh] }, { signal });
    }
    await removeIndexFiles(this.#repository, obsolete, { signal });
  }

  /** Marks that wait for a dead holder alone would wait for ever. The next run deletes them, not this one. */
  async removeAbandonedLocks(): Promise<void> {
    const { signal, keepDeleteMs } = this.#options;
    const { locks, markFiles } = this.#found;
    for (const { record } of markFiles) {
      if (record === undefined || !isOver(this.#repository, record, keepDeleteMs)) continue;
      for (const lock of liveHolders(record, locks)) {
        if (isAbandoned(this.#repository, lock, keepDeleteMs))
          await removeAbandoned(this.#repository, lock, { signal });
      }
    }
  }
}
