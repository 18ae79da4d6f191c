/** Blobs: plain bytes to the bytes in a pack, and back (restic design document, "Pack Format"). */
import { compressToScratch, decompress, MAX_PLAIN_BYTES, type Compression } from './compress/zstd.ts';
import { nodePrimitives } from './crypto/node-primitives.ts';
import type { Primitives } from './crypto/primitives.ts';
import { SEAL_OVERHEAD, type Sealer } from './crypto/seal.ts';
import { EngineError } from './errors.ts';
import type { Id } from './id.ts';
import type { BlobType, PackEntry } from './pack/entry.ts';
import { Scratch } from './scratch.ts';

/** A blob as it goes into a pack. */
export interface SealedBlob {
  /** SHA-256 of the plain bytes. */
  readonly id: Id;
  readonly type: BlobType;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Bytes before compression; 0 when `bytes` is not compressed. */
  readonly uncompressedLength: number;
}

/** Memory of at least `length` bytes for one sealed blob, which begins at its start. */
export type Room = (length: number) => Uint8Array<ArrayBuffer>;

export interface BlobCodec {
  /**
   * Seals `plain`, which stays the caller's; `id` spares the hashing where it is known, and `room` says where the sealed
   * bytes go, which otherwise have a buffer of their own. Throws `too-large`, and `corrupt` when verifying shows that memory or processor failed.
   */
  seal(type: BlobType, plain: Uint8Array, id?: Id, room?: Room): SealedBlob;
  /** The plain bytes, verified to be those of `entry.id`. Throws `corrupt`, or `too-large` for an absurd length. */
  open(entry: BlobEntry, sealed: Uint8Array): Uint8Array<ArrayBuffer>;
  /** The same in memory that the next call of this codec overwrites: for those who are done with it by then. */
  peek(entry: BlobEntry, sealed: Uint8Array): Uint8Array<ArrayBuffer>;
  /**
   * Seals what `from` opens, compressed or not as it is stored there: the costly part of sealing is spared. Throws
   * `corrupt` unless it is the blob of `entry.id`.
   */
  reseal(entry: BlobEntry, sealed: Uint8Array, from: Pick<Sealer, 'open'>, room?: Room): SealedBlob;
}

/** What a sealed blob is expected to be. */
export type BlobEntry = Pick<PackEntry, 'id' | 'type' | 'uncompressedLength'>;

/** Lengths up to that of the longest chunk are believed before anything has been read. */
const MAX_CHUNK_BYTES = 8 * 2 ** 20;

export interface BlobCodecOptions {
  readonly sealer: Sealer;
  /** Of the repository; blobs are compressed in version 2 only. */
  readonly version: 1 | 2;
  readonly compression: Compression;
  /** Open again what was sealed, as restic does unless told otherwise. */
  readonly verify: boolean;
  readonly primitives?: Primitives | undefined;
}

export function createBlobCodec(options: BlobCodecOptions): BlobCodec {
  const { sealer, version, compression, verify, primitives = nodePrimitives } = options;

  const storedScratch = new Scratch();
  const plainScratch = new Scratch();

  function open(entry: BlobEntry, sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    const { uncompressedLength } = entry;
    if (uncompressedLength === 0) return checked(entry, sealer.open(sealed));
    return checked(entry, decompress(sealer.open(sealed, storedScratch.take(sealed.length)), uncompressedLength));
  }

  function peek(entry: BlobEntry, sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    return peekStored(entry, sealer.open(sealed, storedScratch.take(sealed.length)));
  }

  function peekStored(entry: BlobEntry, stored: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { uncompressedLength } = entry;
    if (uncompressedLength === 0) return checked(entry, stored);
    const isUsual = uncompressedLength <= MAX_CHUNK_BYTES;
    const target = isUsual ? plainScratch.take(uncompressedLength) : undefined;
    return checked(entry, decompress(stored, uncompressedLength, target));
  }

  function checked({ id, type }: BlobEntry, plain: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (primitives.sha256(plain) === id) return plain;
    throw new EngineError('corrupt', 'a blob does not have the content its id names', { id, type });
  }

  function seal(type: BlobType, plain: Uint8Array, id: Id = primitives.sha256(plain), room?: Room): SealedBlob {
    if (plain.length > MAX_PLAIN_BYTES)
      throw new EngineError('too-large', 'a blob is too large', { length: plain.length });
    // Compressed whether it shrinks or not: restic does so, and its prune repacks trees that are not.
    const compressed = version === 2 && plain.length > 0 && (type === 'tree' || compression !== 'off');
    const stored = compressed ? compressToScratch(plain, compression) : plain;
    const bytes = sealer.seal(stored, room?.(stored.length + SEAL_OVERHEAD));
    const blob: SealedBlob = { id, type, bytes, uncompressedLength: compressed ? plain.length : 0 };
    if (verify) peek(blob, bytes);
    return blob;
  }

  function reseal(entry: BlobEntry, sealed: Uint8Array, from: Pick<Sealer, 'open'>, room?: Room): SealedBlob {
    const { id, type, uncompressedLength } = entry;
    const stored = from.open(sealed, storedScratch.take(sealed.length));
    const bytes = sealer.seal(stored, room?.(stored.length + SEAL_OVERHEAD));
    // Both ways show whether it is the right blob; the longer one also whether it was sealed well.
    if (verify) peek(entry, bytes);
    else peekStored(entry, stored);
    return { id, type, bytes, uncompressedLength };
  }

  return { seal, open, peek, reseal };
}
