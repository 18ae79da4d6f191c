/** Compresses and seals whole blobs that are known to be new. */
import type { BlobType, Id } from '@restic-engine/repo-format';
import { codecFor } from '../codec.ts';
import type { CodecSpec } from '../codec.ts';
import { task } from '../pool/task.ts';
import type { Task } from '../pool/task.ts';
import { joinSealed } from './sealed-batch.ts';
import type { SealedBatch } from './sealed-batch.ts';

export interface PlainBlob {
  readonly type: BlobType;
  readonly id: Id;
  readonly plain: Uint8Array;
}

export interface SealInput {
  readonly codec: CodecSpec;
  readonly blobs: readonly PlainBlob[];
}

export const sealBlobs: Task<SealInput, SealedBatch> = task(import.meta.url, 'sealBlobs', ({ codec, blobs }) => {
  const { seal } = codecFor(codec);
  const value = joinSealed(blobs.map(({ type, plain, id }) => seal(type, plain, id)));
  return { value, transfer: [value.bytes.buffer] };
});
