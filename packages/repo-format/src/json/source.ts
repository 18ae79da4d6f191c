/**
 * Reading JSON, and getting at the source text of its values: `JSON.parse` keeps neither integers above 2^53 nor the
 * exact text of values that are to be passed through.
 */
import { EngineError } from '../errors.ts';

/** V8's limit for the length of a string, which JSON has to become. */
const MAX_TEXT_BYTES = 0x1fffffe8;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** A JSON document: the value `JSON.parse` makes of it, and its text. */
export interface JsonDocument {
  readonly text: string;
  readonly value: unknown;
}

/**
 * Reads a JSON document; `bytes` stays the caller's. Bytes that are not UTF-8 count as U+FFFD, as in Go. Throws
 * `corrupt` for what is not JSON, and `too-large` for more than 512 MiB.
 */
export function parseJson(bytes: Uint8Array): JsonDocument {
  if (bytes.length > MAX_TEXT_BYTES) {
    throw new EngineError('too-large', 'a JSON document is too large', { bytes: bytes.length });
  }
  const text = decoder.decode(bytes);
  try {
    const value: unknown = JSON.parse(text);
    return { text, value };
  } catch (cause) {
    throw new EngineError('corrupt', 'not valid JSON', { bytes: bytes.length }, { cause });
  }
}

/**
 * The members of an object: key → JSON text of the value, the last of equal keys as `JSON.parse` has it. `text` must be
 * an object that `JSON.parse` accepts.
 */
export function rawMembers(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = nextToken(text, text.indexOf('{') + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = skipString(text, at);
    const key = text.slice(at + 1, keyEnd - 1);
    const start = nextToken(text, nextToken(text, keyEnd) + 1);
    const end = skipValue(text, start);
    members.set(key.includes('\\') ? String(JSON.parse(`"${key}"`)) : key, text.slice(start, end));
    at = nextToken(text, end);
    if (text.charCodeAt(at) === COMMA) at = nextToken(text, at + 1);
  }
  return members;
}

/** The JSON text of each element of an array. `text` must be an array that `JSON.parse` accepts. */
export function rawElements(text: string): string[] {
  const elements: string[] = [];
  let at = nextToken(text, text.indexOf('[') + 1);
  while (at < text.length && text.charCodeAt(at) !== CLOSE_BRACKET) {
    const end = skipValue(text, at);
    elements.push(text.slice(at, end));
    at = nextToken(text, end);
    if (text.charCodeAt(at) === COMMA) at = nextToken(text, at + 1);
  }
  return elements;
}

function nextToken(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** The end of the value that starts at `from`. Nesting is counted, not recursed into: it may be a million levels deep. */
function skipValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = skipString(text, at);
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth++;
      at++;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      depth--;
      at++;
    } else at = depth > 0 ? at + 1 : skipScalar(text, at);
    if (depth === 0) return at;
  }
  return at;
}

function skipScalar(text: string, from: number): number {
  let at = from;
  while (at < text.length && !endsScalar(text.charCodeAt(at))) at++;
  return at;
}

function endsScalar(code: number): boolean {
  return code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || isSpace(code);
}

function skipString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    at += code === BACKSLASH ? 2 : 1;
  }
  return at;
}

const SPACE_OR_HTML = /[\s<>&\u2028\u2029]/;

/** JSON text as Go passes it through: without white space, with `<`, `>`, `&`, U+2028 and U+2029 escaped. */
export function compactJson(text: string): string {
  if (!SPACE_OR_HTML.test(text)) return text;
  let compact = '';
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    const end = code === QUOTE ? skipString(text, at) : at + 1;
    if (!isSpace(code)) compact += text.slice(at, end);
    at = end;
  }
  return compact.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
