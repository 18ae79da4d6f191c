/** Running many things at once within limits, with nothing left running when it ends. */

/** What may be in flight together. */
export interface FlowLimits {
  readonly count: number;
  /** Sum of the costs given to {@link Flow.start}; one thing alone may cost more. */
  readonly cost: number;
}

/**
 * Runs what it is given at once, within limits. After the first failure nothing more is started; {@link end} waits for
 * what is under way and rejects with that failure.
 */
export class Flow {
  readonly #limits: FlowLimits;
  readonly #running = new Set<Promise<void>>();
  #cost = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(limits: FlowLimits) {
    this.#limits = limits;
  }

  /** Resolves when `work` has been started, or will not be because something failed: see {@link failed}. */
  async start(cost: number, work: () => Promise<void>): Promise<void> {
    while (this.#running.size > 0 && !this.#fits(cost)) await Promise.race(this.#running);
    if (this.failed) return;
    this.#cost += cost;
    const running: Promise<void> = work()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#cost -= cost;
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Waits for everything under way; rejects with the first failure. */
  async end(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #fits(cost: number): boolean {
    return this.#running.size < this.#limits.count && this.#cost + cost <= this.#limits.cost;
  }
}

/** Lets so many in at a time; the others wait for their turn. */
export class Slots {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
