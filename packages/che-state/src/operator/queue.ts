/** Work that is waiting, named by keys: each once, and never twice at the same time. */
import { wait } from '../cluster/wait.ts';

export interface QueueOptions {
  /** Pause before a key is worked on again that failed, in milliseconds; doubled each time up to the longest. */
  readonly firstMs: number;
  readonly longestMs: number;
}

/** What is to become of a key that was worked on: again after so many milliseconds, or after a pause that grows. */
export type Outcome = { readonly again: 'no' | 'later' } | { readonly again: 'at'; readonly ms: number };

export class WorkQueue {
  readonly #options: QueueOptions;
  readonly #waiting = new Map<string, NodeJS.Timeout | undefined>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #dirty = new Set<string>();
  readonly #failures = new Map<string, number>();
  #work: ((key: string) => Promise<Outcome>) | undefined;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /** Keys that wait or are being worked on. */
  get depth(): number {
    return this.#waiting.size + this.#running.size;
  }

  /** Works on `key` soon; once more afterwards if that is being done now. A pause after a failure goes on. */
  add(key: string): void {
    if (this.#running.has(key)) this.#dirty.add(key);
    else if (!this.#failures.has(key) || !this.#waiting.has(key)) this.#schedule(key, 0);
  }

  /** How many times `key` has failed in a row. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** Resolves when `signal` has fired and everything that was begun has ended. `work` must not reject. */
  async run(work: (key: string) => Promise<Outcome>, signal: AbortSignal): Promise<void> {
    this.#work = work;
    for (const [key, timer] of this.#waiting) if (timer === undefined) this.#schedule(key, 0);
    await aborted(signal);
    this.#work = undefined;
    for (const timer of this.#waiting.values()) clearTimeout(timer);
    this.#waiting.clear();
    await Promise.all(this.#running.values());
  }

  #schedule(key: string, ms: number): void {
    clearTimeout(this.#waiting.get(key));
    const begin = (): void => {
      if (this.#work === undefined) return;
      this.#waiting.delete(key);
      this.#running.set(key, this.#one(key, this.#work));
    };
    this.#waiting.set(key, this.#work === undefined ? undefined : setTimeout(begin, ms));
  }

  async #one(key: string, work: (key: string) => Promise<Outcome>): Promise<void> {
    const outcome = await work(key);
    this.#running.delete(key);
    const isDirty = this.#dirty.delete(key);
    if (this.#work === undefined) return;
    if (outcome.again === 'later') {
      const failures = this.failures(key);
      this.#failures.set(key, failures + 1);
      this.#schedule(key, Math.min(this.#options.firstMs * 2 ** failures, this.#options.longestMs));
      return;
    }
    this.#failures.delete(key);
    if (isDirty) this.#schedule(key, 0);
    else if (outcome.again === 'at') this.#schedule(key, outcome.ms);
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await wait(2 ** 30, signal).catch(() => undefined);
}
