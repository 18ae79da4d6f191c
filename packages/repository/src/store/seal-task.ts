/** Compresses and seals whole blobs that are known to be new. */
import type { BlobType, Id, SealedBlob } from '@restic-engine/repo-format';
import { codecFor } from '../codec.ts';
import type { CodecSpec } from '../codec.ts';
import { task } from '../pool/task.ts';
import type { Task } from '../pool/task.ts';
import { sealedBatch, sealingRoom } from './sealed-batch.ts';

/** Blobs of one type, their plain bytes one after the other. */
export interface SealInput {
  readonly codec: CodecSpec;
  readonly type: BlobType;
  readonly plain: Uint8Array;
  readonly parts: readonly { readonly id: Id; readonly length: number }[];
}

export const sealBlobs: Task<SealInput, readonly SealedBlob[]> = task(
  import.meta.url,
  'sealBlobs',
  ({ codec, type, plain, parts }) => {
    const { seal } = codecFor(codec);
    const room = sealingRoom();
    let offset = 0;
    const sealed = parts.map(({ id, length }) => seal(type, plain.subarray(offset, (offset += length)), id, room));
    const { blobs, buffers } = sealedBatch(sealed);
    return { value: blobs, transfer: buffers };
  },
);
