/** Takes blobs out of a pack as they are to go into another one, of the same repository or of another. */
import { createSealer } from '@restic-engine/repo-format';
import type { SealedBlob } from '@restic-engine/repo-format';
import { codecFor } from '../codec.ts';
import type { CodecSpec } from '../codec.ts';
import type { BlobLocation } from '../index/blob-table.ts';
import { task } from '../pool/task.ts';
import type { Task } from '../pool/task.ts';
import { sealedBatch, sealingRoom } from '../store/sealed-batch.ts';

export interface RepackInput {
  /** Of the repository the pack belongs to. */
  readonly from: CodecSpec;
  /** Of the repository the blobs go to. */
  readonly to: CodecSpec;
  /** A part of a pack, which is the task's, `offset` bytes from its start. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly offset: number;
  readonly blobs: readonly BlobLocation[];
}

/**
 * The blobs, verified and sealed. Where the key is the same sealed bytes are copied, and otherwise compressed ones are
 * sealed as they are; compression is for what is to be stored in another way. Rejects with `corrupt` when a blob is
 * damaged.
 */
export const repackBlobs: Task<RepackInput, readonly SealedBlob[]> = task(import.meta.url, 'repackBlobs', (input) => {
  const { from, to, bytes, offset, blobs } = input;
  const source = codecFor(from);
  const target = codecFor(to);
  const isSame = isSameRepository(from, to);
  const sealer = createSealer(from.key);
  const room = sealingRoom();
  const sealed = blobs.map((blob): SealedBlob => {
    const { id, type, uncompressedLength } = blob;
    const start = blob.offset - offset;
    const stored = bytes.subarray(start, start + blob.length);
    if (!isStoredAlike(blob, from, to)) return target.seal(type, source.open(blob, stored), id, room);
    if (!isSame) return target.reseal(blob, stored, sealer, room);
    source.peek(blob, stored);
    return { id, type, bytes: stored, uncompressedLength };
  });
  const batch = sealedBatch(sealed);
  // Collecting garbage comes too late when it is the size of packs.
  if (!batch.buffers.includes(bytes.buffer)) bytes.buffer.transfer(0);
  return { value: batch.blobs, transfer: batch.buffers };
});

/** Have both the same key and settings? */
export function isSameRepository(from: CodecSpec, to: CodecSpec): boolean {
  return from.serial === to.serial;
}

/** Would the blob be stored there as it is here: compressed, or not? */
function isStoredAlike(
  { type, uncompressedLength }: Pick<BlobLocation, 'type' | 'uncompressedLength'>,
  from: CodecSpec,
  to: CodecSpec,
): boolean {
  const { version, compression } = to;
  const isCompressed = uncompressedLength !== 0;
  const wantsCompressed = version === 2 && (type === 'tree' || compression !== 'off');
  if (!isCompressed) return !wantsCompressed;
  if (isSameRepository(from, to)) return true;
  // These ask for more effort than may have been made.
  return wantsCompressed && compression !== 'better' && compression !== 'max';
}
