/** Loads the index files of a repository into a blob table. */
import { decodeIndex, EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Code, Id, IndexMarks, IndexSink } from '@restic-engine/repo-format';
import { IndexedRepository } from '../indexed.ts';
import type { Repository } from '../repository.ts';
import { BlobTable } from './blob-table.ts';

/** `onProgress` is told of every index file that has been read. */
export interface LoadIndexOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly filesDone: number; readonly filesTotal: number }) => void) | undefined;
}

/** An index file and what it names. */
export interface IndexFile {
  readonly id: Id;
  /** Entries in all. */
  readonly blobs: number;
  /** Pack → how many of its blobs are named here. */
  readonly packs: ReadonlyMap<Id, number>;
  /** It names packs that wait for their deletion. */
  readonly marked: boolean;
}

/** An index file that cannot be read. */
export interface BrokenIndexFile {
  readonly id: Id;
  readonly error: EngineError;
}

export interface ReadIndexOptions extends LoadIndexOptions {
  /** Files that are known already. */
  readonly skip?: ((id: Id) => boolean) | undefined;
}

export interface SurveyOptions extends ReadIndexOptions {
  /**
   * Packs that wait for their deletion and that count as the others do: for those who have the repository for
   * themselves. Who may remove such packs need not know of marks, so ones that are gone may be marked still.
   */
  readonly withMarked?: ((pack: Id) => boolean) | undefined;
  /** Told of the marks in a file instead. */
  readonly onMarks?: ((file: Id, marks: IndexMarks) => void) | undefined;
}

/** What is wrong with the file itself, rather than with the way to it. */
const BROKEN: ReadonlySet<Code> = new Set<Code>(['corrupt', 'unsupported', 'too-large']);

export async function loadIndex(repository: Repository, options: LoadIndexOptions = {}): Promise<IndexedRepository> {
  const indexed = new IndexedRepository(repository, new BlobTable());
  await readIndexFiles(repository, options, (id, json) => {
    decodeIndex(json, repository.config.version, tableSink(indexed.table));
    indexed.indexFiles.add(id);
  });
  return indexed;
}

/** Adds what the index files name to `table` and tells of each file; what cannot be read keeps none of the others. */
export async function surveyIndexFiles(
  repository: Repository,
  table: BlobTable,
  options: SurveyOptions = {},
): Promise<{ files: IndexFile[]; broken: BrokenIndexFile[] }> {
  const files: IndexFile[] = [];
  const broken: BrokenIndexFile[] = [];
  const onBroken = (id: Id, error: EngineError): void => void broken.push({ id, error });
  await readIndexFiles(
    repository,
    options,
    (id, json) => {
      const packs = new Map<Id, number>();
      let [blobs, marked] = [0, false];
      const sink = countingSink(tableSink(table), packs);
      const marks = (found: IndexMarks): void => {
        marked = found.packs.length > 0;
        options.onMarks?.(id, found);
        if (options.withMarked !== undefined) addMarked(found, options.withMarked, sink);
      };
      decodeIndex(json, repository.config.version, { ...sink, marks });
      for (const count of packs.values()) blobs += count;
      files.push({ id, blobs, packs, marked });
    },
    onBroken,
  );
  return { files, broken };
}

/** A pack that was in no index has no blobs here: nothing can be said of it. */
function addMarked({ packs }: IndexMarks, counts: (pack: Id) => boolean, sink: IndexSink): void {
  for (const { id, blobs } of packs) {
    if (blobs.length === 0 || !counts(id)) continue;
    sink.pack(id);
    for (const blob of blobs) sink.blob(blob.type, blob.id, blob.offset, blob.length, blob.uncompressedLength);
  }
}

/**
 * Reads every index file. What one names that goes away meanwhile is named by those that took its place, which were
 * there before: they are read as well.
 */
async function readIndexFiles(
  repository: Repository,
  options: ReadIndexOptions,
  take: (id: Id, json: Uint8Array) => void,
  onBroken?: (id: Id, error: EngineError) => void,
): Promise<void> {
  const done = new Set<Id>();
  const gone = new Set<Id>();
  for (let before = -1; gone.size > before; ) {
    before = gone.size;
    const files: Id[] = [];
    for await (const { name } of repository.list('index', { signal: options.signal })) {
      if (!done.has(name) && options.skip?.(name) !== true) files.push(name);
    }
    await readEach(repository, files, gone, options, take, onBroken);
    for (const file of files) done.add(file);
    for (const file of gone) done.delete(file);
  }
}

/** Adds to `gone` what is not there any more; what was in `gone` before must be there. */
async function readEach(
  repository: Repository,
  files: readonly Id[],
  gone: Set<Id>,
  options: ReadIndexOptions,
  take: (id: Id, json: Uint8Array) => void,
  onBroken?: (id: Id, error: EngineError) => void,
): Promise<void> {
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  let filesDone = 0;
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      try {
        take(file, await repository.loadFile('index', file, { signal }));
      } catch (error) {
        if (EngineError.is(error, 'not-found') && !gone.has(file)) gone.add(file);
        else if (onBroken !== undefined && EngineError.is(error) && BROKEN.has(error.code)) onBroken(file, error);
        else throw error;
      }
      throwIfAborted(signal);
      options.onProgress?.({ filesDone: ++filesDone, filesTotal: files.length });
    }
  };
  try {
    await Promise.all(Array.from({ length: repository.backend.traits.connections + 1 }, reader));
  } catch (error) {
    // Readers that have not failed must not go on.
    failed.abort(error);
    throw error;
  }
}

function tableSink(table: BlobTable): IndexSink {
  let pack = 0;
  return {
    pack(id) {
      pack = table.addPack(id);
    },
    blob(type, id, offset, length, uncompressedLength) {
      table.add(type, id, pack, offset, length, uncompressedLength);
    },
  };
}

function countingSink(sink: IndexSink, packs: Map<Id, number>): IndexSink {
  let pack = '';
  return {
    pack(id) {
      pack = id;
      if (!packs.has(id)) packs.set(id, 0);
      sink.pack(id);
    },
    blob(type, id, offset, length, uncompressedLength) {
      packs.set(pack, (packs.get(pack) ?? 0) + 1);
      sink.blob(type, id, offset, length, uncompressedLength);
    },
  };
}
