/**
 * Reads a listing as it arrives: restic documentation, "REST Backend", `GET {path}/{type}/`, version 2
 * (`[{"name":"…","size":1},…]`) and version 1 (`["…",…]`). Only what is between two elements is looked for here; the
 * elements are read by `JSON.parse`, many at a time.
 */
import { EngineError, isId } from '@restic-engine/repo-format';

/** A listed file; version 1 of the protocol names no sizes. */
export interface Entry {
  readonly name: string;
  readonly size: number | undefined;
}

/** Far longer than an element of a sound listing. */
const MAX_ELEMENT = 64 * 1024;

/** Enough of the start to see that it is not one. */
const MAX_START = 16;
const NOTHING = 'null';

/** Tab, line feed, carriage return, space: RFC 8259 §2. */
const BLANK: ReadonlySet<number> = new Set([0x09, 0x0a, 0x0d, 0x20]);
const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The entries of `chunks` whose names are ids, some at a time, in memory that depends on the size of the chunks only.
 * Rejects with `corrupt` for what is no listing, and with `io` for one that ends too early.
 */
export async function* parseListing(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Entry[]> {
  const splitter = new Splitter();
  for await (const chunk of chunks) {
    const entries = splitter.push(chunk);
    if (entries.length > 0) yield entries;
  }
  splitter.end();
}

class Splitter {
  /** `start`: nothing but white space has come; `end`: the list is closed. */
  #stage: 'start' | 'list' | 'end' = 'start';
  /** What is not parsed yet; in the list it was looked at to its end, and the three states below hold there. */
  #rest: Uint8Array = new Uint8Array();
  /** Open brackets and braces within the list. */
  #depth = 0;
  #inText = false;
  #escaped = false;
  /** No element has come yet. */
  #first = true;

  push(chunk: Uint8Array): Entry[] {
    if (this.#stage === 'list') return this.#elements(chunk);
    if (this.#stage === 'end') {
      if (!isBlank(chunk, 0)) throw notAListing('something follows it');
      return [];
    }
    const bytes = this.#joined(chunk);
    const start = skipBlank(bytes, 0);
    if (bytes[start] === OPEN_LIST) {
      this.#stage = 'list';
      this.#rest = new Uint8Array();
      return this.#elements(bytes.subarray(start + 1));
    }
    // What Go makes of a list that was never filled. White space is not kept: there may be any amount of it.
    const text = textOf(bytes.subarray(start, start + MAX_START)).trimEnd();
    if (!NOTHING.startsWith(text)) throw notAListing('it does not start as one');
    this.#rest = Buffer.from(text);
    return [];
  }

  end(): void {
    const nothing = this.#stage === 'start' && textOf(this.#rest) === NOTHING;
    if (this.#stage !== 'end' && !nothing) throw new EngineError('io', 'the listing of the server ends too early');
  }

  /** Parses up to the last comma between two elements, or to the end of the list. */
  #elements(chunk: Uint8Array): Entry[] {
    const bytes = this.#joined(chunk);
    const { comma, close } = this.#scan(bytes, this.#rest.length);
    const end = close ?? comma;
    // A copy: the chunk is part of a buffer that may be used again.
    this.#rest =
      close === undefined ? new Uint8Array(bytes.subarray(end === undefined ? 0 : end + 1)) : new Uint8Array();
    if (this.#rest.length > MAX_ELEMENT) throw notAListing('one of its elements is far too long');
    if (end === undefined) return [];
    if (close !== undefined) {
      this.#stage = 'end';
      if (!isBlank(bytes, close + 1)) throw notAListing('something follows it');
    }
    const blank = isBlank(bytes.subarray(0, end), 0);
    if (blank && close !== undefined && this.#first) return [];
    if (blank) throw notAListing('an element is missing');
    this.#first = false;
    return entriesOf(textOf(bytes.subarray(0, end)));
  }

  /** Looks at the bytes from `at`; says where the list is closed, or else where the last comma between elements is. */
  #scan(bytes: Uint8Array, at: number): { readonly comma: number | undefined; readonly close: number | undefined } {
    let comma: number | undefined;
    for (let index = at; index < bytes.length; index += 1) {
      const byte = bytes[index];
      if (this.#inText) this.#passText(byte);
      else if (byte === QUOTE) this.#inText = true;
      else if (byte === COMMA && this.#depth === 0) comma = index;
      else if (byte === OPEN_OBJECT || byte === OPEN_LIST) this.#depth += 1;
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        if (this.#depth === 0 && byte === CLOSE_LIST) return { comma, close: index };
        if (this.#depth === 0) throw notAListing('it is not JSON');
        this.#depth -= 1;
      }
    }
    return { comma, close: undefined };
  }

  #passText(byte: number | undefined): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === BACKSLASH) this.#escaped = true;
    else if (byte === QUOTE) this.#inText = false;
  }

  #joined(chunk: Uint8Array): Uint8Array {
    return this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
  }
}

/** The entries of some elements and the commas between them. */
function entriesOf(text: string): Entry[] {
  const elements = parsed(`[${text}]`);
  const entries: Entry[] = [];
  for (const element of elements) {
    const name: unknown = typeof element === 'object' && element !== null && 'name' in element ? element.name : element;
    if (typeof name !== 'string') throw notAListing('an element has no name');
    if (isId(name)) entries.push({ name, size: sizeOf(element) });
  }
  return entries;
}

function sizeOf(element: unknown): number | undefined {
  if (typeof element === 'string') return undefined;
  const size: unknown = typeof element === 'object' && element !== null && 'size' in element ? element.size : undefined;
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 0) return size;
  throw notAListing('a size is not a whole number of bytes');
}

function parsed(text: string): unknown[] {
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list)) return list;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw notAListing('it is not JSON');
}

function notAListing(what: string): EngineError {
  return new EngineError('corrupt', `the server answers with no listing: ${what}`);
}

function skipBlank(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && BLANK.has(bytes[at] ?? 0)) at += 1;
  return at;
}

function isBlank(bytes: Uint8Array, from: number): boolean {
  return skipBlank(bytes, from) === bytes.length;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
