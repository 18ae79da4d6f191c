import { throwIfAborted } from '../cluster/wait.ts';

/** One at a time for each name, in the order in which they came. */
export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  isTaken(name: string): boolean {
    return this.#last.has(name);
  }

  /** Rejects with `aborted`, without having called `work`, when `signal` has fired before its turn. */
  async take<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name) ?? Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const mine = before.then(() => promise);
    this.#last.set(name, mine);
    try {
      await before;
      throwIfAborted(signal);
      return await work();
    } finally {
      resolve();
      if (this.#last.get(name) === mine) this.#last.delete(name);
    }
  }
}
