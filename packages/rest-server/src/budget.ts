import { Refusal } from './message.ts';

/** Bodies up to this many bytes are not counted: a lock must never wait behind packs, or it would go stale. */
const UNCOUNTED = 64 * 1024;

interface Waiting {
  readonly bytes: number;
  admit(): void;
}

/** Memory for bodies in flight. Who comes when it is used up waits in line, for a limited time. */
export class Budget {
  #free: number;
  readonly #waitMs: number;
  readonly #line = new Set<Waiting>();

  /** `total` in bytes, `waitMs` in milliseconds. */
  constructor(total: number, waitMs: number) {
    this.#free = total;
    this.#waitMs = waitMs;
  }

  /** Resolves with the way to give `bytes` back, to be called once. Rejects with 503 after too long a wait. */
  async take(bytes: number, signal: AbortSignal): Promise<() => void> {
    if (bytes <= UNCOUNTED) return () => undefined;
    if (this.#line.size > 0 || bytes > this.#free) await this.#turn(bytes, signal);
    else this.#free -= bytes;
    return () => {
      this.#free += bytes;
      this.#admit();
    };
  }

  /** Resolves when `bytes` have been set aside for the caller. */
  #turn(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (error: Error): void => {
        done();
        // Whoever stood behind may be small enough to pass now.
        this.#admit();
        reject(error);
      };
      const gone = (): void => leave(new Refusal(503, {}, { cause: signal.reason }));
      const timer = setTimeout(() => leave(new Refusal(503, { 'retry-after': '5' })), this.#waitMs);
      const waiting: Waiting = {
        bytes,
        admit: () => {
          done();
          resolve();
        },
      };
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', gone);
        this.#line.delete(waiting);
      };
      this.#line.add(waiting);
      signal.addEventListener('abort', gone, { once: true });
      if (signal.aborted) gone();
    });
  }

  #admit(): void {
    for (const waiting of this.#line) {
      if (waiting.bytes > this.#free) return;
      this.#free -= waiting.bytes;
      waiting.admit();
    }
  }
}
