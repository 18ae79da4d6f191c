import { EngineError } from '@restic-engine/repo-format';
import type { Bandwidth } from '../bandwidth.ts';

/** Received bytes that may wait for a reader before the connection is made to wait. */
const MAX_WAITING = 256 * 1024;
/** Bytes to begin with where no length is announced. */
const FIRST_LENGTH = 64 * 1024;
/** What is left of a discarded body is read to the end, which keeps its connection, up to this many bytes … */
const MAX_DRAINED = 256 * 1024;
/** … and milliseconds. */
const DRAIN_MS = 1000;

/**
 * The body of a response, to be used in one of these ways, once. Each rejects with `io` when the connection breaks or
 * stalls, or the body ends before its announced length, and with `aborted`. Leaving an iteration early discards the rest.
 */
export interface HttpBody extends AsyncIterable<Uint8Array> {
  /** The announced length in bytes, if there is one. A response to HEAD announces what it does not have. */
  readonly announced: number | undefined;
  /** Reads everything. Rejects with `too-large`, in bounded memory, when there are more than `limit` bytes. */
  read(limit: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Reads everything into `target` and resolves with the number of bytes; `too-large` when it does not fit. */
  readInto(target: Uint8Array): Promise<number>;
  /** Gives up what was not read. Never rejects. */
  discard(): Promise<void>;
}

/** The connection under a body. */
export interface Flow {
  pause(): void;
  resume(): void;
  /** Closes the connection. */
  abort(error: Error): void;
}

type Sink = (chunk: Uint8Array) => void;

/** The receiving end of a body: chunks are pushed in, and read or handed on as the interface says. */
export class ReceivedBody implements HttpBody {
  readonly announced: number | undefined;
  readonly #flow: Flow;
  readonly #bandwidth: Bandwidth | undefined;
  readonly #signal: AbortSignal | undefined;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  /** Takes chunks as they come instead of the queue. */
  #sink: Sink | undefined;
  #paced = false;
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(
    announced: number | undefined,
    flow: Flow,
    bandwidth: Bandwidth | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.announced = announced;
    this.#flow = flow;
    this.#bandwidth = bandwidth?.limitsDownload ? bandwidth : undefined;
    this.#signal = signal;
  }

  /** True when no more than a little may be pushed. */
  get full(): boolean {
    return this.#waitingBytes >= MAX_WAITING;
  }

  push(chunk: Uint8Array): void {
    if (this.#sink) this.#sink(chunk);
    else {
      this.#waiting.push(chunk);
      this.#waitingBytes += chunk.length;
      this.#wake?.();
    }
    if (this.#bandwidth) this.#pace(this.#bandwidth, chunk.length);
    else if (this.full) this.#flow.pause();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  fail(error: Error): void {
    this.#error ??= error;
    this.end();
  }

  async read(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    const { announced } = this;
    if (announced !== undefined && announced <= limit) {
      // Not zeroed: every byte is filled, or the part that was not is cut off.
      const bytes = new Uint8Array(Buffer.allocUnsafeSlow(announced).buffer);
      const length = await this.readInto(bytes);
      return length === announced ? bytes : bytes.slice(0, length);
    }
    if (announced !== undefined) throw this.#tooLarge(limit);
    // Not a list of chunks: each may be of one byte, and would take a hundred.
    let bytes = new Uint8Array(Math.min(limit, FIRST_LENGTH));
    let length = 0;
    await this.#drainTo((chunk) => {
      const end = length + chunk.length;
      if (end > limit) {
        this.#cut(this.#tooLarge(limit));
        return;
      }
      if (end > bytes.length) {
        const larger = new Uint8Array(Math.min(limit, Math.max(end, bytes.length * 2)));
        larger.set(bytes);
        bytes = larger;
      }
      bytes.set(chunk, length);
      length = end;
    });
    return length === bytes.length ? bytes : bytes.slice(0, length);
  }

  async readInto(target: Uint8Array): Promise<number> {
    if (this.announced !== undefined && this.announced > target.length) throw this.#tooLarge(target.length);
    let at = 0;
    await this.#drainTo((chunk) => {
      if (at + chunk.length > target.length) {
        this.#cut(this.#tooLarge(target.length));
        return;
      }
      target.set(chunk, at);
      at += chunk.length;
    });
    return at;
  }

  async discard(): Promise<void> {
    if (this.#error || (this.announced ?? 0) > MAX_DRAINED) {
      this.#cut(new Error('discarded'));
      return;
    }
    let length = 0;
    const timer = setTimeout(() => this.#cut(new Error('discarded')), DRAIN_MS);
    this.#take((chunk) => {
      length += chunk.length;
      if (length > MAX_DRAINED) this.#cut(new Error('discarded'));
    });
    while (!this.#ended) await this.#woken();
    clearTimeout(timer);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        const chunk = this.#shift();
        if (chunk) yield chunk;
        else if (this.#error) throw this.#error;
        else if (this.#ended) return;
        else await this.#woken();
      }
    } finally {
      if (!this.#ended || this.#waiting.length > 0) await this.discard();
    }
  }

  async #drainTo(sink: Sink): Promise<void> {
    this.#take(sink);
    while (!this.#ended) await this.#woken();
    if (this.#error) throw this.#error;
  }

  /** Hands what has waited, and whatever comes, to `sink`. */
  #take(sink: Sink): void {
    const chunks = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#sink = sink;
    for (const chunk of chunks) sink(chunk);
    this.#go();
  }

  #shift(): Uint8Array | undefined {
    const chunk = this.#waiting.shift();
    if (chunk === undefined) return undefined;
    const wasFull = this.full;
    this.#waitingBytes -= chunk.length;
    if (wasFull) this.#go();
    return chunk;
  }

  #go(): void {
    if (!this.#ended && !this.#paced && !this.full) this.#flow.resume();
  }

  #pace(bandwidth: Bandwidth, bytes: number): void {
    this.#paced = true;
    this.#flow.pause();
    const on = (): void => {
      this.#paced = false;
      this.#go();
    };
    // An abort reaches the body on its own way.
    bandwidth.download(bytes, this.#signal).then(on, on);
  }

  /** Ends the body with `error` and its connection as well. */
  #cut(error: Error): void {
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#sink = () => undefined;
    if (this.#ended) {
      this.#error ??= error;
      return;
    }
    this.fail(error);
    this.#flow.abort(error);
  }

  #tooLarge(limit: number): EngineError {
    const context = this.announced === undefined ? { limit } : { limit, size: this.announced };
    const error = new EngineError('too-large', `the server answers with more than ${limit} bytes`, context);
    this.#cut(error);
    return error;
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
