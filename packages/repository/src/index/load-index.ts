/** Loads the index files of a repository into a blob table. */
import { decodeIndex, throwIfAborted } from '@restic-engine/repo-format';
import type { Id, IndexSink } from '@restic-engine/repo-format';
import { IndexedRepository } from '../indexed.ts';
import type { Repository } from '../repository.ts';
import { BlobTable } from './blob-table.ts';

export interface LoadIndexOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: { readonly filesDone: number; readonly filesTotal: number }) => void;
}

export async function loadIndex(repository: Repository, options: LoadIndexOptions = {}): Promise<IndexedRepository> {
  const { onProgress } = options;
  const files: Id[] = [];
  for await (const { name } of repository.list('index', { signal: options.signal })) files.push(name);

  const table = new BlobTable();
  const sink = tableSink(table);
  const failed = new AbortController();
  const signal = options.signal === undefined ? failed.signal : AbortSignal.any([options.signal, failed.signal]);
  let filesDone = 0;
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      decodeIndex(await repository.loadFile('index', file, { signal }), repository.config.version, sink);
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
  return new IndexedRepository(repository, table);
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
