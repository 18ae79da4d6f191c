import { abortedError, throwIfAborted } from '@restic-engine/repo-format';

interface Running<T> {
  readonly result: Promise<T>;
  readonly stop: AbortController;
  waiting: number;
}

/** Work that several callers want at once and that is done once. It is stopped when nobody wants it any more. */
export class SharedWork<T> {
  readonly #running = new Map<string, Running<T>>();

  /** Joins the work called `key`, or starts it. Rejects with `aborted` when `signal` fires, which ends it for this caller. */
  async join(key: string, signal: AbortSignal | undefined, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    throwIfAborted(signal);
    const work = this.#running.get(key) ?? this.#start(key, start);
    work.waiting += 1;
    try {
      return await orAborted(work.result, signal);
    } finally {
      work.waiting -= 1;
      if (work.waiting === 0) {
        // Who comes later must not join what is being stopped.
        if (this.#running.get(key) === work) this.#running.delete(key);
        work.stop.abort();
      }
    }
  }

  #start(key: string, start: (signal: AbortSignal) => Promise<T>): Running<T> {
    const stop = new AbortController();
    const work: Running<T> = { result: start(stop.signal), stop, waiting: 0 };
    // Everyone may have left before it fails.
    work.result.catch(() => undefined);
    this.#running.set(key, work);
    return work;
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
