import { initRepository, localBackend, openRepository } from 'restic-engine';
import type { Backend, InitOptions, OpenOptions, Repository } from 'restic-engine';
import { PASSWORD } from './restic.ts';

/** A key derivation that is cheap for both sides; any legal cost interoperates. */
export const CHEAP = { N: 1024, r: 8, p: 1 } as const;

/** A new repository in a folder, with a cheap key. */
export async function initAt(path: string, options: Partial<InitOptions> = {}): Promise<Backend> {
  const backend = localBackend(path);
  await initRepository({ backend, password: PASSWORD, kdf: CHEAP, ...options });
  return backend;
}

/** The repository in a folder, opened. */
export function openAt(path: string, options: Partial<OpenOptions> = {}): Promise<Repository> {
  return openRepository({ backend: localBackend(path), password: PASSWORD, ...options });
}

/** All bytes of a stream. */
export async function bytesOf(stream: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Every element of an async iterable. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
