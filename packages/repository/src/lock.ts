/**
 * Locks that restic honours and that honour restic's (restic design document, "Locks").
 *
 * A lock file is written, and after a moment in which others would have seen it the other locks are read again.
 * It is refreshed by writing a newer one and removing the older; a lock that could not be refreshed in time ends the
 * work it protects, because others may by then take it for stale.
 */
import { encodeLock, EngineError, sealUnpacked, sha256 } from '@restic-engine/repo-format';
import type { Id, Lock } from '@restic-engine/repo-format';
import { orAborted } from './abort.ts';
import { isDead, readLock } from './lock-files.ts';
import type { Repository } from './repository.ts';
import { formatInstant } from './time.ts';

/** The time others get to see a new lock. */
const SETTLE_MS = 200;
/** A held lock is looked after this often: a machine that slept must notice soon that its lock is old. */
const TICK_MS = 1000;
const REFRESH_SECONDS = 5 * 60;
const REFRESH_AGAIN_SECONDS = 60;
/** A refresh that takes longer is given up. */
const REFRESH_LIMIT_SECONDS = 2.5 * 60;
/** A lock not refreshed for this long must not be trusted any more: stale is 30 minutes, less one and a half refreshes. */
const LOST_SECONDS = 22.5 * 60;
/** Removing a lock file may take this long; after half an hour it is stale anyhow. */
const REMOVE_LIMIT_MS = 60_000;
/** Between attempts to read a lock that cannot be read. */
const UNREADABLE_RETRY_MS = [5_000, 10_000, 20_000];
const RETRY_FIRST_MS = 5_000;
const RETRY_MAX_MS = 60_000;

/** Which lock is taken, and how long to wait for it. */
export interface LockOptions {
  /** Excludes every other lock. @default false */
  readonly exclusive?: boolean | undefined;
  /** For a prune that goes on beside others: excludes another one of the kind that is alive. @default false */
  readonly lockFreePrune?: boolean | undefined;
  /** Keep trying this long when others hold a lock, in ms. @default 0 */
  readonly retryMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called at each attempt when the lock file is written, before it is certain that it holds. */
  readonly onWritten?: (() => void) | undefined;
}

/** A lock that is held and kept fresh. Disposing removes it. */
export interface RepositoryLock extends AsyncDisposable {
  [Symbol.asyncDispose](): Promise<void>;
  /** Its present file; changes with each refresh. */
  readonly id: Id;
  /** In every one of its files. */
  readonly run: string;
  /** Fires when the lock is lost or the caller's signal fires: give it to the work done under the lock. */
  readonly signal: AbortSignal;
  /** Why the lock was lost (`locked`), once it is. */
  readonly lost: EngineError | undefined;
}

export interface WithLockOptions extends LockOptions {
  /** The lock could not be removed at the end. It is stale after half an hour; until then it is in the way of others. */
  readonly onLeft?: ((error: unknown) => void) | undefined;
}

/** What all files of one lock say. */
interface LockTerms {
  readonly exclusive: boolean;
  readonly lockFreePrune: boolean;
  readonly run: string;
}

/** Locks the repository. Rejects with `locked` when somebody else's lock excludes this one. */
export async function acquireLock(repository: Repository, options: LockOptions = {}): Promise<RepositoryLock> {
  const { signal, exclusive = false, lockFreePrune = false, retryMs = 0, onWritten } = options;
  const terms = { exclusive, lockFreePrune, run: randomRun() };
  const deadline = performance.now() + retryMs;
  for (let wait = RETRY_FIRST_MS; ; wait = Math.min(wait * 2, RETRY_MAX_MS)) {
    // From the first moment a lock file can be seen.
    const heedHangups = repository.platform.ignoreHangups();
    try {
      const own = await tryLock(repository, terms, signal, onWritten);
      return new HeldLock(repository, terms, own, signal, heedHangups);
    } catch (error) {
      heedHangups();
      const left = deadline - performance.now();
      if (!EngineError.is(error, 'locked') || left <= 0) throw error;
      await pause(Math.min(wait, left), signal);
    }
  }
}

/**
 * Runs `body` under a lock, which is gone when this settles. Rejects with `locked` when others hold one, and when the
 * lock is lost meanwhile, whatever `body` makes of that.
 */
