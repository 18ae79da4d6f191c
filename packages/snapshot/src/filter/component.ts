/**
 * One component of a pattern, compiled: the language of Go's `filepath.Match` (restic manual, "Excluding Files").
 *
 * Go matches bytes and decodes UTF-8 only where `?` or a class needs a character, so patterns and names come here as
 * byte strings: one UTF-16 unit, 0 to 255, for each byte. ASCII text is its own byte string.
 */
import { EngineError, pathToBytes } from '@restic-engine/repo-format';

/** Does a byte string without `/` match? */
export type ComponentMatcher = (name: string) => boolean;

/** What is known of a component beside its matcher; patterns are indexed by it. */
export interface Component {
  readonly matches: ComponentMatcher;
  /** The only name that matches, where there is only one. */
  readonly literal?: string;
  /** What every matching name ends with, for `*` followed by plain text. */
  readonly suffix?: string;
}

interface ClassItem {
  readonly negated: boolean;
  /** Pairs of first and last code point. */
  readonly ranges: readonly number[];
}

/** Plain bytes, `?`, or a class. */
type Item = string | null | ClassItem;

/** A run of items; `star`: anything may stand before it. */
interface Chunk {
  readonly star: boolean;
  readonly items: readonly Item[];
}

const NOT_ASCII = /[\u0080-\uffff]/;
const REPLACEMENT = 0xfffd;
const BYTES_AT_ONCE = 8192;

/** `text`, which may hold PEP 383 surrogates, as a byte string. */
export function byteString(text: string): string {
  if (!NOT_ASCII.test(text)) return text;
  const bytes = pathToBytes(text);
  let out = '';
  for (let at = 0; at < bytes.length; at += BYTES_AT_ONCE) {
    out += String.fromCharCode(...bytes.subarray(at, at + BYTES_AT_ONCE));
  }
  return out;
}

/**
 * Compiles one component, a byte string without `/`.
 * Throws `bad-request` for an unfinished class or escape; `pattern` is named in the message.
 */
export function compileComponent(source: string, pattern: string): Component {
  const chunks = new ComponentParser(source, pattern).parse();
  return compileSimple(chunks) ?? { matches: (name) => matchChunks(chunks, name) };
}

/** The usual shapes, plain text with a star at most, without the general matcher. */
function compileSimple(chunks: readonly Chunk[]): Component | undefined {
  const [first = { star: false, items: [] }, second] = chunks;
  if (chunks.length > 2 || (first.star && chunks.length > 1)) return undefined;
  const head = first.star ? '' : plainText(first);
  const tail = plainText(first.star ? first : second);
  if (chunks.length === 1 && !first.star) {
    return head === undefined ? undefined : { literal: head, matches: (name) => name === head };
  }
  if (head === undefined || tail === undefined) return undefined;
  if (first.star) return { suffix: tail, matches: tail === '' ? () => true : (name) => name.endsWith(tail) };
  const shortest = head.length + tail.length;
  if (tail === '') return { matches: (name) => name.startsWith(head) };
  return { matches: (name) => name.length >= shortest && name.startsWith(head) && name.endsWith(tail) };
}

function plainText(chunk: Chunk | undefined): string | undefined {
  if (chunk === undefined) return undefined;
  const [item = '', ...more] = chunk.items;
  return typeof item === 'string' && more.length === 0 ? item : undefined;
}

/** Leftmost match for each chunk in turn; a star lets every later choice be made again, so no other can be better. */
function matchChunks(chunks: readonly Chunk[], name: string): boolean {
  let at = 0;
  for (const [index, chunk] of chunks.entries()) {
    const last = index === chunks.length - 1;
    if (last && chunk.star && chunk.items.length === 0) return true;
    const furthest = chunk.star ? name.length : at;
    let end = -1;
    for (let start = at; start <= furthest; start++) {
      const stop = matchItems(chunk.items, name, start);
      if (stop >= 0 && (!last || stop === name.length)) {
        end = stop;
        break;
      }
    }
    if (end < 0) return false;
    at = end;
  }
  return at === name.length;
}

