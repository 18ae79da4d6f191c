import type { Cutter } from './cutter.ts';

/** Bytes of the first buffer; it doubles as needed, so that small inputs stay cheap. */
const INITIAL_SIZE = 65536;

/**
 * Cuts a stream into chunks; memory in use stays below about four times the cutter's `maxSize`.
 *
 * The bytes of `source` are copied before its next item is asked for. Each chunk yielded owns its buffer, which is the
 * receiver's to keep or transfer. An empty source yields nothing. Errors of `source` pass through.
 */
export async function* chunks(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  cutter: Cutter,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const capacity = 2 * cutter.maxSize;
  let buffer = new Uint8Array(Math.min(INITIAL_SIZE, capacity));
  let filled = 0;
  for await (const part of source) {
    for (let taken = 0; taken < part.length; ) {
      if (filled === capacity) {
        let start = 0;
        for (const end of cutter.cuts(buffer, false)) {
          yield buffer.slice(start, end);
          start = end;
        }
        buffer.copyWithin(0, start);
        filled -= start;
      }
      const count = Math.min(part.length - taken, capacity - filled);
      buffer = withRoom(buffer, filled, filled + count, capacity);
      buffer.set(part.subarray(taken, taken + count), filled);
      filled += count;
      taken += count;
    }
  }
  let start = 0;
  for (const end of cutter.cuts(buffer.subarray(0, filled), true)) {
    yield buffer.slice(start, end);
    start = end;
  }
}

/** `buffer` if it holds `needed` bytes, else a larger one of at most `capacity` with the first `filled` bytes copied. */
function withRoom(
  buffer: Uint8Array<ArrayBuffer>,
  filled: number,
  needed: number,
  capacity: number,
): Uint8Array<ArrayBuffer> {
  if (needed <= buffer.length) return buffer;
  const larger = new Uint8Array(Math.min(capacity, Math.max(needed, 2 * buffer.length)));
  larger.set(buffer.subarray(0, filled));
  return larger;
}
