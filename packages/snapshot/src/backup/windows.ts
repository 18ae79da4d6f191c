/** Regroups pieces of a content into windows, each beginning with what the cutter left over of the one before. */

export interface ContentWindow {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly final: boolean;
}

/** What is neither bytes nor text has no length that counts: without this look it would be dropped in silence. */
function bytesOf(piece: unknown): Uint8Array {
  if (typeof piece === 'string') return new TextEncoder().encode(piece);
  if (isBytes(piece)) return piece;
  throw new TypeError('a content must consist of bytes (Uint8Array) or text');
}

/** Also of another realm, such as that of a test runner, where `instanceof` does not know it. */
function isBytes(value: unknown): value is Uint8Array {
  return Object.prototype.toString.call(value) === '[object Uint8Array]';
}

/**
 * A generator whose `next(rest)` gives the next window, `rest` first. Every window but the last has `size` bytes; each
 * has a buffer of its own, to be kept or transferred. Text counts as UTF-8.
 */
export async function* windows(
  pieces: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
  size: number,
): AsyncGenerator<ContentWindow, void, Uint8Array> {
  let window = new Uint8Array(size);
  let length = 0;
  for await (const piece of pieces) {
    let bytes = bytesOf(piece);
    while (bytes.length > size - length) {
      window.set(bytes.subarray(0, size - length), length);
      bytes = bytes.subarray(size - length);
      const rest: Uint8Array = yield { bytes: window, final: false };
      window = new Uint8Array(size);
      window.set(rest);
      length = rest.length;
    }
    window.set(bytes, length);
    length += bytes.length;
  }
  yield { bytes: window.slice(0, length), final: true };
}
