/** Saves what is sound in damaged packs, and removes them. */
import { EngineError, isId, sha256 } from '@restic-engine/repo-format';
import type { BlobType, Id, PackEntry } from '@restic-engine/repo-format';
import { BlobTable } from '../index/blob-table.ts';
import { surveyIndexFiles } from '../index/load-index.ts';
import { IndexedRepository } from '../indexed.ts';
import { withLock } from '../lock.ts';
import type { Repository } from '../repository.ts';
import { withUpload } from '../store/upload.ts';
import type { Upload } from '../store/upload.ts';
import { sentenceOf } from './problems.ts';
import { replacePacks } from './rewrite-index.ts';
import { salvageBlobs } from './salvage-task.ts';

/** Where a repair is; files are counted. */
export interface RepairPacksProgress {
  readonly phase: 'index' | 'salvage' | 'remove-index' | 'remove-packs';
  readonly done: number;
  readonly total: number;
}

export interface RepairPacksOptions {
  /**
   * Keeps a copy of a damaged pack as it is stored: somebody may get more out of it. What it rejects with ends the
   * repair before anything is removed. The bytes are only lent.
   */
  readonly keepCopy: (pack: Id, bytes: Uint8Array) => Promise<void>;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairPacksProgress) => void) | undefined;
}

/** A blob of a damaged pack that could not be read. */
export interface LostBlob {
  readonly type: BlobType;
  readonly id: Id;
  readonly pack: Id;
  readonly message: string;
  /** Another pack has, or is said to have, a copy. */
  readonly elsewhere: boolean;
}

export interface RepairPacksResult {
  /** Packs that are in no index any more; they are removed, but for what `problems` says. */
  readonly removedPacks: readonly Id[];
  /** Those of them that were not there: of their content nothing could be saved. */
  readonly missingPacks: readonly Id[];
  /** Blobs that are in new packs now. */
  readonly salvagedBlobs: number;
  readonly lostBlobs: readonly LostBlob[];
  /** What went wrong and did no harm: packs that could not be removed, a lock that stayed. */
  readonly problems: readonly string[];
}

/** The public function of this name is in upkeep.ts, and described there. */
export async function repairPacks(
  repository: Repository,
  packs: readonly Id[],
  options: RepairPacksOptions,
): Promise<RepairPacksResult> {
  const { signal, retryLockMs: retryMs } = options;
  if (packs.length === 0) throw new EngineError('bad-request', 'no packs to repair');
  for (const pack of packs) {
    if (!isId(pack)) throw new EngineError('bad-request', `"${pack}" is not the full id of a pack`, { pack });
  }
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withLock(repository, { exclusive: true, retryMs, signal, onLeft }, (lock) =>
    repairLocked(repository, new Set(packs), { ...options, signal: lock.signal }),
  );
  return { ...result, problems: [...result.problems, ...problems] };
}

async function repairLocked(
  repository: Repository,
  packs: ReadonlySet<Id>,
  options: RepairPacksOptions,
): Promise<RepairPacksResult> {
  const { signal, onProgress } = options;
  const stored = new Set<Id>();
  for await (const { name } of repository.list('data', { signal })) stored.add(name);
  const table = new BlobTable();
  const { files, broken } = await surveyIndexFiles(repository, table, {
    signal,
    withMarked: (pack) => stored.has(pack),
    onProgress: ({ filesDone: done, filesTotal: total }) => onProgress?.({ phase: 'index', done, total }),
  });
  if (broken[0] !== undefined) throw broken[0].error;
  await refuseUnknown(repository, table, packs, signal);

  const indexed = new IndexedRepository(repository, table);
  const copies = new IndexedRepository(repository, new BlobTable());
  const { missingPacks, salvagedBlobs, lost } = await withUpload(copies, { signal }, (upload) =>
    salvage(indexed, packs, upload, options),
  );
  const lostBlobs = lost
    .filter(({ type, id }) => !copies.has(type, id))
    .map((blob): LostBlob => ({ ...blob, elsewhere: isElsewhere(table, blob, packs) }));
  await replacePacks(indexed, {
    files,
    copies: copies.table,
    without: packs,
    signal,
    onRemoved: (done, total) => onProgress?.({ phase: 'remove-index', done, total }),
  });

  const problems: string[] = [];
  let removed = 0;
  for (const name of packs) {
    try {
      await repository.backend.remove({ type: 'data', name }, { signal });
    } catch (error) {
      problems.push(`pack ${name} could not be removed: ${sentenceOf(error)}`);
    }
    onProgress?.({ phase: 'remove-packs', done: ++removed, total: packs.size });
  }
  return { removedPacks: [...packs], missingPacks, salvagedBlobs, lostBlobs, problems };
}

/** A pack that is neither stored nor in the index is a slip of the pen. */
async function refuseUnknown(
  { backend }: Repository,
  table: BlobTable,
  packs: ReadonlySet<Id>,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const name of packs) {
    if (!table.hasPack(name)) await backend.stat({ type: 'data', name }, { signal });
  }
}

function isElsewhere(table: BlobTable, { type, id }: { type: BlobType; id: Id }, packs: ReadonlySet<Id>): boolean {
  return table.locateAll(type, id).some(({ pack }) => !packs.has(pack));
}

interface SalvageResult {
  readonly missingPacks: readonly Id[];
  readonly salvagedBlobs: number;
  readonly lost: readonly Omit<LostBlob, 'elsewhere'>[];
}

/** One pack after the other: there are few, and each is in memory as a whole. */
async function salvage(
  indexed: IndexedRepository,
  packs: ReadonlySet<Id>,
  upload: Upload,
  { keepCopy, onProgress }: RepairPacksOptions,
): Promise<SalvageResult> {
  const { repository, table } = indexed;
  const { signal } = upload;
  const missingPacks: Id[] = [];
  const lost: Omit<LostBlob, 'elsewhere'>[] = [];
  let salvagedBlobs = 0;
  let done = 0;
  for (const pack of packs) {
    const entries = entriesOf(table, pack);
    const bytes = await loadWhole(repository, pack, signal);
    if (bytes === undefined) {
      missingPacks.push(pack);
      for (const { type, id } of entries) lost.push({ type, id, pack, message: 'the pack does not exist' });
    } else {
      await keepCopy(pack, bytes);
      const input = { codec: repository.codecSpec, bytes, entries };
      const { blobs, broken } = await repository.pool.run(salvageBlobs, input, { signal, transfer: [bytes.buffer] });
      const wanted = blobs.filter(({ type, id }) => upload.claim(type, [id])[0] === true);
      await upload.add(wanted);
      salvagedBlobs += wanted.length;
      for (const blob of broken) lost.push({ ...blob, pack });
    }
    onProgress?.({ phase: 'salvage', done: ++done, total: packs.size });
  }
  return { missingPacks, salvagedBlobs, lost };
}

function entriesOf(table: BlobTable, pack: Id): readonly PackEntry[] {
  return [...table.byPack((id) => id === pack)].flatMap(({ blobs }) => blobs);
}

/** All that is stored of a pack, undefined when there is none. A second look tells damage on the way from damage there. */
async function loadWhole(
  { backend }: Repository,
  pack: Id,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const file = { type: 'data', name: pack } as const;
  try {
    const bytes = await backend.load(file, undefined, { signal });
    return sha256(bytes) === pack ? bytes : await backend.load(file, undefined, { signal, fresh: true });
  } catch (error) {
    if (EngineError.is(error, 'not-found')) return undefined;
    throw error;
  }
}
