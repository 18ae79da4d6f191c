/** What a pack holds, and the sizes that follow from it (restic design document, "Pack Format"). */
import { SEAL_OVERHEAD } from '../crypto/seal.ts';
import { EngineError } from '../errors.ts';
import type { Id } from '../id.ts';

export type BlobType = 'data' | 'tree';

/** One blob in a pack. */
export interface PackEntry {
  readonly id: Id;
  readonly type: BlobType;
  /** Bytes from the start of the pack. */
  readonly offset: number;
  /** Bytes as sealed. */
  readonly length: number;
  /** Bytes before compression; 0 when the blob is stored as it is. */
  readonly uncompressedLength: number;
}

/** The largest value of a length or offset, which are 32 bits wide in pack headers. */
export const MAX_UINT32 = 0xffff_ffff;

/** restic's bounds for the size of packs, in bytes. A pack is full once it reaches the size wanted. */
export const MIN_PACK_SIZE: number = 4 * 2 ** 20;
export const DEFAULT_PACK_SIZE: number = 16 * 2 ** 20;
export const MAX_PACK_SIZE: number = 128 * 2 ** 20;

/** Bytes of one entry in the header: type, sealed length, (plain length,) id. */
export const PLAIN_ENTRY_BYTES = 37;
export const COMPRESSED_ENTRY_BYTES = 41;

/** Bytes of the length after the header. */
export const LENGTH_BYTES = 4;

/** The largest sealed header that restic reads. */
export const MAX_HEADER_BYTES: number = 16 * 2 ** 20;

/** Entries in one pack at most: so many of the long kind fit into the largest header. */
export const MAX_HEADER_ENTRIES: number = Math.floor((MAX_HEADER_BYTES - SEAL_OVERHEAD) / COMPRESSED_ENTRY_BYTES);

/** Bytes of the entry for a blob. */
export function entryBytes(entry: Pick<PackEntry, 'uncompressedLength'>): number {
  return entry.uncompressedLength === 0 ? PLAIN_ENTRY_BYTES : COMPRESSED_ENTRY_BYTES;
}

/** The size that a pack of just these blobs has, in bytes; restic takes any other size for damage. */
export function packFileSize(entries: Iterable<Pick<PackEntry, 'length' | 'uncompressedLength'>>): number {
  let size = SEAL_OVERHEAD + LENGTH_BYTES;
  for (const entry of entries) size += entry.length + entryBytes(entry);
  return size;
}

/** Bytes of a blob before compression. Throws `corrupt` for a blob shorter than its seal. */
export function plainLengthOf(entry: Pick<PackEntry, 'length' | 'uncompressedLength'>): number {
  if (entry.length < SEAL_OVERHEAD) throw new EngineError('corrupt', 'a blob is too short', { length: entry.length });
  return entry.uncompressedLength || entry.length - SEAL_OVERHEAD;
}