/** The end of the match at `start`, or -1. */
function matchItems(items: readonly Item[], name: string, start: number): number {
  let at = start;
  for (const item of items) {
    if (typeof item === 'string') {
      if (!name.startsWith(item, at)) return -1;
      at += item.length;
      continue;
    }
    if (at >= name.length) return -1;
    if (item === null) {
      at += runeAt(name, at).width;
      continue;
    }
    const { rune, width } = runeAt(name, at);
    if (inClass(item, rune) === item.negated) return -1;
    at += width;
  }
  return at;
}

function inClass(item: ClassItem, rune: number): boolean {
  for (let i = 0; i < item.ranges.length; i += 2) {
    if (rune >= (item.ranges[i] ?? 0) && rune <= (item.ranges[i + 1] ?? -1)) return true;
  }
  return false;
}

/** Smallest code point that needs this many bytes; shorter forms are overlong. */
const SMALLEST = [0, 0, 0x80, 0x800, 0x10000];

/** Decodes the UTF-8 character at `at`; a byte that starts none counts as U+FFFD of one byte, as in Go. */
function runeAt(bytes: string, at: number): { rune: number; width: number } {
  const lead = bytes.charCodeAt(at);
  if (lead < 0x80) return { rune: lead, width: 1 };
  const invalid = { rune: REPLACEMENT, width: 1 };
  const width = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || at + width > bytes.length) return invalid;
  let rune = lead & (0x7f >> width);
  for (let i = 1; i < width; i++) {
    const byte = bytes.charCodeAt(at + i);
    if ((byte & 0xc0) !== 0x80) return invalid;
    rune = rune * 64 + (byte & 0x3f);
  }
  const surrogate = rune >= 0xd800 && rune <= 0xdfff;
  return rune < (SMALLEST[width] ?? 0) || surrogate || rune > 0x10ffff ? invalid : { rune, width };
}

class ComponentParser {
  readonly #source: string;
  readonly #pattern: string;
  #at = 0;

  constructor(source: string, pattern: string) {
    this.#source = source;
    this.#pattern = pattern;
  }

  parse(): Chunk[] {
    const chunks: Chunk[] = [];
    while (this.#at < this.#source.length) {
      const from = this.#at;
      while (this.#source[this.#at] === '*') this.#at++;
      chunks.push({ star: this.#at > from, items: this.#items() });
    }
    return chunks;
  }

  #items(): Item[] {
    const items: Item[] = [];
    let text = '';
    const add = (item: Item): void => {
      if (text !== '') items.push(text);
      text = '';
      if (item !== '') items.push(item);
    };
    for (let char = this.#source[this.#at]; char !== undefined && char !== '*'; char = this.#source[this.#at]) {
      this.#at++;
      if (char === '?') add(null);
      else if (char === '[') add(this.#class());
      else if (char === '\\') text += this.#next();
      else text += char;
    }
    add('');
    return items;
  }

  #class(): ClassItem {
    const negated = this.#source[this.#at] === '^';
    if (negated) this.#at++;
    const ranges: number[] = [];
    while (ranges.length === 0 || this.#source[this.#at] !== ']') {
      const low = this.#member();
      let high = low;
      if (this.#source[this.#at] === '-') {
        this.#at++;
        high = this.#member();
      }
      ranges.push(low, high);
    }
    this.#at++;
    return { negated, ranges };
  }

  /** One code point inside a class. */
  #member(): number {
    const char = this.#source[this.#at];
    if (char === undefined || char === '-' || char === ']') throw this.#bad();
    if (char === '\\') this.#at++;
    if (this.#at >= this.#source.length) throw this.#bad();
    const { rune, width } = runeAt(this.#source, this.#at);
    if (rune === REPLACEMENT && width === 1) throw this.#bad();
    this.#at += width;
    return rune;
  }

  #next(): string {
    const char = this.#source[this.#at++];
    if (char === undefined) throw this.#bad();
    return char;
  }

  #bad(): EngineError {
    return new EngineError('bad-request', `invalid pattern: ${this.#pattern}`, { pattern: this.#pattern });
  }
}
