/** Sealed blobs on their way between threads, uncopied where that is cheaper. */
import type { Room, SealedBlob } from '@restic-engine/repo-format';

/** Below this a copy into a common buffer costs less than handing over a buffer of its own. */
const OWN_BUFFER_BYTES = 64 * 1024;

/** Small blobs of most batches find room in this, before they move to a common buffer. */
const SCRATCH_BYTES = 2 << 20;
let scratch: Uint8Array<ArrayBuffer> | undefined;

/**
 * Where the blobs of one batch are sealed: small ones in memory that is used again, since a buffer for each keeps the
 * collector busy. What lies there is valid until the next call on this thread; {@link sealedBatch} moves it out.
 */
export function sealingRoom(): Room {
  const common = (scratch ??= new Uint8Array(SCRATCH_BYTES));
  let used = 0;
  return (length) => {
    if (length >= OWN_BUFFER_BYTES || length > common.length - used) return new Uint8Array(length);
    return common.subarray(used, (used += length));
  };
}

/** Blobs whose bytes are views on `buffers`, each of which is to be transferred. */
export interface SealedBatch {
  readonly blobs: readonly SealedBlob[];
  readonly buffers: readonly ArrayBuffer[];
}

/** Takes over the bytes of `blobs`: large ones keep their buffers, small ones move into a common one. */
export function sealedBatch(blobs: readonly SealedBlob[]): SealedBatch {
  const small = blobs.filter(isSmall);
  const common = new Uint8Array(small.reduce((sum, { bytes }) => sum + bytes.length, 0));
  const buffers: ArrayBuffer[] = [common.buffer];
  let offset = 0;
  const moved = blobs.map((blob): SealedBlob => {
    if (!isSmall(blob)) {
      const bytes = ownBytes(blob.bytes);
      buffers.push(bytes.buffer);
      return { ...blob, bytes };
    }
    common.set(blob.bytes, offset);
    const bytes = common.subarray(offset, (offset += blob.bytes.length));
    return { ...blob, bytes };
  });
  return { blobs: moved, buffers };
}

function isSmall({ bytes }: SealedBlob): boolean {
  return bytes.length < OWN_BUFFER_BYTES;
}

/** A view that covers a transferable buffer exactly; anything else would give away what others may hold. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) return new Uint8Array(buffer);
  return new Uint8Array(bytes);
}
