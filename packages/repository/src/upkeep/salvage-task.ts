/** Takes out of a damaged pack what is still sound. */
import { createSealer, EngineError, readPackHeader } from '@restic-engine/repo-format';
import type { BlobType, Id, PackEntry, SealedBlob } from '@restic-engine/repo-format';
import { codecFor } from '../codec.ts';
import type { CodecSpec } from '../codec.ts';
import { task } from '../pool/task.ts';
import type { Task } from '../pool/task.ts';
import { sealedBatch } from '../store/sealed-batch.ts';

export interface SalvageInput {
  readonly codec: CodecSpec;
  /** All that is left of the pack, which is the task's. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What the index has of it. */
  readonly entries: readonly PackEntry[];
}

/** A blob that should be in a pack and cannot be read. */
export interface BrokenBlob {
  readonly type: BlobType;
  readonly id: Id;
  readonly message: string;
}

export interface Salvaged {
  /** Verified, and sealed as they were: the key is the same. */
  readonly blobs: readonly SealedBlob[];
  readonly broken: readonly BrokenBlob[];
}

/** Tries every place where the index or the header of the pack, whichever can be read, say that there is a blob. */
export const salvageBlobs: Task<SalvageInput, Salvaged> = task(import.meta.url, 'salvageBlobs', async (input) => {
  const { codec, bytes, entries } = input;
  const { peek } = codecFor(codec);
  const sound = new Map<string, SealedBlob>();
  const broken = new Map<string, BrokenBlob>();
  for (const entry of [...entries, ...(await headerOf(input))]) {
    const { id, type, offset, length, uncompressedLength } = entry;
    const key = `${type} ${id}`;
    if (sound.has(key)) continue;
    const stored = bytes.subarray(offset, offset + length);
    try {
      peek(entry, stored);
      sound.set(key, { id, type, bytes: stored, uncompressedLength });
      broken.delete(key);
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      const message = stored.length < length ? 'the pack ends before the blob does' : error.message;
      if (!broken.has(key)) broken.set(key, { type, id, message });
    }
  }
  const batch = sealedBatch([...sound.values()]);
  // Collecting garbage comes too late when it is the size of packs.
  if (!batch.buffers.includes(bytes.buffer)) bytes.buffer.transfer(0);
  return { value: { blobs: batch.blobs, broken: [...broken.values()] }, transfer: batch.buffers };
});

/** Nothing when the header is what is damaged: the index may know better. */
async function headerOf({ codec, bytes }: SalvageInput): Promise<readonly PackEntry[]> {
  const read = async ({ offset, length }: { offset: number; length: number }): Promise<Uint8Array> =>
    bytes.subarray(offset, offset + length);
  try {
    return await readPackHeader(read, bytes.length, createSealer(codec.key), codec.version);
  } catch (error) {
    if (!EngineError.is(error)) throw error;
    return [];
  }
}
