/** Sealed blobs on their way between threads: one buffer, and where in it each blob ends. */
import type { BlobType, Id, SealedBlob } from '@restic-engine/repo-format';

export interface SealedBatch {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly blobs: readonly SealedPart[];
}

export interface SealedPart {
  readonly id: Id;
  readonly type: BlobType;
  /** Sealed bytes. */
  readonly length: number;
  readonly uncompressedLength: number;
}

export function joinSealed(blobs: readonly SealedBlob[]): SealedBatch {
  const only = blobs.length === 1 ? blobs[0] : undefined;
  const bytes = only === undefined ? concatenate(blobs) : ownBuffer(only.bytes);
  return {
    bytes,
    blobs: blobs.map(({ id, type, bytes: { length }, uncompressedLength }) => ({ id, type, length, uncompressedLength })),
  };
}

export function splitSealed(batch: SealedBatch): SealedBlob[] {
  let offset = 0;
  return batch.blobs.map(({ id, type, length, uncompressedLength }) => {
    const bytes = batch.bytes.subarray(offset, (offset += length));
    return { id, type, bytes, uncompressedLength };
  });
}

function concatenate(blobs: readonly SealedBlob[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(blobs.reduce((sum, blob) => sum + blob.bytes.length, 0));
  let offset = 0;
  for (const blob of blobs) {
    bytes.set(blob.bytes, offset);
    offset += blob.bytes.length;
  }
  return bytes;
}

/** A view that covers a transferable buffer exactly, copied only when it does not yet. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length) return new Uint8Array(buffer);
  return new Uint8Array(bytes);
}
