/** Putting new index files in the place of old ones (restic design document, "Index Files"). */
import { encodeIndex, MAX_HEADER_ENTRIES } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import type { BlobTable } from '../index/blob-table.ts';
import { surveyIndexFiles } from '../index/load-index.ts';
import type { IndexFile } from '../index/load-index.ts';
import type { IndexedRepository } from '../indexed.ts';
import type { Repository } from '../repository.ts';
import { FULL_BLOBS, Indexer } from '../store/indexer.ts';
import { inParallel } from './in-parallel.ts';

/** Packs that the new index is to name: those of a table without some. No two sources may have the same pack. */
export interface IndexSource {
  readonly table: BlobTable;
  readonly without: ReadonlySet<Id>;
}

export interface RewriteIndexOptions {
  /** Files that may stay if they are full and say what the new index is to say. */
  readonly files: readonly IndexFile[];
  /** Files that must go. */
  readonly obsolete: readonly Id[];
  readonly sources: readonly IndexSource[];
  readonly signal?: AbortSignal | undefined;
  /** Old files are being removed: the new ones are all stored. */
  readonly onRemoved?: ((done: number, total: number) => void) | undefined;
}

/** Files that were written and removed. */
export interface RewriteIndexResult {
  readonly written: number;
  readonly removed: number;
}

/**
 * Writes an index of all packs in `sources` and removes the old files that are not part of it. Whenever it ends, every
 * pack is named by at least one file.
 */
export async function rewriteIndex(repository: Repository, options: RewriteIndexOptions): Promise<RewriteIndexResult> {
  const { sources, signal, onRemoved } = options;
  const { kept, old } = chooseFiles(options);
  let written = 0;
  const indexer = new Indexer(
    async (packs) => {
      await repository.saveFile('index', encodeIndex(packs), { signal });
      written += 1;
    },
    // Nothing here is lost by waiting until a file is full.
    () => 0,
  );
  for (const { table, without } of sources) {
    for (const { pack, blobs } of table.byPack((id) => !without.has(id) && !kept.has(id))) {
      if (blobs.length > 0) await indexer.add({ id: pack, blobs });
    }
  }
  await indexer.flush();
  let removed = 0;
  await inParallel(old, { places: repository.backend.traits.connections, signal }, async (id) => {
    await repository.removeFile('index', id, { signal });
    onRemoved?.(++removed, old.length);
  });
  return { written, removed };
}

export interface ReplacePacksOptions {
  /** The index files that `indexed` was made from. */
  readonly files: readonly IndexFile[];
  /** What an upload has stored and indexed since. */
  readonly copies: BlobTable;
  /** Packs that the index is not to name any more. */
  readonly without: ReadonlySet<Id>;
  readonly signal?: AbortSignal | undefined;
  readonly onRemoved?: RewriteIndexOptions['onRemoved'];
}

/** Writes an index of all packs that are known and all that were stored since, without some. */
export async function replacePacks(
  { repository, table }: IndexedRepository,
  { files, copies, without, signal, onRemoved }: ReplacePacksOptions,
): Promise<RewriteIndexResult> {
  const old = new Set(files.map(({ id }) => id));
  const added = await surveyIndexFiles(repository, copies, { signal, skip: (id) => old.has(id) });
  if (added.broken[0] !== undefined) throw added.broken[0].error;
  return rewriteIndex(repository, {
    files: [...files, ...added.files],
    obsolete: [],
    sources: [
      { table, without },
      { table: copies, without: new Set() },
    ],
    signal,
    onRemoved,
  });
}

/** The packs that need no new entry, and the files that go. */
function chooseFiles({ files, obsolete, sources }: RewriteIndexOptions): { kept: Set<Id>; old: Id[] } {
  const wanted = new Map<Id, number>();
  for (const { table, without } of sources) {
    for (const [pack, count] of table.packCounts()) if (!without.has(pack)) wanted.set(pack, count);
  }
  const replaced = new Set(sources.flatMap(({ without }) => [...without]));
  const kept = new Set<Id>();
  const old = [...obsolete];
  for (const { id, blobs, packs, marked } of files) {
    const full = blobs >= FULL_BLOBS && blobs < FULL_BLOBS + MAX_HEADER_ENTRIES;
    const right = [...packs].every(
      ([pack, count]) => wanted.get(pack) === count && !replaced.has(pack) && !kept.has(pack),
    );
    // Where packs are only marked, nobody looks for blobs.
    if (!full || !right || marked) {
      old.push(id);
      continue;
    }
    for (const pack of packs.keys()) kept.add(pack);
  }
  return { kept, old };
}

/** Do several files name the same pack, as they do after a rewrite that was interrupted? */
export function namesTwice(files: readonly IndexFile[]): boolean {
  const seen = new Set<Id>();
  let named = 0;
  for (const { packs } of files) {
    named += packs.size;
    for (const pack of packs.keys()) seen.add(pack);
  }
  return named > seen.size;
}
