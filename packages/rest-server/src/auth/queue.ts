import { setTimeout as sleep } from 'node:timers/promises';
import { Refusal } from '../message.ts';

/** Checks that may wait; a server that is asked for more is being attacked. */
const MAX_WAITING = 64;
/** After a check, so many times its duration belongs to everything else. */
const REST = 2;
/** A pause after which checks went by so fast that they hurt nobody, in milliseconds. */
const NOTICEABLE_MS = 1;

/**
 * Runs expensive checks one after another with pauses, so that guessing passwords takes at most a third of the
 * processor from those who are in already.
 */
export class CheckQueue {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Rejects with 503 when too many wait. */
  async run<T>(check: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING) throw new Refusal(503, { 'retry-after': '5' });
    this.#waiting += 1;
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    const start = performance.now();
    try {
      return await check();
    } finally {
      this.#waiting -= 1;
      void pause(performance.now() - start).then(resolve);
    }
  }
}

async function pause(spentMs: number): Promise<void> {
  if (spentMs > NOTICEABLE_MS) await sleep(spentMs * REST);
}
