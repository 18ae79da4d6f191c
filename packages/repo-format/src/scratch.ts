/** Memory that is used again for one thing after another, which spares page faults and collection. */
export class Scratch {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** `length` bytes with any content, valid until the next call. Above {@link MAX_KEPT} they are new each time. */
  take(length: number): Uint8Array<ArrayBuffer> {
    if (length > MAX_KEPT) return new Uint8Array(length);
    if (this.#bytes.length < length) this.#bytes = new Uint8Array(Math.min(Math.max(length * 2, MIN_KEPT), MAX_KEPT));
    return this.#bytes.subarray(0, length);
  }
}

const MIN_KEPT = 64 * 1024;
/** The longest chunk and what compression and sealing may add to it. */
const MAX_KEPT = 9 * 2 ** 20;
