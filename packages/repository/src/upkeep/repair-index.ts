/** Makes the index say again what the packs hold. */
import { EngineError, packFileSize, readPackHeader } from '@restic-engine/repo-format';
import type { Code, Id, PackEntry } from '@restic-engine/repo-format';
import { BlobTable } from '../index/blob-table.ts';
import { surveyIndexFiles } from '../index/load-index.ts';
import type { BrokenIndexFile, IndexFile } from '../index/load-index.ts';
import { withLock } from '../lock.ts';
import type { Repository } from '../repository.ts';
import { inParallel } from './in-parallel.ts';
import { rewriteIndex } from './rewrite-index.ts';

/** Where a repair is; files are counted. */
export interface RepairIndexProgress {
  readonly phase: 'index' | 'packs' | 'remove-index';
  readonly done: number;
  readonly total: number;
}

export interface RepairIndexOptions {
  /** Believe no index file and read the header of every pack. @default false */
  readonly readAllPacks?: boolean | undefined;
  /** How long to wait for locks that are in the way, in milliseconds. @default 0 */
  readonly retryLockMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairIndexProgress) => void) | undefined;
}

export interface RepairIndexResult {
  /** Index files that could not be read; they are removed. */
  readonly brokenIndexes: readonly Id[];
  /** Packs that were named and are not there. */
  readonly missingPacks: readonly Id[];
  /** Packs whose header was read and is in the new index. */
  readonly readPacks: readonly Id[];
  /** Packs whose header cannot be read: they are in no index now. */
  readonly unreadablePacks: readonly { readonly id: Id; readonly message: string }[];
  readonly indexesWritten: number;
  readonly indexesRemoved: number;
  /** What went wrong beside the repair, such as a lock that could not be removed. */
  readonly problems: readonly string[];
}

/** The public function of this name is in upkeep.ts, and described there. */
export async function repairIndex(
  repository: Repository,
  options: RepairIndexOptions = {},
): Promise<RepairIndexResult> {
  const { signal, retryLockMs: retryMs } = options;
  const problems: string[] = [];
  const onLeft = (error: unknown): void => void problems.push(`the lock could not be removed: ${String(error)}`);
  const result = await withLock(repository, { exclusive: true, retryMs, signal, onLeft }, (lock) =>
    repairIndexLocked(repository, { ...options, signal: lock.signal }),
  );
  return { ...result, problems };
}

/** What says that a pack is damaged. */
const DAMAGE: ReadonlySet<Code> = new Set<Code>(['corrupt', 'out-of-range', 'too-large', 'not-found']);

interface KnownIndex {
  readonly table: BlobTable;
  readonly files: readonly IndexFile[];
  readonly broken: readonly BrokenIndexFile[];
  /** Files that nobody looked into. */
  readonly ignored: readonly Id[];
}

async function knownIndex(repository: Repository, options: RepairIndexOptions): Promise<KnownIndex> {
  const { signal, onProgress, readAllPacks = false } = options;
  const table = new BlobTable();
  if (readAllPacks) {
    const ignored: Id[] = [];
    for await (const { name } of repository.list('index', { signal })) ignored.push(name);
    return { table, files: [], broken: [], ignored };
  }
  const { files, broken } = await surveyIndexFiles(repository, table, {
    signal,
    withMarked: () => true,
    onProgress: ({ filesDone: done, filesTotal: total }) => onProgress?.({ phase: 'index', done, total }),
  });
  return { table, files, broken, ignored: [] };
}

/** The same for those who hold the lock. */
export async function repairIndexLocked(
  repository: Repository,
  options: Omit<RepairIndexOptions, 'retryLockMs'>,
): Promise<RepairIndexResult> {
  const { signal, onProgress } = options;
  const known = await knownIndex(repository, options);
  const unnamed = new Map<Id, number>();
  for await (const { name, size } of repository.list('data', { signal })) unnamed.set(name, size);
  const without = new Set<Id>();
  const missingPacks: Id[] = [];
  for (const { pack, blobs } of known.table.byPack()) {
    const size = unnamed.get(pack);
    if (size === undefined) missingPacks.push(pack);
    if (size === packFileSize(blobs)) unnamed.delete(pack);
    else without.add(pack);
  }
  const { table, readPacks, unreadablePacks } = await readHeaders(repository, unnamed, options);
  const brokenIndexes = known.broken.map(({ id }) => id);
  const { written, removed } = await rewriteIndex(repository, {
    files: known.files,
    obsolete: [...brokenIndexes, ...known.ignored],
    sources: [
      { table: known.table, without },
      { table, without: new Set() },
    ],
    signal,
    onRemoved: (done, total) => onProgress?.({ phase: 'remove-index', done, total }),
  });
  return {
    brokenIndexes,
    missingPacks,
    readPacks,
    unreadablePacks,
    indexesWritten: written,
    indexesRemoved: removed,
    problems: [],
  };
}

/** What the headers of `packs` (id → bytes) say. */
async function readHeaders(
  repository: Repository,
  packs: ReadonlyMap<Id, number>,
  { signal, onProgress }: RepairIndexOptions,
): Promise<{ table: BlobTable } & Pick<RepairIndexResult, 'readPacks' | 'unreadablePacks'>> {
  const table = new BlobTable();
  const readPacks: Id[] = [];
  const unreadablePacks: { id: Id; message: string }[] = [];
  let done = 0;
  await inParallel(packs, { places: repository.backend.traits.connections, signal }, async ([id, size]) => {
    try {
      const entries = await readHeader(repository, id, size, signal);
      const number = table.addPack(id);
      for (const { type, id: blob, offset, length, uncompressedLength } of entries) {
        table.add(type, blob, number, offset, length, uncompressedLength);
      }
      readPacks.push(id);
    } catch (error) {
      // A store that fails just now says nothing of the pack, whose entries would be lost.
      if (!EngineError.is(error) || !DAMAGE.has(error.code)) throw error;
      unreadablePacks.push({ id, message: error.message });
    }
    onProgress?.({ phase: 'packs', done: ++done, total: packs.size });
  });
  return { table, readPacks, unreadablePacks };
}

async function readHeader(
  { backend, sealer, config }: Repository,
  pack: Id,
  size: number,
  signal: AbortSignal | undefined,
): Promise<PackEntry[]> {
  return readPackHeader(
    (range) => backend.load({ type: 'data', name: pack }, range, { signal }),
    size,
    sealer,
    config.version,
  );
}
