/** Bytes in one block. */
const BLOCK = 1024 * 1024;
/** Blocks kept for the next upload; memory the system has given once is not cleared and counted again. */
const MAX_KEPT = 64;

/** Memory for uploads in blocks that are used again. */
export class Blocks {
  readonly #free: Buffer[] = [];

  /** Blocks of `length` bytes in all; the last one may be a part. Their content is not defined. */
  take(length: number): Buffer[] {
    const blocks: Buffer[] = [];
    for (let rest = length; rest > 0; rest -= BLOCK) {
      if (rest < BLOCK / 2 && blocks.length === 0) return [Buffer.allocUnsafeSlow(rest)];
      const block = this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK);
      blocks.push(block.subarray(0, Math.min(rest, BLOCK)));
    }
    return blocks;
  }

  /** Takes back what {@link take} gave; nobody may look at it from now on. */
  giveBack(blocks: readonly Buffer[]): void {
    for (const { buffer } of blocks) {
      if (buffer.byteLength === BLOCK && this.#free.length < MAX_KEPT) this.#free.push(Buffer.from(buffer));
    }
  }
}