export async function withLock<T>(
  repository: Repository,
  options: WithLockOptions,
  body: (lock: RepositoryLock) => Promise<T>,
): Promise<T> {
  const lock = await repository.lock(options);
  try {
    return await body(lock);
  } catch (error) {
    throw lock.lost ?? error;
  } finally {
    // What `body` has done is done: a lock that stays does not undo it.
    await lock[Symbol.asyncDispose]().catch((error: unknown) => options.onLeft?.(error));
  }
}

/**
 * Like {@link withLock}, with work that may begin while others get to see the lock. `prepare` must only read. What it
 * read is sound once the lock holds: whoever could remove anything of it has seen the lock file since before it began,
 * or has been seen. Its result goes to `body`; it is stopped and waited for when there is no lock.
 */
export async function withPreparedLock<Prepared, T>(
  repository: Repository,
  options: WithLockOptions,
  prepare: (signal: AbortSignal) => Promise<Prepared>,
  body: (lock: RepositoryLock, prepared: Prepared) => Promise<T>,
): Promise<T> {
  let attempt: { readonly stop: AbortController; readonly prepared: Promise<Prepared> } | undefined;
  const abandon = async (): Promise<void> => {
    attempt?.stop.abort();
    await Promise.allSettled([attempt?.prepared]);
  };
  const onWritten = (): void => {
    attempt?.stop.abort();
    const stop = new AbortController();
    const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
    const prepared = prepare(signal);
    prepared.catch(() => undefined);
    attempt = { stop, prepared };
  };
  try {
    return await withLock(repository, { ...options, onWritten }, async (lock) => {
      if (attempt === undefined) throw new TypeError('a lock without its file');
      return body(lock, await attempt.prepared);
    });
  } finally {
    await abandon();
  }
}

/** Unique, and nothing that anybody could learn from. */
function randomRun(): string {
  return Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(16))).toString('hex');
}

async function tryLock(
  repository: Repository,
  terms: LockTerms,
  signal: AbortSignal | undefined,
  onWritten: (() => void) | undefined,
): Promise<Id> {
  await refuseConflict(repository, terms, undefined, signal);
  const own = await writeLock(repository, terms, signal);
  try {
    onWritten?.();
    await pause(SETTLE_MS, signal);
    await refuseConflict(repository, terms, own, signal);
    return own;
  } catch (error) {
    await removeQuietly(repository, own);
    throw error;
  }
}

