/**
 * The header at the end of a pack (restic design document, "Pack Format"):
 * pack = sealed blobs ‖ sealed(entries) ‖ length of the sealed header, 4 bytes, little-endian.
 */
import type { ByteRange } from '../backend.ts';
import { SEAL_OVERHEAD, type Sealer } from '../crypto/seal.ts';
import { EngineError } from '../errors.ts';
import { toHex, writeHex } from '../hex.ts';
import { ID_BYTES } from '../id.ts';
import {
  COMPRESSED_ENTRY_BYTES,
  entryBytes,
  LENGTH_BYTES,
  MAX_HEADER_BYTES,
  MAX_HEADER_ENTRIES,
  MAX_UINT32,
  packFileSize,
  PLAIN_ENTRY_BYTES,
  type PackEntry,
} from './entry.ts';

/** The tail read first holds this many entries, so that most packs take one request. */
const EAGER_ENTRIES = 15;

/** Header types: bit 0 says tree, bit 1 says compressed. */
const TREE_BIT = 1;
const COMPRESSED_BIT = 2;

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The end of a pack of `entries`, which lie in this order without gaps from offset 0 on. The header is opened and read
 * again before it is returned. Throws `corrupt` when that shows something else, `RangeError` for entries that no pack
 * can hold.
 */
export function encodePackHeader(entries: readonly PackEntry[], sealer: Sealer): Uint8Array<ArrayBuffer> {
  checkEntries(entries);
  const sealed = sealer.seal(encodeEntries(entries));
  const again = decodeEntries(sealer.open(sealed), 2);
  if (again.length !== entries.length || !entries.every((entry, index) => isSame(entry, again[index]))) {
    throw new EngineError('corrupt', 'a pack header reads back differently', { entries: entries.length });
  }
  const tail = new Uint8Array(sealed.length + LENGTH_BYTES);
  tail.set(sealed);
  viewOf(tail).setUint32(sealed.length, sealed.length, true);
  return tail;
}

function checkEntries(entries: readonly PackEntry[]): void {
  if (entries.length === 0 || entries.length > MAX_HEADER_ENTRIES) {
    throw new RangeError(`a pack holds 1 to ${MAX_HEADER_ENTRIES} blobs, not ${entries.length}`);
  }
  let offset = 0;
  for (const entry of entries) {
    if (entry.offset !== offset) throw new RangeError(`a blob lies at ${entry.offset}, not at ${offset}`);
    if (entry.length <= SEAL_OVERHEAD || entry.length > MAX_UINT32 || entry.uncompressedLength > MAX_UINT32) {
      throw new RangeError(`no pack holds a blob of ${entry.length} bytes, ${entry.uncompressedLength} uncompressed`);
    }
    offset += entry.length;
  }
}

function encodeEntries(entries: readonly PackEntry[]): Uint8Array {
  const bytes = new Uint8Array(entries.reduce((sum, entry) => sum + entryBytes(entry), 0));
  const view = viewOf(bytes);
  let at = 0;
  for (const entry of entries) {
    const compressed = entry.uncompressedLength !== 0;
    view.setUint8(at, (entry.type === 'tree' ? TREE_BIT : 0) | (compressed ? COMPRESSED_BIT : 0));
    view.setUint32(at + 1, entry.length, true);
    if (compressed) view.setUint32(at + 5, entry.uncompressedLength, true);
    at += entryBytes(entry);
    writeHex(entry.id, bytes, at - ID_BYTES);
  }
  return bytes;
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

/**
 * The blobs of a pack, from its header.
 *
 * @param read - reads a range of the pack: once, or twice when the header is long.
 * @param fileSize - bytes; the blobs and the header must fill the pack exactly.
 * Rejects with `corrupt`, and with what `read` rejects with.
 */
export async function readPackHeader(
  read: (range: ByteRange) => Promise<Uint8Array>,
  fileSize: number,
  sealer: Sealer,
  version: 1 | 2,
): Promise<PackEntry[]> {
  if (fileSize < PLAIN_ENTRY_BYTES + SEAL_OVERHEAD + LENGTH_BYTES) {
    throw new EngineError('corrupt', 'a pack is too short', { fileSize });
  }
  const eager = Math.min(fileSize, EAGER_ENTRIES * COMPRESSED_ENTRY_BYTES + SEAL_OVERHEAD + LENGTH_BYTES);
  const tail = await readExactly(read, { offset: fileSize - eager, length: eager });
  const length = viewOf(tail).getUint32(eager - LENGTH_BYTES, true);
  if (length <= SEAL_OVERHEAD || length > fileSize - LENGTH_BYTES || length > MAX_HEADER_BYTES) {
    throw new EngineError('corrupt', 'a pack header has an impossible length', { length, fileSize });
  }
  const start = eager - LENGTH_BYTES - length;
  const sealed =
    start >= 0
      ? tail.subarray(start, eager - LENGTH_BYTES)
      : await readExactly(read, { offset: fileSize - LENGTH_BYTES - length, length });
  const entries = decodeEntries(sealer.open(sealed), version);
  const expected = packFileSize(entries);
  if (expected !== fileSize) {
    throw new EngineError('corrupt', 'a pack is not as long as its blobs say', { fileSize, expected });
  }
  return entries;
}

async function readExactly(read: (range: ByteRange) => Promise<Uint8Array>, range: ByteRange): Promise<Uint8Array> {
  const bytes = await read(range);
  if (bytes.length !== range.length) {
    throw new EngineError('out-of-range', 'a pack ends early', { ...range, read: bytes.length });
  }
  return bytes;
}

function decodeEntries(bytes: Uint8Array, version: 1 | 2): PackEntry[] {
  const view = viewOf(bytes);
  const entries: PackEntry[] = [];
  let offset = 0;
  for (let at = 0; at < bytes.length; ) {
    const entry = decodeEntry(view, at, offset, version);
    entries.push(entry);
    at += entryBytes(entry);
    offset += entry.length;
  }
  return entries;
}

function decodeEntry(view: DataView, at: number, offset: number, version: 1 | 2): PackEntry {
  const kind = view.getUint8(at);
  const compressed = (kind & COMPRESSED_BIT) !== 0;
  const size = compressed ? COMPRESSED_ENTRY_BYTES : PLAIN_ENTRY_BYTES;
  if (kind > (TREE_BIT | COMPRESSED_BIT) || at + size > view.byteLength) {
    throw new EngineError('corrupt', 'a pack header has an invalid entry', { kind, at });
  }
  if (compressed && version === 1) {
    throw new EngineError('corrupt', 'a compressed blob in a repository of version 1', { at });
  }
  const length = view.getUint32(at + 1, true);
  const uncompressedLength = compressed ? view.getUint32(at + 5, true) : 0;
  if (length <= SEAL_OVERHEAD || (compressed && uncompressedLength === 0)) {
    throw new EngineError('corrupt', 'a pack header has an empty blob', { at, length, uncompressedLength });
  }
  const id = toHex(new Uint8Array(view.buffer, view.byteOffset + at + size - ID_BYTES, ID_BYTES));
  return { id, type: (kind & TREE_BIT) === 0 ? 'data' : 'tree', offset, length, uncompressedLength };
}
