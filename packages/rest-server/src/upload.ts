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

/** What arrived. */
export interface Received {
  readonly bytes: Uint8Array;
  /** SHA-256 as 64 hex digits. */
  readonly digest: string;
}

/**
 * Takes a body of exactly `length` bytes into memory and hashes it as it comes. 400 when it has another length; rejects
 * when the client breaks off or sends nothing for `stallMs`.
 */
export async function receive(message: Message, length: number, stallMs: number): Promise<Received> {
  const hash = createHash('sha256');
  // Not from the pool and not zeroed: every byte is filled or the body is refused. Untouched pages cost no memory.
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  const timer = setTimeout(() => message.cancel(new Refusal(408)), stallMs);
  try {
    for await (const chunk of message.body) {
      if (at + chunk.length > length) throw new Refusal(400);
      hash.update(chunk);
      bytes.set(chunk, at);
      at += chunk.length;
      timer.refresh();
    }
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, {}, { cause: error });
  } finally {
    clearTimeout(timer);
  }
  if (at !== length) throw new Refusal(400);
  return { bytes, digest: hash.digest('hex') };
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
