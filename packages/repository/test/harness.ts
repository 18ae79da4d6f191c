/** What tests of repositories share: new ones in memory, with a key that is cheap to open. */
import { createBlobCodec, createSealer, generateMasterKey, sha256 } from '@restic-engine/repo-format';
import type { Backend, BlobType, FileType, SealedBlob } from '@restic-engine/repo-format';
import { memoryBackend, withFaults } from '../../backends/src/index.ts';
import type { FaultPlan } from '../../backends/src/index.ts';
import { createRepository, openRepository } from '../src/open.ts';
import type { OpenOptions } from '../src/open.ts';
import type { Repository } from '../src/repository.ts';

export const PASSWORD = 'correct horse';
export const CHEAP = { N: 1024, r: 8, p: 1 } as const;
export const POLYNOMIAL = '3da3358b4dc173';

/** A backend in memory that holds a new repository. */
export async function initialized(options: { version?: 1 | 2; backend?: Backend } = {}): Promise<Backend> {
  const { backend = memoryBackend(), version = 2 } = options;
  await createRepository({ backend, password: PASSWORD, kdf: CHEAP, version, chunkerPolynomial: POLYNOMIAL });
  return backend;
}

/** Opens what is at `backend`; without worker threads unless told otherwise. */
export function opened(backend: Backend, options: Partial<OpenOptions> = {}): Promise<Repository> {
  return openRepository({ password: PASSWORD, workers: 0, ...options, backend });
}

/** A new repository, opened through a backend that fails as planned. */
export async function makeRepository(
  plan: FaultPlan = {},
  options: Partial<OpenOptions> = {},
): Promise<{ repository: Repository; backend: Backend }> {
  const backend = await initialized();
  return { repository: await opened(withFaults(plan)(backend), options), backend };
}

export async function names(backend: Backend, type: FileType): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of backend.list(type)) found.push(name);
  return found;
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

export function text(content: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(content);
}

/** An id that nothing hashes to, as far as anybody knows. */
export function idOf(number: number): string {
  return sha256(text(`blob ${number}`));
}

export function sealedOf(type: BlobType, plain: Uint8Array): SealedBlob {
  const codec = createBlobCodec({
    sealer: createSealer(generateMasterKey()),
    version: 2,
    compression: 'off',
    verify: false,
  });
  return codec.seal(type, plain);
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
