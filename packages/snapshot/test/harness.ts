/** What tests of backups share: repositories in memory, and looking into snapshots. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Backend, FileType, Node } from '@restic-engine/repo-format';
import { openRepository } from '@restic-engine/repository';
import type { OpenOptions, Repository } from '@restic-engine/repository';
import { memoryBackend, withFaults } from '../../backends/src/index.ts';
import type { FaultPlan } from '../../backends/src/index.ts';
import { backup } from '../src/backup/backup.ts';
import type { BackupOptions, BackupResult } from '../src/backup/types.ts';
import { initRepository } from '../src/init.ts';
import { files } from '../src/source/fs/files.ts';
import { readFile, walk } from '../src/walk.ts';

export const PASSWORD = 'correct horse';
export const POLYNOMIAL = '3da3358b4dc173';

export async function initialized(backend: Backend = memoryBackend()): Promise<Backend> {
  await initRepository({ backend, password: PASSWORD, kdf: { N: 1024, r: 8, p: 1 }, chunkerPolynomial: POLYNOMIAL });
  return backend;
}

/** Opens what is at `backend`, failing as planned; without worker threads unless told otherwise. */
export function opened(
  backend: Backend,
  plan: FaultPlan = {},
  options: Partial<OpenOptions> = {},
): Promise<Repository> {
  return openRepository({ password: PASSWORD, workers: 0, ...options, backend: withFaults(plan)(backend) });
}

export async function makeRepository(
  plan: FaultPlan = {},
  options: Partial<OpenOptions> = {},
): Promise<{ repository: Repository; backend: Backend }> {
  const backend = await initialized();
  return { repository: await opened(backend, plan, options), backend };
}

export async function names(backend: Backend, type: FileType): Promise<string[]> {
  return (await Array.fromAsync(backend.list(type))).map(({ name }) => name);
}

/** The code of the `EngineError` that `promise` rejects with; another error is returned itself. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'nothing was thrown';
}

/** The nodes of a tree by their paths. */
export async function nodesOf(repository: Repository, tree: string): Promise<Map<string, Node>> {
  const found = await Array.fromAsync(walk(await repository.loadIndex(), tree));
  return new Map(found.map(({ path, node }) => [path, node]));
}

/** The contents of all files of a tree by their paths. */
export async function contentsOf(repository: Repository, tree: string): Promise<Record<string, Buffer>> {
  const indexed = await repository.loadIndex();
  const contents: Record<string, Buffer> = {};
  for await (const { path, node } of walk(indexed, tree)) {
    if (node.type === 'file') contents[path] = await bytesOf(readFile(indexed, node));
  }
  return contents;
}

export async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream));
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

/** Backs up what is in a directory: its entries lie at the root of the snapshot. */
export function storeDirectory(
  repository: Repository,
  path: string,
  options: Partial<BackupOptions> = {},
): Promise<BackupResult> {
  return backup(repository, { source: files({ targets: ['.'], cwd: path }), ...options });
}

/** Writes files, with directories as needed. */
export function writeFiles(root: string, contents: Record<string, string | Uint8Array>): void {
  for (const [path, content] of Object.entries(contents)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}
