/** Made-up content, the same in every run, and the calls most cases need. */
import { createHash } from 'node:crypto';
import type { Backend, FileHandle, FileType, ListedFile } from '@restic-engine/repo-format';

/** `length` bytes that look random and depend on `seed` only (xorshift32). */
export function bytesOf(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed * 2_654_435_761 + 1) >>> 0 || 1;
  for (let at = 0; at < length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** The handle for some content: servers may insist that a name is the SHA-256 of its file. */
export function handleFor(type: FileType, content: Uint8Array): FileHandle {
  return { type, name: type === 'config' ? '' : createHash('sha256').update(content).digest('hex') };
}

/** Saves content under its hash. */
export async function store(backend: Backend, type: FileType, content: Uint8Array): Promise<FileHandle> {
  const file = handleFor(type, content);
  await backend.save(file, [content]);
  return file;
}

/** The whole listing of a type. */
export async function listAll(backend: Backend, type: FileType): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  for await (const file of backend.list(type)) files.push(file);
  return files;
}

/** The names of a type, sorted, once `expected` of them can be seen or must be: stores that list late get ten seconds. */
export async function namesOnce(backend: Backend, type: FileType, expected: number): Promise<string[]> {
  const patience = performance.now() + 10_000;
  for (;;) {
    const names = (await listAll(backend, type)).map((file) => file.name).sort();
    if (backend.traits.listAfterWrite || names.length === expected || performance.now() > patience) return names;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Runs `work` for 0 … count-1, `connections` at once. */
export async function inParallel(
  count: number,
  connections: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(connections, count) }, worker));
}
