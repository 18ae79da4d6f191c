/** Bodies on their way in. */
import { createHash } from 'node:crypto';
import { Refusal } from './message.ts';
import type { Message } from './message.ts';

/** The `Content-Length` of a request; 411 without one, 400 when it is no number. */
export function announcedLength(message: Message): number {
  const text = message.header('content-length');
  if (text === undefined) throw new Refusal(411);
  const length = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(length)) throw new Refusal(400);
  return length;
}

/**
 * Fills `blocks`, whose bytes are as many as were announced, with the body, and hashes it as it comes: SHA-256 as 64 hex
 * digits. 400 when the body has another length; rejects when the client breaks off or sends nothing for `stallMs`.
 */
export async function receive(message: Message, blocks: readonly Uint8Array[], stallMs: number): Promise<string> {
  const hash = createHash('sha256');
  const target = new Filler(blocks);
  const timer = setTimeout(() => message.cancel(new Refusal(408)), stallMs);
  try {
    for await (const chunk of message.body) {
      hash.update(chunk);
      target.add(chunk);
      timer.refresh();
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, {}, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (!target.isFull) throw new Refusal(400);
  return hash.digest('hex');
}

/** Copies chunks of any size into blocks of any size. */
class Filler {
  readonly #blocks: readonly Uint8Array[];
  #index = 0;
  #at = 0;

  constructor(blocks: readonly Uint8Array[]) {
    this.#blocks = blocks;
  }

  get isFull(): boolean {
    return this.#index === this.#blocks.length;
  }

  add(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length; ) {
      const block = this.#blocks[this.#index];
      if (block === undefined) throw new Refusal(400);
      const part = chunk.subarray(from, from + block.length - this.#at);
      block.set(part, this.#at);
      from += part.length;
      this.#at += part.length;
      if (this.#at < block.length) continue;
      this.#index += 1;
      this.#at = 0;
    }
  }
}

/** One at a time for each name; those for other names run meanwhile. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` after what runs under `name`; `waited` tells whether there was something. */
  async run<T>(name: string, work: (waited: boolean) => Promise<T>): Promise<T> {
    const before = this.#last.get(name);
    const own = before === undefined ? work(false) : before.then(() => work(true));
    // The next one waits for the end of this one, whatever end it is.
    const end = own.then(
      () => undefined,
      () => undefined,
    );
    this.#last.set(name, end);
    try {
      return await own;
    } finally {
      if (this.#last.get(name) === end) this.#last.delete(name);
    }
  }
}
