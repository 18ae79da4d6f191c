/** The marks of packs that wait for their deletion, as they are stored. */
import { encodeMarks, EngineError } from '@restic-engine/repo-format';
import type { Call, Id, IndexMarks, LockRecord, PackEntry, Timestamp } from '@restic-engine/repo-format';
import { BlobTable } from '../../index/blob-table.ts';
import { surveyIndexFiles } from '../../index/load-index.ts';
import type { IndexFile, LoadIndexOptions } from '../../index/load-index.ts';
import type { Repository } from '../../repository.ts';
import { FULL_BLOBS, Indexer } from '../../store/indexer.ts';

/** An index file with marks. */
export interface MarkFile {
  readonly id: Id;
  readonly packs: ReadonlyMap<Id, Timestamp | undefined>;
  /** Undefined where nobody looked for locks when the packs had left the index. */
  readonly record: LockRecord | undefined;
  /** It names other packs, too; rustic writes such files. */
  readonly mixed: boolean;
}

/** What the index files say. */
export interface MarkedIndex {
  /** Blobs in packs that an index names or that wait. */
  readonly table: BlobTable;
  /** All files; those of marks only name no packs here. */
  readonly files: readonly IndexFile[];
  readonly markFiles: readonly MarkFile[];
  /** Packs that are in the index. */
  readonly named: ReadonlySet<Id>;
}

/** Loads the index and the marks of packs that are in `stored`. */
export async function loadMarkedIndex(
  repository: Repository,
  stored: ReadonlyMap<Id, number>,
  options: LoadIndexOptions,
): Promise<MarkedIndex> {
  const table = new BlobTable();
  const found: { id: Id; marks: IndexMarks }[] = [];
  const onMarks = (id: Id, marks: IndexMarks): void => {
    for (const { id: pack, blobs } of marks.packs) {
      if (blobs.length > 0 && stored.has(pack)) addTo(table, pack, blobs);
    }
    found.push({ id, marks: { ...marks, packs: marks.packs.map((pack) => ({ ...pack, blobs: [] })) } });
  };
  const { files, broken } = await surveyIndexFiles(repository, table, { ...options, onMarks });
  if (broken[0] !== undefined) throw broken[0].error;
  const naming = new Set(files.filter(({ packs }) => packs.size > 0).map(({ id }) => id));
  const markFiles = found.map(({ id, marks: { packs, record } }): MarkFile => {
    const mixed = naming.has(id);
    return { id, packs: new Map(packs.map((pack) => [pack.id, pack.time])), record: mixed ? undefined : record, mixed };
  });
  return { table, files, markFiles, named: new Set(files.flatMap(({ packs }) => [...packs.keys()])) };
}

function addTo(table: BlobTable, pack: Id, blobs: readonly PackEntry[]): void {
  const number = table.addPack(pack);
  for (const { type, id, offset, length, uncompressedLength } of blobs) {
    table.add(type, id, number, offset, length, uncompressedLength);
  }
}

/** Stores marks, with the blobs that `table` knows of each pack. */
export async function saveMarks(
  repository: Repository,
  table: BlobTable,
  packs: ReadonlyMap<Id, Timestamp>,
  record: LockRecord | undefined,
  call: Call,
): Promise<readonly Id[]> {
  const saved: Id[] = [];
  const indexer = new Indexer(
    async (entries) => {
      const marked = entries.map((pack) => ({ ...pack, time: packs.get(pack.id) }));
      saved.push(await repository.saveFile('index', encodeMarks({ packs: marked, record }), call));
    },
    () => 0,
  );
  for (const { pack, blobs } of table.byPack((id) => packs.has(id))) await indexer.add({ id: pack, blobs });
  for (const id of packs.keys()) if (!table.hasPack(id)) await indexer.add({ id, blobs: [] });
  await indexer.flush();
  return saved;
}

/** Stores what a run has seen and left alone, in files that are not larger than others. */
export async function saveObservation(repository: Repository, record: LockRecord, call: Call): Promise<void> {
  for (let at = 0; at < record.unsettled.length; at += FULL_BLOBS) {
    const unsettled = record.unsettled.slice(at, at + FULL_BLOBS);
    await repository.saveFile('index', encodeMarks({ packs: [], record: { ...record, unsettled } }), call);
  }
}

/** Removes index files; one that somebody else removed is gone as well. */
export async function removeIndexFiles(repository: Repository, files: Iterable<Id>, call: Call): Promise<void> {
  for (const id of files) {
    try {
      await repository.removeFile('index', id, call);
    } catch (error) {
      if (!EngineError.is(error, 'not-found')) throw error;
    }
  }
}
