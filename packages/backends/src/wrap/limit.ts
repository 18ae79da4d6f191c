import { abortedError, throwIfAborted } from '@restic-engine/repo-format';
import type { FileHandle } from '@restic-engine/repo-format';
import { changedTraits, override } from './wrap.ts';
import type { Wrapper } from './wrap.ts';

/**
 * Lets at most `connections` calls reach the store at once (default: its own trait); the others wait in turn.
 *
 * Lock files pass at once, as in restic: a lock that cannot be refreshed because packs are being uploaded would go
 * stale. Listings pass too: one that held a place while its reader loads files could starve that very reader.
 */
export function withLimit(connections?: number): Wrapper {
  return (backend) => {
    const limit = connections ?? backend.traits.connections;
    if (!Number.isInteger(limit) || limit < 1) throw new RangeError('connections must be a whole number from 1');
    const semaphore = new Semaphore(limit);
    const run = <T>(file: FileHandle, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> =>
      file.type === 'lock' ? work() : semaphore.run(signal, work);
    return override(backend, {
      traits: changedTraits(backend, { connections: limit }),
      save: (file, segments, call) => run(file, call?.signal, () => backend.save(file, segments, call)),
      load: (file, range, call) => run(file, call?.signal, () => backend.load(file, range, call)),
      stat: (file, call) => run(file, call?.signal, () => backend.stat(file, call)),
      remove: (file, call) => run(file, call?.signal, () => backend.remove(file, call)),
    });
  };
}

class Semaphore {
  #free: number;
  /** Who waits, first come first served; a set keeps that order and lets the aborted leave cheaply. */
  readonly #waiting = new Set<() => void>();

  constructor(places: number) {
    this.#free = places;
  }

  async run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal);
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  /** Resolves when a leaving call has handed over its place. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.delete(enter);
        if (signal) reject(abortedError(signal));
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.add(enter);
    });
  }

  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
