/**
 * Locks that restic honours and that honour restic's (restic design document, "Locks").
 *
 * A lock file is written, and after a moment in which others would have seen it the other locks are read again.
 * It is refreshed by writing a newer one and removing the older; a lock that could not be refreshed in time ends the
 * work it protects, because others may by then take it for stale.
 */
import { abortedError, decodeLock, encodeLock, EngineError, isStale } from '@restic-engine/repo-format';
import type { Call, Id, Lock } from '@restic-engine/repo-format';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Repository } from './repository.ts';
import { formatInstant } from './time.ts';

/** The time others get to see a new lock. */
const SETTLE_MS = 200;
const REFRESH_MS = 5 * 60_000;
/** A lock not refreshed for this long must not be trusted any more: stale is 30 minutes, less one and a half refreshes. */
const LOST_MS = 22.5 * 60_000;
/** Between attempts to read a lock that cannot be read. */
const UNREADABLE_RETRY_MS = [5_000, 10_000, 20_000];
const RETRY_FIRST_MS = 5_000;
const RETRY_MAX_MS = 60_000;

export interface LockOptions {
  /** Excludes every other lock. @default false */
  readonly exclusive?: boolean | undefined;
  /** Keep trying this long when others hold a lock, in ms. @default 0 */
  readonly retryMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A lock that is held and kept fresh. Disposing removes it. */
export interface RepositoryLock extends AsyncDisposable {
  /** Its present file; changes with each refresh. */
  readonly id: Id;
  /** Fires when the lock is lost or the caller's signal fires: give it to the work done under the lock. */
  readonly signal: AbortSignal;
}

/** A lock file that was found. */
export interface FoundLock {
  readonly id: Id;
  readonly lock: Lock;
}

/** Locks the repository. Rejects with `locked` when somebody else's lock excludes this one. */
export async function acquireLock(repository: Repository, options: LockOptions = {}): Promise<RepositoryLock> {
  const { signal, exclusive = false, retryMs = 0 } = options;
  const deadline = performance.now() + retryMs;
  for (let wait = RETRY_FIRST_MS; ; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
    // From the first moment a lock file can be seen.
    const heedHangups = repository.platform.ignoreHangups();
    try {
      return new HeldLock(repository, exclusive, await tryLock(repository, exclusive, signal), signal, heedHangups);
    } catch (error) {
      heedHangups();
      const left = deadline - performance.now();
      if (!EngineError.is(error, 'locked') || left <= 0) throw error;
      await pause(Math.min(wait, left), signal);
    }
  }
}

/** Every lock file that can be read, and how many cannot. Empty files are no locks. */
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
    return lock !== undefined && isStale(lock, staleFacts(repository));
  } catch (error) {
    if (EngineError.is(error, 'corrupt')) return false;
    throw error;
  }
}

function staleFacts({ platform }: Repository): Parameters<typeof isStale>[1] {
  return {
    nowSeconds: platform.now().seconds,
    hostname: platform.hostname,
    isAlive: (pid) => platform.isAlive(pid),
  };
}

/** The lock, or undefined when it went away meanwhile. */
async function readLock(repository: Repository, id: Id, signal: AbortSignal | undefined): Promise<Lock | undefined> {
  try {
    return decodeLock(await repository.loadFile('lock', id, { signal }));
  } catch (error) {
    if (EngineError.is(error, 'not-found')) return undefined;
    throw error;
  }
}

async function tryLock(repository: Repository, exclusive: boolean, signal: AbortSignal | undefined): Promise<Id> {
  await refuseConflict(repository, exclusive, undefined, signal);
  const own = await writeLock(repository, exclusive, signal);
  try {
    await pause(SETTLE_MS, signal);
    await refuseConflict(repository, exclusive, own, signal);
    return own;
  } catch (error) {
    await repository.removeFile('lock', own);
    throw error;
  }
}

