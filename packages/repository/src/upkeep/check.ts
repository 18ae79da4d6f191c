/** Looks for damage in a repository, and changes nothing. */
import { packFileSize } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { BlobTable } from '../index/blob-table.ts';
import { surveyIndexFiles } from '../index/load-index.ts';
import type { IndexFile } from '../index/load-index.ts';
import { IndexedRepository } from '../indexed.ts';
import { withLock } from '../lock.ts';
import { WaitingPacks } from './lock-free/waiting-packs.ts';
import type { Repository } from '../repository.ts';
import { checkData, checkSubset, choosePacks } from './check-data.ts';
import type { PackSubset } from './check-data.ts';
import { checkStructure, rootsOf } from './check-structure.ts';
import { failureOf, sentenceOf } from './problems.ts';
import type { CheckProblem } from './problems.ts';
import { isDamagedPack, suggestRepairs } from './suggest-repairs.ts';
import type { Repair } from './suggest-repairs.ts';

/** Where a check is. `total` where it is known; trees, packs and files are counted. */
export interface CheckProgress {
  readonly phase: 'index' | 'packs' | 'trees' | 'data';
  readonly done: number;
  readonly total?: number | undefined;
}

export interface CheckOptions {
  /** Read packs and look at every blob: all, or some of them. @default false */
  readonly readData?: boolean | PackSubset | undefined;
  /**
   * Packs that an earlier check has read and found sound, and their bytes. Those that are as long today are not read
   * again: so a check goes on where another one was interrupted. @default none
   */
  readonly soundPacks?: ReadonlyMap<Id, number> | undefined;
  /** Look at these snapshots only, and at the packs they need. @default all snapshots */
  readonly snapshots?: readonly Id[] | undefined;
  /** Tell of blobs that no snapshot needs. @default false */
  readonly checkUnused?: boolean | undefined;
  /** Lock the repository against all others: what they do meanwhile can look like damage. @default true */
  readonly lock?: boolean | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CheckProgress) => void) | undefined;
  /** A pack of so many bytes was read, and nothing is wrong with it: something for the `soundPacks` of another check. */
  readonly onSoundPack?: ((pack: Id, bytes: number) => void) | undefined;
}

export interface CheckResult {
  /** Damage. */
  readonly errors: readonly CheckProblem[];
  /** What is harmless, but not as it should be. */
  readonly hints: readonly CheckProblem[];
  /** Packs whose content is damaged: what can be saved of them must be, and then they must go. */
  readonly damagedPacks: readonly Id[];
  /** What mends the damage, one after the other. Check again afterwards: one repair may show what the next has to mend. */
  readonly repairs: readonly Repair[];
  /** `repairIndex` would help. */
  readonly suggestRepairIndex: boolean;
  /** `prune` would help. */
  readonly suggestPrune: boolean;
  readonly packsRead: number;
  readonly bytesRead: number;
  /** Packs that were to be read and were not, because of `soundPacks`. */
  readonly packsTakenOver: number;
  /** What went wrong beside the check, such as a lock that could not be removed. */
  readonly problems: readonly string[];
}

/** The public function of this name is in upkeep.ts, and described there. */
export async function check(repository: Repository, options: CheckOptions = {}): Promise<CheckResult> {
  const { signal, retryLockMs: retryMs, readData } = options;
  if (typeof readData === 'object') checkSubset(readData);
  if (options.lock === false) return checkLocked(repository, options);
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withLock(repository, { exclusive: true, retryMs, signal, onLeft }, (lock) =>
    checkLocked(repository, { ...options, signal: lock.signal }),
  );
  return { ...result, problems };
}

/** The same for those who hold the lock. */
export async function checkLocked(repository: Repository, options: CheckOptions): Promise<CheckResult> {
  const { signal, onProgress } = options;
  const errors: CheckProblem[] = [];
  const hints: CheckProblem[] = [];
  const result = (read = { packs: 0, bytes: 0, takenOver: 0 }): CheckResult => summarize(errors, hints, read);
  // Before the index: it then has all of their blobs, even without a lock.
  const snapshots = options.snapshots ?? (await names(repository, signal));

  const table = new BlobTable();
  const waiting = new WaitingPacks();
  const { files, broken } = await surveyIndexFiles(repository, table, {
    signal,
    onMarks: (_, marks) => waiting.add(marks),
    onProgress: ({ filesDone: done, filesTotal: total }) => onProgress?.({ phase: 'index', done, total }),
  });
  hints.push(...duplicatePacks(files));
  for (const { id, error } of broken) {
    errors.push({ kind: 'index-broken', message: `index ${id}: ${error.message}`, index: id });
  }
  if (broken.length > 0) return result();

  const indexed = new IndexedRepository(repository, table);
  const sizes = await comparePacks(indexed, waiting, errors, hints, options);

  const onBroken = (snapshot: Id, error: unknown): void => {
    const message = `snapshot ${snapshot}: ${sentenceOf(error)}`;
    errors.push({ kind: 'snapshot-broken', message, snapshot, ...failureOf(error) });
  };
  const roots = await rootsOf(repository, snapshots, onBroken, { signal });
  const reached = await checkStructure(indexed, roots, (problem) => errors.push(waiting.explain(problem)), {
    signal,
    onTree: (done) => onProgress?.({ phase: 'trees', done }),
  });
  if (options.checkUnused === true) hints.push(...unusedBlobs(table, reached));

  const { readData = false, soundPacks, onSoundPack } = options;
  if (readData === false) return result();
  const readable = options.snapshots === undefined ? sizes : neededPacks(table, reached, sizes);
  const chosen = choosePacks(readable, readData === true ? undefined : readData);
  const total = chosen.size;
  for (const pack of chosen) if (soundPacks?.get(pack) === sizes.get(pack)) chosen.delete(pack);
  const takenOver = total - chosen.size;
  const read = await checkData(indexed, sizes, chosen, (problem) => errors.push(problem), {
    signal,
    onPack: (done) => onProgress?.({ phase: 'data', done: takenOver + done, total }),
    onSoundPack,
  });
  return result({ ...read, takenOver });
}

