/** Regroups pieces of a content into windows, each beginning with what the cutter left over of the one before. */

export interface ContentWindow {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly final: boolean;
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
    let bytes = typeof piece === 'string' ? new TextEncoder().encode(piece) : piece;
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
