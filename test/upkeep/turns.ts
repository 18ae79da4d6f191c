/** Lets several at work on one store take turns, in an order that chance chooses: one call to the store at a time. */
import { withFaults } from 'restic-engine';
import type { Wrapper } from '@restic-engine/backends';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../support/random.ts';

interface Waiting {
  readonly actor: object;
  readonly go: () => void;
}

export class Turns {
  readonly #random: Random;
  readonly #actors = new Set<object>();
  #waiting: Waiting[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** How many are at work. */
  get size(): number {
    return this.#actors.size;
  }

  /** Starts work whose calls through `wrapper` wait for their turns, as `pass` does. */
  async start<T>(work: (wrapper: Wrapper, pass: () => Promise<void>) => Promise<T>): Promise<T> {
    const actor = {};
    const pass = (): Promise<void> =>
      new Promise((go) => {
        this.#waiting.push({ actor, go });
      });
    this.#actors.add(actor);
    try {
      return await work(withFaults({ faults: [{ effect: { kind: 'delay', ms: 1 } }], time: { sleep: pass } }), pass);
    } finally {
      this.#actors.delete(actor);
    }
  }

  /**
   * Gives turns until `isOver`. Nobody gets one before everybody waits: who thinks, or sleeps, is waited for. Then nothing
   * is under way, and `look` may look at the store.
   */
  async run(isOver: () => boolean, look?: () => Promise<void>): Promise<void> {
    while (!isOver()) {
      for (let i = 0; i < 3; i++) await nextTurn();
      await look?.();
      const ready = new Set(this.#waiting.map(({ actor }) => actor));
      const chosen = this.#waiting[this.#random.int(Math.max(1, this.#waiting.length))];
      if (chosen === undefined || ready.size < this.#actors.size) {
        await pause(1);
        continue;
      }
      this.#waiting = this.#waiting.filter((each) => each !== chosen);
      chosen.go();
    }
  }
}
