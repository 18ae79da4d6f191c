/** Bounds the bytes under way. First come, first served. */
export class Window {
  readonly #size: number;
  readonly #queue: { readonly bytes: number; readonly go: () => void }[] = [];
  #used = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** Bytes under way. */
  get used(): number {
    return this.#used;
  }

  /** Resolves when `bytes` may be under way; more than the whole window may be alone. */
  take(bytes: number): Promise<void> | undefined {
    if (this.#queue.length === 0 && this.#fits(bytes)) {
      this.#used += bytes;
      return undefined;
    }
    return new Promise((go) => {
      this.#queue.push({ bytes, go });
    });
  }

  /** Returns `bytes` that were taken. */
  give(bytes: number): void {
    this.#used -= bytes;
    for (let next = this.#queue[0]; next !== undefined && this.#fits(next.bytes); next = this.#queue[0]) {
      this.#queue.shift();
      this.#used += next.bytes;
      next.go();
    }
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#size;
  }
}
