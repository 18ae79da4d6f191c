/** The lock files of a repository, whoever wrote them (restic design document, "Locks"). */
import { decodeLock, EngineError, isStale } from '@restic-engine/repo-format';
import type { Call, Id, Lock } from '@restic-engine/repo-format';
import type { Platform } from './platform.ts';
import type { Repository } from './repository.ts';

/** A lock file that was found. */
export interface FoundLock {
  readonly id: Id;
  readonly lock: Lock;
}

/** Every lock. Empty files are none; one that cannot be read rejects with `corrupt`. */
export async function* listLocks(repository: Repository, call: Call = {}): AsyncGenerator<FoundLock> {
  for await (const { name, size } of repository.list('lock', call)) {
    if (size === 0) continue;
    const lock = await readLock(repository, name, call.signal);
    if (lock !== undefined) yield { id: name, lock };
  }
}

/**
 * Removes locks nobody holds any more, or with `all` every lock, and resolves with their number.
 * Needs no lock itself.
 */
export async function removeStaleLocks(
  repository: Repository,
  options: Call & { readonly all?: boolean } = {},
): Promise<number> {
  const { signal, all = false } = options;
  let removed = 0;
  for await (const { name } of repository.list('lock', { signal })) {
    if (!all && !(await isAbandoned(repository, name, signal))) continue;
    await repository.removeFile('lock', name, { signal });
    removed += 1;
  }
  return removed;
}

/** An unreadable lock is nobody's to judge: it stays until all are removed. */
async function isAbandoned(repository: Repository, id: Id, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    const lock = await readLock(repository, id, signal);
    return lock !== undefined && isDead(repository.platform, lock);
  } catch (error) {
    if (EngineError.is(error, 'corrupt')) return false;
    throw error;
  }
}

/** The lock, or undefined when it went away meanwhile. */
export async function readLock(
  repository: Repository,
  id: Id,
  signal: AbortSignal | undefined,
): Promise<Lock | undefined> {
  try {
    return decodeLock(await repository.loadFile('lock', id, { signal }));
  } catch (error) {
    if (EngineError.is(error, 'not-found')) return undefined;
    if (!EngineError.is(error, 'corrupt')) throw error;
    const message = `the lock file ${id.slice(0, 8)} is damaged: ${error.message}`;
    throw new EngineError('corrupt', message, { ...error.context, lock: id }, { cause: error });
  }
}

/** By restic's rule. */
export function isDead(platform: Platform, lock: Lock): boolean {
  const { hostname } = platform;
  return isStale(lock, { nowSeconds: platform.now().seconds, hostname, isAlive: (pid) => platform.isAlive(pid) });
}
