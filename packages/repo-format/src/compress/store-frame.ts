/** A zstd frame that stores (RFC 8878 §3.1.1): a writer for every runtime, readable by every decoder. */

/** Bytes in one block at most (RFC 8878 §3.1.1.2.4). */
export const MAX_BLOCK: number = 128 * 1024;

const MAGIC = 0xfd2fb528;
/** Single segment, content size in four bytes, no checksum, no dictionary. */
const DESCRIPTOR = 0xa0;
const HEADER_BYTES = 9;
const BLOCK_HEADER_BYTES = 3;

/** One frame of raw blocks that holds `plain`, of less than 4 GiB. */
export function storeFrame(plain: Uint8Array): Uint8Array<ArrayBuffer> {
  const blocks = Math.max(1, Math.ceil(plain.length / MAX_BLOCK));
  const frame = new Uint8Array(HEADER_BYTES + blocks * BLOCK_HEADER_BYTES + plain.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, DESCRIPTOR);
  view.setUint32(5, plain.length, true);
  let at = HEADER_BYTES;
  for (let block = 0; block < blocks; block++) {
    const bytes = plain.subarray(block * MAX_BLOCK, (block + 1) * MAX_BLOCK);
    const header = (bytes.length << 3) | (block === blocks - 1 ? 1 : 0);
    view.setUint16(at, header & 0xffff, true);
    view.setUint8(at + 2, header >>> 16);
    frame.set(bytes, at + BLOCK_HEADER_BYTES);
    at += BLOCK_HEADER_BYTES + bytes.length;
  }
  return frame;
}
