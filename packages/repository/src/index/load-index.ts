/** Loads the index files of a repository into a blob table. */
import { decodeIndex, EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Code, Id, IndexSink } from '@restic-engine/repo-format';
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

/** What is wrong with the file itself, rather than with the way to it. */
const BROKEN: ReadonlySet<Code> = new Set<Code>(['corrupt', 'unsupported', 'too-large']);

export async function loadIndex(repository: Repository, options: LoadIndexOptions = {}): Promise<IndexedRepository> {
  const table = new BlobTable();
  await readIndexFiles(repository, options, (_, json) => {
    decodeIndex(json, repository.config.version, tableSink(table));
  });
  return new IndexedRepository(repository, table);
}

/** Adds what the index files name to `table` and tells of each file; what cannot be read keeps none of the others. */
export async function surveyIndexFiles(
  repository: Repository,
  table: BlobTable,
  options: ReadIndexOptions = {},
): Promise<{ files: IndexFile[]; broken: BrokenIndexFile[] }> {
  const files: IndexFile[] = [];
  const broken: BrokenIndexFile[] = [];
  const onBroken = (id: Id, error: EngineError): void => void broken.push({ id, error });
  await readIndexFiles(
    repository,
    options,
    (id, json) => {
      const packs = new Map<Id, number>();
      let blobs = 0;
      decodeIndex(json, repository.config.version, countingSink(tableSink(table), packs));
      for (const count of packs.values()) blobs += count;
      files.push({ id, blobs, packs });
    },
    onBroken,
  );
  return { files, broken };
}

async function readIndexFiles(
  repository: Repository,
  options: ReadIndexOptions,
  take: (id: Id, json: Uint8Array) => void,
  onBroken?: (id: Id, error: EngineError) => void,
): Promise<void> {
  const { onProgress, skip = () => false } = options;
  const files: Id[] = [];
  for await (const { name } of repository.list('index', { signal: options.signal })) if (!skip(name)) files.push(name);

  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  let filesDone = 0;
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      try {
        take(file, await repository.loadFile('index', file, { signal }));
      } catch (error) {
        if (onBroken === undefined || !EngineError.is(error) || !BROKEN.has(error.code)) throw error;
        onBroken(file, error);
      }
      throwIfAborted(signal);
      onProgress?.({ filesDone: ++filesDone, filesTotal: files.length });
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
