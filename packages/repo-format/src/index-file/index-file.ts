/** Index files: which blobs lie where in which packs (restic design document, "Indexing"). */
import { SEAL_OVERHEAD } from '../crypto/seal.ts';
import { EngineError } from '../errors.ts';
import type { Id } from '../id.ts';
import { optionalArray, requiredId, wrongField } from '../json/fields.ts';
import { asObject, uintOrZero } from '../json/object.ts';
import { compactJson, parseJson } from '../json/source.ts';
import { MAX_UINT32, type BlobType, type PackEntry } from '../pack/entry.ts';
import { MARKS_START, readMarks } from './marks.ts';
import type { IndexMarks } from './marks.ts';
import { BLOB_COLUMNS, ID_DIGITS, PACK_COLUMNS, scanIndex, type IndexColumns } from './scan.ts';

/** Receives what an index file says. */
export interface IndexSink {
  /** A pack; the blobs that follow lie in it. The string is the sink's to keep. */
  pack(id: Id): void;
  /**
   * A blob of that pack: offset and length (sealed) in bytes, `uncompressedLength` 0 when it is stored raw. The id may
   * share memory with the text of the whole file: turn it into bytes rather than keep it.
   */
  blob(type: BlobType, id: Id, offset: number, length: number, uncompressedLength: number): void;
  /** What the file says of packs that wait for their deletion, if it does; nobody may count on these. */
  marks?(marks: IndexMarks): void;
}

/**
 * Reads an index file and then tells `sink` of everything in it, pack by pack. Throws `corrupt`, and `unsupported` for
 * the format of restic 0.1; the sink has then received nothing.
 */
export function decodeIndex(json: Uint8Array, version: 1 | 2, sink: IndexSink): void {
  if (sink.marks === undefined && hasOnlyMarks(json)) return;
  const columns = scanIndex(json);
  if (columns === undefined) decodeAnyShape(json, version, sink);
  else decodeColumns(json, columns, version, sink);
}

const ONLY_MARKS: Uint8Array = new TextEncoder().encode(MARKS_START);

/** Who does not ask for marks need not wait until they are read. */
function hasOnlyMarks(json: Uint8Array): boolean {
  return json.length > ONLY_MARKS.length && ONLY_MARKS.every((byte, at) => json[at] === byte);
}

function checkBlob(length: number, uncompressedLength: number, version: 1 | 2): void {
  if (length < SEAL_OVERHEAD) throw new EngineError('corrupt', 'an index names a blob that is too short', { length });
  if (version === 1 && uncompressedLength !== 0) {
    throw new EngineError('corrupt', 'a compressed blob in a repository of version 1', { uncompressedLength });
  }
}

function decodeColumns(json: Uint8Array, columns: IndexColumns, version: 1 | 2, sink: IndexSink): void {
  const { pack, packs, blob, blobs } = columns;
  for (let at = 0; at < blobs * BLOB_COLUMNS; at += BLOB_COLUMNS)
    checkBlob(blob[at + 3] ?? 0, blob[at + 4] ?? 0, version);
  // All of it is ASCII, or the scanner would have refused it: positions of bytes are positions in the text.
  const decoder = new TextDecoder();
  const text = decoder.decode(json);
  for (let index = 0; index < packs; index++) {
    const at = pack[index * PACK_COLUMNS] ?? 0;
    const end = index + 1 < packs ? (pack[(index + 1) * PACK_COLUMNS + 1] ?? 0) : blobs;
    sink.pack(decoder.decode(json.subarray(at, at + ID_DIGITS)));
    for (
      let row = (pack[index * PACK_COLUMNS + 1] ?? 0) * BLOB_COLUMNS;
      row < end * BLOB_COLUMNS;
      row += BLOB_COLUMNS
    ) {
      const idAt = blob[row] ?? 0;
      const type = blob[row + 1] === 1 ? 'tree' : 'data';
      const id = text.substring(idAt, idAt + ID_DIGITS);
      sink.blob(type, id, blob[row + 2] ?? 0, blob[row + 3] ?? 0, blob[row + 4] ?? 0);
    }
  }
}

interface IndexedPack {
  readonly id: Id;
  readonly blobs: readonly PackEntry[];
}

function decodeAnyShape(json: Uint8Array, version: 1 | 2, sink: IndexSink): void {
  const { value } = parseJson(json);
  if (Array.isArray(value)) throw new EngineError('unsupported', 'an index in the format of restic 0.1');
  const index = asObject(value, 'index');
  const packs = (optionalArray(index['packs'], 'packs') ?? []).map((pack) => toPack(pack, version));
  const marks = sink.marks && readMarks(index, (blob) => toEntry(blob, version));
  for (const { id, blobs } of packs) {
    sink.pack(id);
    for (const blob of blobs) sink.blob(blob.type, blob.id, blob.offset, blob.length, blob.uncompressedLength);
  }
  if (marks !== undefined) sink.marks?.(marks);
}

function toPack(value: unknown, version: 1 | 2): IndexedPack {
  const fields = asObject(value, 'packs');
  const blobs = (optionalArray(fields['blobs'], 'blobs') ?? []).map((blob) => toEntry(blob, version));
  return { id: requiredId(fields['id'], 'id'), blobs };
}

function toEntry(value: unknown, version: 1 | 2): PackEntry {
  const fields = asObject(value, 'blobs');
  const type = fields['type'];
  if (type !== 'data' && type !== 'tree') throw wrongField('type', '"data" or "tree"');
  const length = uintOrZero(fields['length'], 'length', MAX_UINT32);
  const uncompressedLength = uintOrZero(fields['uncompressed_length'], 'uncompressed_length', MAX_UINT32);
  checkBlob(length, uncompressedLength, version);
  return {
    id: requiredId(fields['id'], 'id'),
    type,
    offset: uintOrZero(fields['offset'], 'offset', MAX_UINT32),
    length,
    uncompressedLength,
  };
}

/** The JSON of an index file, as restic writes it. Name all blobs of a pack in one file. */
export function encodeIndex(
  packs: Iterable<{ readonly id: Id; readonly blobs: readonly PackEntry[] }>,
): Uint8Array<ArrayBuffer> {
  const parts: string[] = [];
  for (const { id, blobs } of packs) {
    parts.push(`{"id":"${id}","blobs":[${blobs.map(blobJson).join(',')}]}`);
  }
  return new TextEncoder().encode(`{"packs":[${parts.join(',')}]}\n`);
}

/** The JSON of an index file that names packs which wait for their deletion, and no others. */
export function encodeMarks({ packs, record }: IndexMarks): Uint8Array<ArrayBuffer> {
  const marked = packs.map(({ id, time, blobs }) => {
    const since = time === undefined ? '' : `"time":${JSON.stringify(time)},`;
    return `{"id":"${id}",${since}"blobs":[${blobs.map(blobJson).join(',')}]}`;
  });
  const prune = record === undefined ? '' : `,"prune":${compactJson(JSON.stringify(record))}`;
  return new TextEncoder().encode(`${MARKS_START}${marked.join(',')}]${prune}}\n`);
}

function blobJson({ id, type, offset, length, uncompressedLength }: PackEntry): string {
  const compressed = uncompressedLength === 0 ? '' : `,"uncompressed_length":${uncompressedLength}`;
  return `{"id":"${id}","type":"${type}","offset":${offset},"length":${length}${compressed}}`;
}
