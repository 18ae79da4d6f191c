/** What was loaded lately, bounded by bytes. */

interface Kept<T> {
  readonly value: Promise<T>;
  /** Bytes; 0 while it is being loaded. */
  weight: number;
}

/**
 * Keeps what was used last while all of it is within a limit, and the newest even if it is not alone below that: whoever
 * loaded it is about to ask again. Asking twice for what is being loaded loads it once.
 */
export class ByteCache<T> {
  readonly #limit: number;
  readonly #kept = new Map<string, Kept<T>>();
  #weight = 0;

  /** @param limit bytes */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `load` says what its value weighs, in bytes. What it rejects with is not kept. */
  get(key: string, load: () => Promise<{ value: T; weight: number }>): Promise<T> {
    const known = this.#kept.get(key);
    if (known !== undefined) {
      // A map goes by insertion, so the first is always what was not used for longest.
      this.#kept.delete(key);
      this.#kept.set(key, known);
      return known.value;
    }
    const loading = load();
    const kept: Kept<T> = { value: loading.then(({ value }) => value), weight: 0 };
    this.#kept.set(key, kept);
    // Met by whoever waits for it, if there is still somebody.
    kept.value.catch(() => undefined);
    loading.then(
      ({ weight }) => this.#weigh(key, kept, Math.max(weight, 1)),
      () => this.#kept.delete(key),
    );
    return kept.value;
  }

  #weigh(key: string, kept: Kept<T>, weight: number): void {
    kept.weight = weight;
    this.#weight += weight;
    for (const [other, { weight: freed }] of this.#kept) {
      if (this.#weight <= this.#limit) return;
      if (other === key || freed === 0) continue;
      this.#kept.delete(other);
      this.#weight -= freed;
    }
  }
}