/** Rejects with `locked` when another lock excludes this one, be it stale or not: only `unlock` decides that. */
async function refuseConflict(
  repository: Repository,
  exclusive: boolean,
  own: Id | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const seen = new Set<Id>();
  for (let attempt = 0; ; attempt++) {
    try {
      await readOthers(repository, exclusive, own, seen, signal);
      return;
    } catch (error) {
      const wait = UNREADABLE_RETRY_MS[attempt];
      // It may be half written by a store that shows it too early; valid ones are not read again.
      if (!EngineError.is(error, 'corrupt') || wait === undefined) throw error;
      await pause(wait, signal);
    }
  }
}

async function readOthers(
  repository: Repository,
  exclusive: boolean,
  own: Id | undefined,
  seen: Set<Id>,
  signal: AbortSignal | undefined,
): Promise<void> {
  for await (const { name, size } of repository.list('lock', { signal })) {
    if (name === own || size === 0 || seen.has(name)) continue;
    const lock = await readLock(repository, name, signal);
    if (lock !== undefined && (exclusive || lock.exclusive)) throw lockedError(name, lock);
    seen.add(name);
  }
}

function lockedError(id: Id, lock: Lock): EngineError {
  const kind = lock.exclusive ? 'exclusively ' : '';
  return new EngineError(
    'locked',
    `repository is already locked ${kind}by PID ${lock.pid} on ${lock.hostname} by ${lock.username}, since ${lock.time}`,
    { lock: id, pid: lock.pid, hostname: lock.hostname, username: lock.username, time: lock.time, exclusive: lock.exclusive },
  );
}

async function writeLock(repository: Repository, exclusive: boolean, signal: AbortSignal | undefined): Promise<Id> {
  const { platform } = repository;
  const { hostname, username, pid, uid, gid } = platform;
  const lock: Lock = { time: formatInstant(platform), exclusive, hostname, username, pid, uid, gid };
  return repository.saveFile('lock', encodeLock(lock), { signal });
}

class HeldLock implements RepositoryLock {
  readonly #repository: Repository;
  readonly #exclusive: boolean;
  readonly #lost = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #heedHangups: () => void;
  readonly signal: AbortSignal;
  #id: Id;
  #refreshedAt = performance.now();
  #refreshing: Promise<void> = Promise.resolve();
  #released: Promise<void> | undefined;

  constructor(
    repository: Repository,
    exclusive: boolean,
    id: Id,
    signal: AbortSignal | undefined,
    heedHangups: () => void,
  ) {
    this.#repository = repository;
    this.#exclusive = exclusive;
    this.#id = id;
    this.#heedHangups = heedHangups;
    this.signal = signal === undefined ? this.#lost.signal : AbortSignal.any([signal, this.#lost.signal]);
    this.#timer = setInterval(() => {
      this.#refreshing = this.#refresh();
    }, REFRESH_MS).unref();
  }

  get id(): Id {
    return this.#id;
  }

  async #refresh(): Promise<void> {
    try {
      const old = this.#id;
      // Somebody may have judged this lock stale and removed it: then others may already be at work.
      await this.#repository.backend.stat({ type: 'lock', name: old });
      this.#id = await writeLock(this.#repository, this.#exclusive, undefined);
      this.#refreshedAt = performance.now();
      await this.#repository.removeFile('lock', old);
    } catch (cause) {
      const gone = EngineError.is(cause, 'not-found');
      if (!gone && performance.now() - this.#refreshedAt < LOST_MS) return;
      this.#lost.abort(new EngineError('locked', 'the lock on the repository was lost', { lock: this.#id }, { cause }));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#released ??= this.#release());
  }

  async #release(): Promise<void> {
    clearInterval(this.#timer);
    await this.#refreshing;
    try {
      await this.#repository.removeFile('lock', this.#id);
    } finally {
      this.#heedHangups();
    }
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted) throw abortedError(signal);
    throw error;
  }
}
