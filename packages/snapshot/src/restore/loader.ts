/** Reading from the repository, with an eye on whether the store answers at all. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code, Id } from '@restic-engine/repo-format';
import type { RestoreRun } from './run.ts';
import type { Job } from './jobs.ts';

/** A pack that is missing or damaged fails with these. Other errors are the store's. */
const OF_ONE_PACK: ReadonlySet<Code> = new Set<Code>(['corrupt', 'not-found', 'out-of-range', 'too-large']);
/** So many reads in a row fail only if the store as a whole has failed. */
const GIVE_UP = 16;

export class Loader {
  readonly #run: RestoreRun;
  #successes = 0;
  /** Since the last success. */
  #failures = 0;
  #last: unknown;

  constructor(run: RestoreRun) {
    this.#run = run;
  }

  /** The sealed bytes of a range, the caller's to transfer. A failure that may pass is given a second chance. */
  range({ pack, offset, length }: Job): Promise<Uint8Array<ArrayBuffer>> {
    const { indexed, signal } = this.#run;
    const load = (): Promise<Uint8Array<ArrayBuffer>> => indexed.loadRange(pack, { offset, length }, { signal });
    return this.#watch(() =>
      load().catch((error: unknown) => {
        if (EngineError.is(error) && error.retryable) return load();
        throw error;
      }),
    );
  }

  /** A verified blob, from whichever copy is sound. */
  blob(id: Id): Promise<Uint8Array> {
    const { indexed, signal } = this.#run;
    return this.#watch(() => indexed.loadBlob('data', id, { signal }));
  }

  /** Throws the last error if the store has failed, not only some of its files. */
  check(): void {
    if (this.#failures >= GIVE_UP || (this.#failures > 0 && this.#successes === 0)) throw this.#last;
  }

  async #watch<T>(load: () => Promise<T>): Promise<T> {
    try {
      const loaded = await load();
      this.#succeeded();
      return loaded;
    } catch (error) {
      if (!EngineError.is(error) || error.code === 'aborted') throw error;
      if (OF_ONE_PACK.has(error.code)) this.#succeeded();
      else {
        this.#failures++;
        this.#last = error;
        if (this.#failures >= GIVE_UP) throw new StoreFailure(error);
      }
      throw error;
    }
  }

  #succeeded(): void {
    this.#successes++;
    this.#failures = 0;
  }
}

/** The store has failed: there is no use in going on. */
export class StoreFailure extends Error {
  override readonly cause: EngineError;

  constructor(cause: EngineError) {
    super(cause.message);
    this.cause = cause;
  }
}
