/** A repository as plain bytes that can be damaged at will, and a reader that looks at everything in it. */
import {
  EngineError,
  initRepository,
  listKeys,
  listLocks,
  listSnapshots,
  memoryBackend,
  objects,
  openRepository,
  backup,
  readFile,
  walk,
} from 'restic-engine';
import type { Backend, FileType, Repository } from 'restic-engine';
import { all, bytesOf } from './repository.ts';
import { randomFrom } from './random.ts';
import { PASSWORD } from './restic.ts';

export const TYPES: readonly FileType[] = ['config', 'key', 'lock', 'snapshot', 'index', 'data'];

export interface StoredFile {
  readonly type: FileType;
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The cheapest key derivation there is. */
export const CHEAPEST = { N: 16, r: 1, p: 1 } as const;

/** Every file of a store, in a fixed order. */
export async function filesOf(store: Backend): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  for (const type of TYPES) {
    const names = type === 'config' ? [''] : (await all(store.list(type))).map(({ name }) => name).toSorted();
    for (const name of names) {
      const bytes = await store.load({ type, name }).catch((error: unknown) => {
        if (EngineError.is(error, 'not-found')) return undefined;
        throw error;
      });
      if (bytes !== undefined) files.push({ type, name, bytes });
    }
  }
  return files;
}

/** A store in memory with these files. */
export async function storeOf(files: readonly StoredFile[]): Promise<Backend> {
  const store = memoryBackend();
  for (const { type, name, bytes } of files) await store.save({ type, name }, [bytes]);
  return store;
}

export function openStore(backend: Backend, password: string = PASSWORD): Promise<Repository> {
  return openRepository({ backend, password, workers: 0 });
}

/** A sound repository with something of every kind: folders, small and large files, two snapshots, a lock. */
export async function makeVictim(version: 1 | 2): Promise<StoredFile[]> {
  const store = memoryBackend();
  await initRepository({ backend: store, password: PASSWORD, kdf: CHEAPEST, version });
  const repository = await openStore(store);
  const random = randomFrom(9);
  const entries = [
    { path: 'a/b/c/deep', content: 'deep' },
    { path: 'a/text', content: 'text that compresses '.repeat(5000) },
    { path: 'empty', content: '' },
    { path: 'random', content: random.bytes(700_000) },
    { path: 'same', content: random.bytes(3000) },
  ];
  await backup(repository, { source: objects(entries) });
  entries[0]!.content = 'other';
  await backup(repository, { source: objects(entries) });
  // Never disposed of: it stays.
  await repository.lock();
  return filesOf(store);
}

/** Reads all there is, as text to be compared. Rejects with whatever the engine rejects with. */
export async function readEverything(backend: Backend): Promise<string> {
  const repository = await openStore(backend);
  const seen: string[] = [];
  const snapshots = (await all(listSnapshots(repository))).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const keys = await listKeys(repository);
  const locks = await all(listLocks(repository));
  seen.push(JSON.stringify([repository.config, keys, locks, snapshots]));
  const indexed = await repository.loadIndex();
  for (const { tree } of snapshots) {
    for await (const { path, node } of walk(indexed, tree)) {
      seen.push(path, node.mtime);
      if (node.type === 'file') seen.push((await bytesOf(readFile(indexed, node))).toString('base64'));
    }
  }
  return seen.join('\n');
}
