import { Refusal } from './message.ts';

/** Keeps what is stored below a limit. Counts what it lets in and what is removed, beginning with what is there. */
export class Quota {
  readonly #limit: number;
  readonly #measure: () => Promise<number>;
  #start: Promise<void> | undefined;
  #used = 0;

  /** `limit` in bytes; `measure` is asked once for the bytes that are stored already. */
  constructor(limit: number, measure: () => Promise<number>) {
    this.#limit = limit;
    this.#measure = measure;
  }

  /** Sets `bytes` aside; 507 when there is no room for them. */
  async reserve(bytes: number): Promise<void> {
    await this.#measured();
    if (this.#used + bytes > this.#limit) throw new Refusal(507);
    this.#used += bytes;
  }

  /** Takes back `bytes` that are not stored any more, or never were. */
  release(bytes: number): void {
    this.#used -= bytes;
  }

  /** Measures first, so that what is removed meanwhile is counted once. */
  async #measured(): Promise<void> {
    this.#start ??= this.#measure().then(
      (bytes) => void (this.#used += bytes),
      (error: unknown) => {
        // The next request tries again.
        this.#start = undefined;
        throw error;
      },
    );
    await this.#start;
  }

  /** Removes by `work`, whose result is the bytes that were freed. */
  async removing(work: () => Promise<number>): Promise<number> {
    await this.#measured();
    const bytes = await work();
    this.release(bytes);
    return bytes;
  }
}
