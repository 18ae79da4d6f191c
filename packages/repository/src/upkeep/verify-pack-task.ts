/** Looks at everything in a pack (restic design document, "Pack Format"). */
import { createSealer, EngineError, readPackHeader, sha256 } from '@restic-engine/repo-format';
import type { Id, PackEntry } from '@restic-engine/repo-format';
import { codecFor } from '../codec.ts';
import type { CodecSpec } from '../codec.ts';
import { task } from '../pool/task.ts';
import type { Task } from '../pool/task.ts';

export interface VerifyPackInput {
  readonly codec: CodecSpec;
  readonly pack: Id;
  /** All bytes of the pack, which are the task's. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What the index has of it, by ascending offset. */
  readonly entries: readonly PackEntry[];
}

/** A sentence for each thing that is wrong. */
export const verifyPack: Task<VerifyPackInput, readonly string[]> = task(
  import.meta.url,
  'verifyPack',
  async (input) => {
    const { pack, bytes } = input;
    const found = sha256(bytes);
    const wrong = found === pack ? [] : [`the content has the hash ${found}`];
    wrong.push(...verifyBlobs(input), ...(await verifyHeader(input)));
    // Collecting garbage comes too late when it is the size of packs.
    bytes.buffer.transfer(0);
    return { value: wrong };
  },
);

function* verifyBlobs({ codec, bytes, entries }: VerifyPackInput): Generator<string> {
  const { peek } = codecFor(codec);
  for (const entry of entries) {
    const { id, type, offset, length } = entry;
    try {
      peek(entry, bytes.subarray(offset, offset + length));
    } catch (error) {
      yield `${type} blob ${id} at ${offset}: ${messageOf(error)}`;
    }
  }
}

async function verifyHeader({ codec, bytes, entries }: VerifyPackInput): Promise<string[]> {
  let header: readonly PackEntry[];
  try {
    const read = async ({ offset, length }: { offset: number; length: number }): Promise<Uint8Array> =>
      bytes.subarray(offset, offset + length);
    header = await readPackHeader(read, bytes.length, createSealer(codec.key), codec.version);
  } catch (error) {
    return [`header: ${messageOf(error)}`];
  }
  const agrees = header.length === entries.length && header.every((entry, index) => isSame(entry, entries[index]));
  return agrees ? [] : ['the header and the index name different blobs'];
}

function isSame(a: PackEntry, b: PackEntry | undefined): boolean {
  return (
    a.id === b?.id &&
    a.type === b.type &&
    a.offset === b.offset &&
    a.length === b.length &&
    a.uncompressedLength === b.uncompressedLength
  );
}

/** Damage has a code; anything else is a mistake here and must not pass for damage. */
function messageOf(error: unknown): string {
  if (EngineError.is(error)) return error.message;
  throw error;
}
