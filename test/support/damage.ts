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
import type { Backend, Code, FileType, Repository } from 'restic-engine';
import { encodeSnapshot } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { withUpload } from '@restic-engine/repository';
import { expect } from 'vitest';
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

export function openStore(
  backend: Backend,
  password: string = PASSWORD,
  signal: AbortSignal | undefined = undefined,
): Promise<Repository> {
  return openRepository({ backend, password, workers: 0, signal });
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

/** Nothing that is wrong may take longer than this to find, in ms, on a busy machine. */
const PROMPTLY = 5000;

/** How `work` ends. Anything but success or an `EngineError` fails the test. */
export async function endOf(work: () => Promise<unknown>): Promise<Code | 'success'> {
  try {
    await work();
    return 'success';
  } catch (error) {
    if (!EngineError.is(error)) throw error;
    return error.code;
  }
}

/** The same, and being slow fails the test, too. */
export async function outcomeOf(work: () => Promise<unknown>): Promise<Code | 'success'> {
  const started = performance.now();
  try {
    return await endOf(work);
  } finally {
    expect(performance.now() - started).toBeLessThan(PROMPTLY);
  }
}

/** A sound repository of version 2, opened: with it, files can be written that are well sealed but make no sense. */
export async function makeSealed(): Promise<{ store: Backend; repository: Repository; files: StoredFile[] }> {
  const files = await makeVictim(2);
  const store = await storeOf(files);
  return { store, repository: await openStore(store), files };
}

/** Stores any bytes as a tree. */
export async function saveTree(repository: Repository, bytes: Uint8Array): Promise<Id> {
  const indexed = await repository.loadIndex();
  return withUpload(indexed, {}, async (upload) => (await upload.save('tree', bytes)).id);
}

/** Stores a snapshot of a tree, later than all others. */
export async function saveSnapshot(repository: Repository, tree: Id): Promise<Id> {
  const snapshot = { time: '2030-01-01T00:00:00Z', tree, paths: ['/'] };
  return repository.saveFile('snapshot', encodeSnapshot(snapshot));
}