/** Rejects with `locked` when another lock excludes this one, be it stale or not: only `unlock` decides that. */
async function refuseConflict(
  repository: Repository,
  terms: LockTerms,
  own: Id | undefined,
  signal: AbortSignal | undefined,
): Promise<void> {
  const seen = new Set<Id>();
  for (let attempt = 0; ; attempt++) {
    try {
      await readOthers(repository, terms, own, seen, signal);
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
  terms: LockTerms,
  own: Id | undefined,
  seen: Set<Id>,
  signal: AbortSignal | undefined,
): Promise<void> {
  for await (const { name, size } of repository.list('lock', { signal })) {
    if (name === own || size === 0 || seen.has(name)) continue;
    const lock = await readLock(repository, name, signal);
    if (lock !== undefined && excludes(repository, terms, lock)) throw lockedError(name, lock);
    seen.add(name);
  }
}

function excludes({ platform }: Repository, terms: LockTerms, lock: Lock): boolean {
  if (terms.exclusive || lock.exclusive) return true;
  return terms.lockFreePrune && lock.lockFreePrune === true && !isDead(platform, lock);
}

function lockedError(id: Id, lock: Lock): EngineError {
  const kind = lock.exclusive ? 'exclusively ' : '';
  return new EngineError(
    'locked',
    `repository is already locked ${kind}by PID ${lock.pid} on ${lock.hostname} by ${lock.username}, since ${lock.time}`,
    {
      lock: id,
      pid: lock.pid,
      hostname: lock.hostname,
      username: lock.username,
      time: lock.time,
      exclusive: lock.exclusive,
    },
  );
}

async function writeLock(repository: Repository, terms: LockTerms, signal: AbortSignal | undefined): Promise<Id> {
  const { platform, config, sealer, backend } = repository;
  const { hostname, username, pid, uid, gid } = platform;
  const lock: Lock = { time: formatInstant(platform), hostname, username, pid, uid, gid, ...terms };
  const bytes = sealUnpacked(encodeLock(lock), config.version, sealer);
  const id = sha256(bytes);
  try {
    await backend.save({ type: 'lock', name: id }, [bytes], { signal });
  } catch (error) {
    // The store may have got it all the same.
    await removeQuietly(repository, id);
    throw error;
  }
  return id;
}

/** Removes a lock file because something went wrong: that is what counts, not whether this works. */
async function removeQuietly(repository: Repository, id: Id): Promise<void> {
  await repository.removeFile('lock', id, { signal: AbortSignal.timeout(REMOVE_LIMIT_MS) }).catch(() => undefined);
}

class HeldLock implements RepositoryLock {
  readonly #repository: Repository;
  readonly #terms: LockTerms;
  readonly #losing = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #heedHangups: () => void;
  readonly signal: AbortSignal;
  lost: EngineError | undefined;
  /** Files of this lock that may exist, the present one last. */
  readonly #files: Id[];
  /** Both in seconds of the clock that goes on while the machine sleeps. */
  #refreshedAt: number;
  #refreshAt: number;
  #refresh: { readonly since: number; readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  #released: Promise<void> | undefined;

  constructor(
    repository: Repository,
    terms: LockTerms,
    id: Id,
    signal: AbortSignal | undefined,
    heedHangups: () => void,
  ) {
    this.#repository = repository;
    this.#terms = terms;
    this.#heedHangups = heedHangups;
    this.#files = [id];
    this.#refreshedAt = this.#now();
    this.#refreshAt = this.#refreshedAt + REFRESH_SECONDS;
    this.signal = signal === undefined ? this.#losing.signal : AbortSignal.any([signal, this.#losing.signal]);
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  get id(): Id {
    return this.#files.at(-1) ?? '';
  }

  get run(): string {
    return this.#terms.run;
  }

  #now(): number {
    return this.#repository.platform.now().seconds;
  }

  #tick(): void {
    const now = this.#now();
    if (this.#refresh !== undefined) {
      if (now - this.#refresh.since >= REFRESH_LIMIT_SECONDS) this.#refresh.stop.abort();
    } else if (now >= this.#refreshAt) {
      const stop = new AbortController();
      this.#refresh = { since: now, stop, done: this.#tryRefresh(now, stop.signal) };
    }
  }

  async #tryRefresh(now: number, signal: AbortSignal): Promise<void> {
    try {
      // Somebody may have judged this lock stale and removed it: then others may already be at work.
      await this.#repository.backend.stat({ type: 'lock', name: this.id }, { signal });
      this.#files.push(await writeLock(this.#repository, this.#terms, signal));
      this.#refreshedAt = now;
      this.#refreshAt = now + REFRESH_SECONDS;
      await this.#removeFiles(1, signal);
    } catch (cause) {
      this.#refreshAt = Math.max(this.#refreshAt, this.#now() + REFRESH_AGAIN_SECONDS);
      const gone = EngineError.is(cause, 'not-found');
      if (gone || this.#now() - this.#refreshedAt >= LOST_SECONDS) this.#lose(cause);
    } finally {
      this.#refresh = undefined;
    }
  }

  #lose(cause: unknown): void {
    if (this.#released !== undefined) return;
    clearInterval(this.#timer);
    this.lost = new EngineError('locked', 'the lock on the repository was lost', { lock: this.id }, { cause });
    this.#losing.abort(this.lost);
  }

  /** Removes all files but the last `keep`. */
  async #removeFiles(keep: number, signal: AbortSignal): Promise<void> {
    for (let id = this.#files[0]; id !== undefined && this.#files.length > keep; id = this.#files[0]) {
      await this.#repository.removeFile('lock', id, { signal });
      this.#files.shift();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return (this.#released ??= this.#release());
  }

  async #release(): Promise<void> {
    clearInterval(this.#timer);
    this.#refresh?.stop.abort();
    await this.#refresh?.done;
    try {
      await this.#removeFiles(0, AbortSignal.timeout(REMOVE_LIMIT_MS));
    } finally {
      this.#heedHangups();
    }
  }
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await orAborted(passed, signal);
  } finally {
    clearTimeout(timer);
  }
}
