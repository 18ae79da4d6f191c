/** How many bytes may be in flight at once: memory stays flat whatever is backed up. */
export class ByteBudget {
  #free: number;
  readonly #waiting: { bytes: number; resolve: () => void }[] = [];

  constructor(bytes: number) {
    this.#free = bytes;
  }

  /** Waits until there is room; first come, first served. May be overdrawn by one taker. */
  async take(bytes: number): Promise<void> {
    if (this.#free > 0 && this.#waiting.length === 0) {
      this.#free -= bytes;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push({ bytes, resolve }));
  }

  give(bytes: number): void {
    this.#free += bytes;
    while (this.#free > 0) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#free -= next.bytes;
      next.resolve();
    }
  }

  /** Is the budget used up? */
  get isSpent(): boolean {
    return this.#free <= 0;
  }
}
