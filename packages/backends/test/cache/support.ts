import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend, CachedBackend, EngineError, FileHandle, FileType, Id } from '@restic-engine/repo-format';
import { bytesOf } from '../../src/conformance/content.ts';
import { diskCache, memoryBackend, withFaults } from '../../src/index.ts';
import type { FaultPlan } from '../../src/index.ts';
import { folderOf } from '../../src/layout.ts';

export const REPOSITORY: Id = 'ab'.repeat(32);

/** A store that tells of its calls, a cache folder, and both together. */
export interface Place extends AsyncDisposable {
  readonly folder: string;
  readonly store: Backend;
  /** `load data`, `list index` and so on. */
  readonly calls: string[];
  readonly notices: EngineError[];
  /** The store behind the cache, as another run of a program would have it. */
  open(plan?: FaultPlan): CachedBackend;
  /** Where a copy is, whether it is there or not. */
  copyOf(file: FileHandle): string;
  /** Is there a copy with this content? */
  has(file: FileHandle, content: Uint8Array): boolean;
}

export async function makePlace(folder?: string): Promise<Place> {
  const path = await mkdtemp(join(tmpdir(), 'cache-'));
  const base = folder ?? join(path, 'base');
  const store = memoryBackend();
  const calls: string[] = [];
  const notices: EngineError[] = [];
  const copyOf = ({ type, name }: FileHandle): string => join(base, REPOSITORY, folderOf(type), name.slice(0, 2), name);
  const open = (plan: FaultPlan = {}): CachedBackend => {
    const counted = withFaults({
      ...plan,
      onCall: ({ method, type }) => calls.push(type === undefined ? method : `${method} ${type}`),
    });
    const cache = diskCache({ folder: base, onUnusable: (error) => notices.push(error) });
    return cache.inFrontOf(counted(store), REPOSITORY);
  };
  const has = (file: FileHandle, content: Uint8Array): boolean =>
    existsSync(copyOf(file)) && Buffer.compare(readFileSync(copyOf(file)), content) === 0;
  const dispose = (): Promise<void> => rm(path, { recursive: true, force: true });
  return { folder: base, store, calls, notices, open, copyOf, has, [Symbol.asyncDispose]: dispose };
}

/** A file under its hash; a pack holds trees. */
export function fileOf(type: FileType, length: number, seed: number): { file: FileHandle; content: Uint8Array } {
  const content = bytesOf(length, seed);
  const name = createHash('sha256').update(content).digest('hex');
  return { file: type === 'data' ? { type, name, metadata: true } : { type, name }, content };
}
