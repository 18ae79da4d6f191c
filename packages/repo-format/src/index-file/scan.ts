/**
 * A scanner for index files in exactly the shape in which restic writes them. It makes no object for a blob: a
 * repository may have ten million of them. Files in any other shape go through `JSON.parse`.
 */

/** What one index file says, by columns. */
export interface IndexColumns {
  readonly packs: number;
  /** For each pack: where its id starts in the file, and the number of its first blob. */
  readonly pack: Uint32Array;
  readonly blobs: number;
  /** For each blob: where its id starts, whether it is a tree, offset, length and uncompressed length. */
  readonly blob: Uint32Array;
}

export const PACK_COLUMNS = 2;
export const BLOB_COLUMNS = 5;
export const ID_DIGITS = 64;

/** A text of four bytes or more, as the 32-bit words at its bytes 0, 4, 8, …, the last one ending where it ends. */
interface Literal {
  readonly length: number;
  readonly words: Int32Array;
}

function literal(text: string): Literal {
  const view = new DataView(new TextEncoder().encode(text).buffer);
  const starts = Array.from({ length: Math.ceil(text.length / 4) }, (_, word) => Math.min(word * 4, text.length - 4));
  return { length: text.length, words: Int32Array.from(starts, (at) => view.getInt32(at, true)) };
}

const FILE_START: Literal = literal('{"packs":[');
const PACK_START: Literal = literal('{"id":"');
const PACK_BLOBS: Literal = literal('","blobs":[');
const BLOB_START: Literal = literal('{"id":"');
const DATA_OFFSET: Literal = literal('","type":"data","offset":');
const TREE_OFFSET: Literal = literal('","type":"tree","offset":');
const BLOB_LENGTH: Literal = literal(',"length":');
const BLOB_UNCOMPRESSED: Literal = literal(',"uncompressed_length":');

/** Fewest bytes that a pack and a blob take in a file: what the columns have room for follows from its size. */
const MIN_PACK_TEXT = 80;
const MIN_BLOB_TEXT = 100;

const COMMA = 0x2c;
const ZERO = 0x30;
const NEWLINE = 0x0a;
const CLOSE_BRACKET = 0x5d;
const CLOSE_BRACE = 0x7d;
const MAX_UINT32 = 0xffff_ffff;

/** For two characters, the first in the low byte: are both lower-case hex digits? */
const IS_HEX_PAIR: Uint8Array = new Uint8Array(2 ** 16);
for (const first of '0123456789abcdef') {
  for (const second of '0123456789abcdef') IS_HEX_PAIR[first.charCodeAt(0) | (second.charCodeAt(0) << 8)] = 1;
}

class Scanner {
  readonly #view: DataView;
  readonly #end: number;
  #at = 0;
  /** False from the first byte on that is not where restic has it. */
  ok = true;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.byteLength;
  }

  get atEnd(): boolean {
    return this.#at === this.#end;
  }

  /** Steps over the character `code` if it comes next. */
  take(code: number): boolean {
    if (this.#at >= this.#end || this.#view.getUint8(this.#at) !== code) return false;
    this.#at++;
    return true;
  }

  /** Steps over `text` if it comes next. */
  takeText({ length, words }: Literal): boolean {
    const view = this.#view;
    const at = this.#at;
    if (at + length > this.#end) return false;
    const last = words.length - 1;
    for (let word = 0; word < last; word++) {
      if (view.getInt32(at + word * 4, true) !== words[word]) return false;
    }
    if (view.getInt32(at + length - 4, true) !== words[last]) return false;
    this.#at = at + length;
    return true;
  }

  expect(text: Literal): void {
    if (!this.takeText(text)) this.ok = false;
  }

  /** Steps over an id and says where it starts. */
  id(): number {
    const view = this.#view;
    const start = this.#at;
    const end = start + ID_DIGITS;
    if (end > this.#end) {
      this.ok = false;
      return start;
    }
    let pairs = 0;
    for (let at = start; at < end; at += 2) pairs += IS_HEX_PAIR[view.getUint16(at, true)] ?? 0;
    if (pairs !== ID_DIGITS / 2) this.ok = false;
    this.#at = end;
    return start;
  }

  /** An integer below 2^32, without leading zeros. */
  uint32(): number {
    const view = this.#view;
    const start = this.#at;
    const limit = Math.min(start + 11, this.#end);
    let value = 0;
    let at = start;
    for (; at < limit; at++) {
      const digit = view.getUint8(at) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const leadingZero = at - start > 1 && view.getUint8(start) === ZERO;
    if (at === start || leadingZero || value > MAX_UINT32) this.ok = false;
    this.#at = at;
    return value;
  }
}

/** Scans a whole index file; undefined when it is not in restic's shape. */
export function scanIndex(bytes: Uint8Array): IndexColumns | undefined {
  if (bytes.length > MAX_UINT32) return undefined;
  const scanner = new Scanner(bytes);
  const pack = new Uint32Array(PACK_COLUMNS * Math.ceil(bytes.length / MIN_PACK_TEXT));
  const blob = new Uint32Array(BLOB_COLUMNS * Math.ceil(bytes.length / MIN_BLOB_TEXT));
  let packs = 0;
  let blobs = 0;
  scanner.expect(FILE_START);
  if (!scanner.take(CLOSE_BRACKET)) {
    do {
      scanner.expect(PACK_START);
      pack[packs * PACK_COLUMNS] = scanner.id();
      pack[packs * PACK_COLUMNS + 1] = blobs;
      packs++;
      scanner.expect(PACK_BLOBS);
      if (!scanner.take(CLOSE_BRACKET)) {
        do scanBlob(scanner, blob, blobs++ * BLOB_COLUMNS);
        while (scanner.ok && scanner.take(COMMA));
        scanner.ok &&= scanner.take(CLOSE_BRACKET);
      }
      scanner.ok &&= scanner.take(CLOSE_BRACE);
    } while (scanner.ok && scanner.take(COMMA));
    scanner.ok &&= scanner.take(CLOSE_BRACKET);
  }
  scanner.ok &&= scanner.take(CLOSE_BRACE);
  scanner.take(NEWLINE);
  return scanner.ok && scanner.atEnd ? { packs, pack, blobs, blob } : undefined;
}

function scanBlob(scanner: Scanner, blob: Uint32Array, at: number): void {
  scanner.expect(BLOB_START);
  blob[at] = scanner.id();
  const data = scanner.takeText(DATA_OFFSET);
  if (!data) scanner.expect(TREE_OFFSET);
  blob[at + 1] = data ? 0 : 1;
  blob[at + 2] = scanner.uint32();
  scanner.expect(BLOB_LENGTH);
  blob[at + 3] = scanner.uint32();
  blob[at + 4] = scanner.takeText(BLOB_UNCOMPRESSED) ? scanner.uint32() : 0;
  scanner.ok &&= scanner.take(CLOSE_BRACE);
}
