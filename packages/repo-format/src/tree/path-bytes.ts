/**
 * File names between bytes and strings. A name is any run of bytes; the ones that are not UTF-8 are kept as lone low
 * surrogates U+DC80…U+DCFF, one for each byte (PEP 383), so every name survives and ordinary names are ordinary strings.
 */

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

/** Added to a byte of 0x80…0xff it gives the surrogate that stands for it. */
const ESCAPE = 0xdc00;

const LONE_SURROGATE = /[\ud800-\udfff]/gu;

/** A name as a string. `bytes` stays the caller's. Never fails. */
export function pathFromBytes(bytes: Uint8Array): string {
  const text = decoder.decode(bytes);
  // The decoder puts U+FFFD where bytes are invalid, but the name may also contain U+FFFD itself.
  return text.includes('\ufffd') ? fromMixedBytes(bytes) : text;
}

/**
 * The bytes of a name; the caller owns them. A lone surrogate outside U+DC80…U+DCFF, which no call of
 * {@link pathFromBytes} returns, becomes the three bytes of its generalized UTF-8.
 */
export function pathToBytes(text: string): Uint8Array<ArrayBuffer> {
  if (text.isWellFormed()) return encoder.encode(text);
  const bytes = new Uint8Array(text.length * 3);
  let end = 0;
  let next = 0;
  for (const { index } of text.matchAll(LONE_SURROGATE)) {
    end += encoder.encodeInto(text.slice(next, index), bytes.subarray(end)).written;
    end = writeSurrogate(bytes, end, text.charCodeAt(index));
    next = index + 1;
  }
  end += encoder.encodeInto(text.slice(next), bytes.subarray(end)).written;
  return bytes.slice(0, end);
}

/** The one string of the bytes that `text` stands for: escapes that together are valid UTF-8 become that text. */
export function normalizePath(text: string): string {
  return text.isWellFormed() ? text : pathFromBytes(pathToBytes(text));
}

/** The string that stands for one byte of 0x80…0xff outside valid UTF-8. */
export function escapeByte(byte: number): string {
  return String.fromCharCode(ESCAPE + byte);
}

/** The byte that an escape U+DC80…U+DCFF stands for, or undefined for every other code unit. */
export function escapedByte(codeUnit: number): number | undefined {
  return codeUnit >= ESCAPE + 0x80 && codeUnit <= ESCAPE + 0xff ? codeUnit - ESCAPE : undefined;
}

/**
 * Orders names by their bytes, as trees are ordered. JavaScript's own comparison goes by UTF-16 code units and differs
 * for characters beyond U+FFFF and for bytes that are not UTF-8.
 */
export function compareNames(a: string, b: string): number {
  const common = Math.min(a.length, b.length);
  let at = 0;
  while (at < common && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  const unitA = at < a.length ? a.charCodeAt(at) : -1;
  const unitB = at < b.length ? b.charCodeAt(at) : -1;
  if (isSurrogate(unitA) || isSurrogate(unitB)) return compareBytes(pathToBytes(a), pathToBytes(b));
  return unitA - unitB;
}

function isSurrogate(codeUnit: number): boolean {
  return codeUnit >= 0xd800 && codeUnit <= 0xdfff;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let at = 0; at < common; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function writeSurrogate(bytes: Uint8Array, at: number, codeUnit: number): number {
  const byte = escapedByte(codeUnit);
  if (byte !== undefined) {
    bytes[at] = byte;
    return at + 1;
  }
  bytes[at] = 0xe0 | (codeUnit >> 12);
  bytes[at + 1] = 0x80 | ((codeUnit >> 6) & 0x3f);
  bytes[at + 2] = 0x80 | (codeUnit & 0x3f);
  return at + 3;
}

function fromMixedBytes(bytes: Uint8Array): string {
  let text = '';
  let valid = 0;
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    text += decoder.decode(bytes.subarray(valid, at)) + escapeByte(bytes[at] ?? 0);
    at++;
    valid = at;
  }
  return text + decoder.decode(bytes.subarray(valid));
}

/** Bytes of the well-formed UTF-8 sequence at `at` (Unicode Standard, Table 3-7), 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const second = bytes[at + 1] ?? 0;
  if (second < lowestSecond(lead) || second > highestSecond(lead)) return 0;
  for (let offset = 2; offset < length; offset++) {
    if (((bytes[at + offset] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  return length;
}

/** Above 0x80 where a smaller second byte would make an overlong form. */
function lowestSecond(lead: number): number {
  if (lead === 0xe0) return 0xa0;
  return lead === 0xf0 ? 0x90 : 0x80;
}

/** Below 0xbf where a larger second byte would make a surrogate or go beyond U+10FFFF. */
function highestSecond(lead: number): number {
  if (lead === 0xed) return 0x9f;
  return lead === 0xf4 ? 0x8f : 0xbf;
}
