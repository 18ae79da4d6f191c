/** Takes blobs out of a pack as they are to go into another one. */
import type { Compression, SealedBlob } from '@restic-engine/repo-format';
import { codecFor } from '../codec.ts';
import type { CodecSpec } from '../codec.ts';
import type { BlobLocation } from '../index/blob-table.ts';
import { task } from '../pool/task.ts';
import type { Task } from '../pool/task.ts';
import { sealedBatch } from '../store/sealed-batch.ts';

export interface RepackInput {
  readonly codec: CodecSpec;
  /** A part of a pack, which is the task's, `offset` bytes from its start. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly offset: number;
  readonly blobs: readonly BlobLocation[];
}

/**
 * The blobs, verified and sealed. The key is the same, so sealed bytes are copied; only what is to be compressed now is
 * sealed again. Rejects with `corrupt` when a blob is damaged.
 */
export const repackBlobs: Task<RepackInput, readonly SealedBlob[]> = task(import.meta.url, 'repackBlobs', (input) => {
  const { codec, bytes, offset, blobs } = input;
  const { open, peek, seal } = codecFor(codec);
  const sealed = blobs.map((blob): SealedBlob => {
    const { id, type, uncompressedLength } = blob;
    const start = blob.offset - offset;
    const stored = bytes.subarray(start, start + blob.length);
    if (isToCompress(codec, blob)) return seal(type, open(blob, stored), id);
    peek(blob, stored);
    return { id, type, bytes: stored, uncompressedLength };
  });
  const batch = sealedBatch(sealed);
  // Collecting garbage comes too late when it is the size of packs.
  if (!batch.buffers.includes(bytes.buffer)) bytes.buffer.transfer(0);
  return { value: batch.blobs, transfer: batch.buffers };
});

function isToCompress(
  { version, compression }: { readonly version: 1 | 2; readonly compression: Compression },
  { type, uncompressedLength }: Pick<BlobLocation, 'type' | 'uncompressedLength'>,
): boolean {
  return version === 2 && uncompressedLength === 0 && (type === 'tree' || compression !== 'off');
}
