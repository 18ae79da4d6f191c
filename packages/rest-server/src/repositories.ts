import type { Backend } from '@restic-engine/repo-format';
import type { Places } from './options.ts';
import { Refusal } from './message.ts';

/** Repositories kept open beside those in use: anybody may ask for any number of names. */
const IDLE = 64;

interface Opened {
  readonly backend: Promise<Backend>;
  users: number;
}

/** The repositories that are served, opened when they are asked for. */
export class Repositories {
  readonly #places: Places;
  /** In the order of their last use. */
  readonly #opened = new Map<string, Opened>();

  constructor(places: Places) {
    this.#places = places;
  }

  /** Does `work` with the repository at `path`, which stays open meanwhile. 404 where there can be none. */
  async acquire(path: string): Promise<{ readonly backend: Backend; release(): Promise<void> }> {
    const { backend } = this.#places;
    if (backend !== undefined) {
      if (path !== '') throw new Refusal(404);
      return { backend, release: async () => undefined };
    }
    const opened = this.#use(path);
    try {
      return { backend: await opened.backend, release: () => this.#release(opened) };
    } catch (error) {
      opened.users -= 1;
      // Not while others have opened it anew.
      if (this.#opened.get(path) === opened) this.#opened.delete(path);
      throw error;
    }
  }

  /** Closes everything that was opened here. */
  async close(): Promise<void> {
    const all = [...this.#opened.values()];
    this.#opened.clear();
    await Promise.allSettled(all.map(dispose));
  }

  #use(path: string): Opened {
    const known = this.#opened.get(path);
    const opened = known ?? { backend: this.#open(path), users: 0 };
    opened.users += 1;
    this.#opened.delete(path);
    this.#opened.set(path, opened);
    return opened;
  }

  async #open(path: string): Promise<Backend> {
    const { open } = this.#places;
    if (open === undefined) throw new Refusal(404);
    return open(path);
  }

  async #release(opened: Opened): Promise<void> {
    opened.users -= 1;
    if (this.#opened.size <= IDLE) return;
    for (const [path, each] of this.#opened) {
      if (each.users > 0) continue;
      this.#opened.delete(path);
      await dispose(each);
      return;
    }
  }
}

async function dispose({ backend }: Opened): Promise<void> {
  await (await backend)[Symbol.asyncDispose]();
}