function summarize(
  errors: readonly CheckProblem[],
  hints: readonly CheckProblem[],
  read: { readonly packs: number; readonly bytes: number; readonly takenOver: number },
): CheckResult {
  const has = (problems: readonly CheckProblem[], ...kinds: CheckProblem['kind'][]): boolean =>
    problems.some(({ kind }) => kinds.includes(kind));
  return {
    errors,
    hints,
    damagedPacks: [...new Set(errors.filter(isDamagedPack).flatMap(({ pack }) => pack ?? []))],
    repairs: suggestRepairs(errors, hints),
    suggestRepairIndex: has(errors, 'index-broken') || has(hints, 'pack-duplicate'),
    suggestPrune: has(hints, 'pack-mixed', 'pack-orphaned'),
    packsRead: read.packs,
    bytesRead: read.bytes,
    packsTakenOver: read.takenOver,
    problems: [],
  };
}

async function names(repository: Repository, signal: AbortSignal | undefined): Promise<Id[]> {
  const found: Id[] = [];
  for await (const { name } of repository.list('snapshot', { signal })) found.push(name);
  return found;
}

function* duplicatePacks(files: readonly IndexFile[]): Generator<CheckProblem> {
  const naming = new Map<Id, Id[]>();
  for (const { id, packs } of files) {
    for (const pack of packs.keys()) naming.set(pack, [...(naming.get(pack) ?? []), id]);
  }
  for (const [pack, indexes] of naming) {
    if (indexes.length < 2) continue;
    yield { kind: 'pack-duplicate', message: `pack ${pack} contained in several indexes: ${indexes.join(', ')}`, pack };
  }
}

/** Compares the index with what is stored; resolves with the bytes of each pack that is in both. */
async function comparePacks(
  { repository, table }: IndexedRepository,
  waiting: WaitingPacks,
  errors: CheckProblem[],
  hints: CheckProblem[],
  { signal, onProgress }: CheckOptions,
): Promise<Map<Id, number>> {
  const stored = new Map<Id, number>();
  for await (const { name, size } of repository.list('data', { signal })) stored.set(name, size);
  const sizes = new Map<Id, number>();
  let done = 0;
  for (const { pack, blobs } of table.byPack()) {
    const size = stored.get(pack);
    stored.delete(pack);
    const expected = packFileSize(blobs);
    if (size === undefined) errors.push({ kind: 'pack-missing', message: `pack ${pack}: does not exist`, pack });
    else sizes.set(pack, size);
    if (size !== undefined && size !== expected) {
      errors.push({
        kind: 'pack-size',
        message: `pack ${pack}: unexpected file size: got ${size}, expected ${expected}`,
        pack,
      });
    }
    if (blobs.some(({ type }) => type !== blobs[0]?.type)) {
      hints.push({ kind: 'pack-mixed', message: `pack ${pack} contains a mix of tree and data blobs`, pack });
    }
    onProgress?.({ phase: 'packs', done: ++done, total: table.packs.length });
  }
  for (const pack of stored.keys()) hints.push(waiting.describe(pack));
  return sizes;
}

function* unusedBlobs(table: BlobTable, reached: Uint8Array): Generator<CheckProblem> {
  for (const { type, id, pack } of table.entries()) {
    if (reached[table.numberOf(type, id)] === 1) continue;
    yield { kind: 'blob-unused', message: `unused ${type} blob ${id}`, blob: id, pack };
  }
}

function neededPacks(table: BlobTable, reached: Uint8Array, sizes: ReadonlyMap<Id, number>): Map<Id, number> {
  const needed = new Map<Id, number>();
  for (const { pack, blobs } of table.byPack()) {
    const size = sizes.get(pack);
    if (size === undefined) continue;
    if (blobs.some(({ type, id }) => reached[table.numberOf(type, id)] === 1)) needed.set(pack, size);
  }
  return needed;
}
