/** A request and its answer, whatever carries them. */
import { STATUS_CODES } from 'node:http';

/** What a client asks. */
export interface Message {
  readonly method: string;
  /** Path and query as they were sent: nothing has been decoded or tidied up yet. */
  readonly target: string;
  /** A header by its lower-case name. */
  header(name: string): string | undefined;
  /** Rejects when the client breaks off. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the body: whoever reads it is rejected. */
  cancel(reason: Error): void;
  /** Fires when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What the client gets; a streamed body has its length in `headers` or none. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | AsyncIterableIterator<Uint8Array>;
}

/** What comes to light about a request while it is answered. */
export interface Findings {
  user: string;
  repository: string | undefined;
  /** The reason behind a failure; never shown to the client. */
  error: unknown;
}

/** An answer that ends the work on a request from wherever it is found necessary. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, headers: Readonly<Record<string, string>> = {}, options?: ErrorOptions) {
    super(STATUS_CODES[status] ?? 'refused', options);
    this.status = status;
    this.headers = headers;
  }
}

/** Success without a word. */
export const DONE: Answer = { status: 200, headers: {}, body: '' };

/** A status, told in plain text as restic's server tells it. */
export function plain(status: number, headers: Readonly<Record<string, string>> = {}): Answer {
  const type = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' };
  return { status, headers: { ...type, ...headers }, body: `${STATUS_CODES[status] ?? 'Error'}\n` };
}

/** An iterator whose first result has been taken already. Its end, early or not, is the end of `rest`. */
export function resumed<T>(first: IteratorResult<T>, rest: AsyncGenerator<T>): AsyncIterableIterator<T> {
  let pending: IteratorResult<T> | undefined = first;
  return {
    async next() {
      if (pending === undefined) return rest.next();
      const result = pending;
      pending = undefined;
      return result;
    },
    return: () => rest.return(undefined),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** The same iterator, which calls `end` once with the bytes it has given, when it is over for whatever reason. */
export function ending(
  body: AsyncIterableIterator<Uint8Array>,
  end: (bytes: number) => Promise<void>,
): AsyncIterableIterator<Uint8Array> {
  let bytes = 0;
  let ended: Promise<void> | undefined;
  const finish = (): Promise<void> => (ended ??= end(bytes));
  return {
    async next() {
      try {
        const result = await body.next();
        if (result.done) await finish();
        else bytes += result.value.length;
        return result;
      } catch (error) {
        await finish();
        throw error;
      }
    },
    async return() {
      await body.return?.();
      await finish();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
