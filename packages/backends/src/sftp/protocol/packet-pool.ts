import { Buffer } from 'node:buffer';

/** Packets smaller than this are made anew each time. */
const WORTH_KEEPING = 8 * 1024;

/**
 * Memory for packets with content, used again and again: what lies outside of JavaScript's heap is expensive to collect.
 * There is never more of it than was under way at one time.
 */
export class PacketPool {
  readonly #free: Buffer[] = [];
  #capacity = 0;

  /** `size` bytes, not zeroed. */
  take(size: number): Buffer {
    if (size < WORTH_KEEPING) return Buffer.allocUnsafe(size);
    if (size > this.#capacity) {
      this.#free.length = 0;
      this.#capacity = size;
    }
    return (this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#capacity)).subarray(0, size);
  }

  /** Takes back what nobody uses any more. */
  give(packet: Buffer): void {
    if (packet.length < WORTH_KEEPING || packet.buffer.byteLength !== this.#capacity) return;
    this.#free.push(Buffer.from(packet.buffer));
  }
}
