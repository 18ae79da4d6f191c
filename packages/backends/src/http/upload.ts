/**
 * The body of a request, piece by piece. The memory of the segments belongs to the caller again as soon as the request
 * has settled, so nothing may be left in a queue of a socket by then:
 *
 * - Small segments are copied, which also saves writing them one by one.
 * - A piece of a large one fills more than the buffer of a socket, so that the next piece, or the end of the body, is
 *   asked for only when the kernel has taken it. A connection that is answered before that is closed by undici.
 * - The last piece is a copy, so that the body ends as soon as it is handed on: over TLS the answer can overtake the news
 *   that a piece was taken, and would cost the connection.
 */
import { Readable } from 'node:stream';
import { PIECE } from '../bandwidth.ts';
import type { Bandwidth } from '../bandwidth.ts';

/** What is shorter is copied: the size of the buffer of a socket in Node and undici. */
const COPIED = 64 * 1024;
/** Bytes of the last piece of a body that ends in a large segment. */
const TAIL = 16 * 1024;
/** What is left of a segment without such a piece fills the buffer of a socket, too. */
const LARGE = COPIED + TAIL;
/** The largest piece handed to a socket at once; the watchdog sees progress after each. */
const WRITTEN = 512 * 1024;

export interface Upload {
  /** In bytes. */
  readonly length: number;
  readonly headers: Readonly<Record<string, string>>;
  /** What undici sends. */
  readonly body: Buffer | Readable | null;
  /** Bytes that were not handed to a socket yet. What was may still be on its way, with TLS also when it has arrived. */
  left(): number;
  /** Lets go of the segments. */
  cancel(): void;
}

export function uploadOf(
  segments: readonly Uint8Array[],
  bandwidth: Bandwidth | undefined,
  signal: AbortSignal | undefined,
): Upload {
  const length = segments.reduce((sum, segment) => sum + segment.length, 0);
  if (length === 0) return { length, headers: {}, body: null, left: () => 0, cancel: () => undefined };
  const limited = bandwidth?.limitsUpload ? bandwidth : undefined;
  const headers = { 'content-length': String(length) };
  if (limited === undefined && length <= COPIED) {
    return { length, headers, body: Buffer.concat(segments), left: () => 0, cancel: () => undefined };
  }
  const pieces =
    limited === undefined ? piecesOf(segments.filter((segment) => segment.length > 0)) : smallPiecesOf(segments);
  const body = new UploadStream(pieces, length, limited, signal);
  return { length, headers, body, left: () => body.left, cancel: () => void body.destroy() };
}

class UploadStream extends Readable {
  /** Bytes not handed on yet. */
  left: number;
  #pieces: Iterator<Uint8Array> | undefined;
  readonly #bandwidth: Bandwidth | undefined;
  readonly #signal: AbortSignal | undefined;

  constructor(
    pieces: Iterator<Uint8Array>,
    length: number,
    bandwidth: Bandwidth | undefined,
    signal: AbortSignal | undefined,
  ) {
    // Nothing is read ahead of what the socket takes.
    super({ highWaterMark: 0 });
    this.left = length;
    this.#pieces = pieces;
    this.#bandwidth = bandwidth;
    this.#signal = signal;
  }

  override _read(): void {
    const next = this.#pieces?.next();
    if (next === undefined || next.done) return;
    if (this.#bandwidth === undefined) {
      this.#hand(next.value);
      return;
    }
    this.#bandwidth.upload(next.value.length, this.#signal).then(
      () => this.#hand(next.value),
      (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
    );
  }

  #hand(piece: Uint8Array): void {
    this.left -= piece.length;
    this.push(piece);
    if (this.left === 0) this.push(null);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#pieces = undefined;
    callback(error);
  }
}

/** Views of at least `COPIED` bytes, and copies of what is smaller and of the end. No segment is empty. */
function* piecesOf(segments: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  let waiting = 0;
  for (const segment of segments) {
    if (segment.length < LARGE) {
      small.push(segment);
      waiting += segment.length;
      if (waiting < COPIED) continue;
    }
    if (waiting > 0) {
      yield Buffer.concat(small, waiting);
      small = [];
      waiting = 0;
    }
    if (segment.length < LARGE) continue;
    const end = segment === segments.at(-1) ? segment.length - TAIL : segment.length;
    yield* slices(segment.subarray(0, end));
    if (end < segment.length) yield new Uint8Array(segment.subarray(end));
  }
  if (waiting > 0) yield Buffer.concat(small, waiting);
}

function* slices(segment: Uint8Array): Generator<Uint8Array> {
  let at = 0;
  while (at < segment.length) {
    // A rest that would be too small for a piece of its own goes with the last one.
    const end = segment.length - at < WRITTEN + COPIED ? segment.length : at + WRITTEN;
    yield segment.subarray(at, end);
    at = end;
  }
}

/** Copies of at most the size that a paced line takes at once. */
function* smallPiecesOf(segments: readonly Uint8Array[]): Generator<Uint8Array> {
  for (const segment of segments) {
    for (let at = 0; at < segment.length; at += PIECE) yield new Uint8Array(segment.subarray(at, at + PIECE));
  }
}
