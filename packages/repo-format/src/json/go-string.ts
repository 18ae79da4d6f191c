/**
 * The two layers in which restic writes text. File names are quoted as Go's `strconv.Quote` does, without the outer
 * quotes; then, like every other string, they become JSON strings as Go's `encoding/json` writes them, with `<`, `>`
 * and `&` escaped. Trees are hashed, so both layers must match Go byte for byte.
 *
 * Strings here may hold bytes that are not UTF-8 as lone surrogates (see `tree/path-bytes.ts`).
 */
import { EngineError } from '../errors.ts';
import { escapeByte, escapedByte, normalizePath } from '../tree/path-bytes.ts';
import { isPrintableUnicode13, isPrintableUnicode15 } from './go-printable.ts';

/** What changed between Go versions; replaceable, for bytes like those of a restic built with another Go. */
export interface GoProfile {
  /** Does `strconv.Quote` keep this code point? Asked for U+0080 and above, never for surrogates. */
  readonly isPrintable: (codePoint: number) => boolean;
  /** What the JSON of a byte that is not UTF-8 looks like. */
  readonly invalidByte: string;
  /** Are backspace and form feed `\b` and `\f` in JSON, instead of `\u0008` and `\u000c`? */
  readonly shortControls: boolean;
}

/** The Go of restic 0.19 (1.25 and 1.26); the same Unicode tables came with 1.21, the short `\b` and `\f` with 1.22. */
export const GO_1_21: GoProfile = {
  isPrintable: isPrintableUnicode15,
  invalidByte: '\\ufffd',
  shortControls: true,
};

/** The Go of Debian 12's restic 0.14, and every Go before 1.21: Unicode 13. */
export const GO_1_19: GoProfile = {
  isPrintable: isPrintableUnicode13,
  invalidByte: '\\ufffd',
  shortControls: false,
};

/** Printable ASCII without `"` and `\`: what quoting leaves alone. */
const PLAIN_NAME = /^[ !#-[\]-~]*$/;
/** The same without `&`, `<` and `>`: what the JSON layer leaves alone. */
const PLAIN_JSON = /^[ !#-%'-;=?-[\]-~]*$/;
const JSON_SPECIAL = /[\p{Cc}"\\<>&\u2028\u2029\udc80-\udcff]/gu;

const LETTER_ESCAPES: ReadonlyMap<string, string> = new Map([
  ['a', '\x07'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
  ['"', '"'],
]);
const ESCAPE_LETTERS: ReadonlyMap<string, string> = new Map(
  [...LETTER_ESCAPES].map(([letter, char]) => [char, letter]),
);

/** A file name quoted as restic stores it, without the outer quotes and before the JSON layer. */
export function quoteGo(name: string, profile: GoProfile = GO_1_21): string {
  if (PLAIN_NAME.test(name)) return name;
  let quoted = '';
  for (const char of normalizePath(name)) quoted += quoteChar(char, profile);
  return quoted;
}

function quoteChar(char: string, profile: GoProfile): string {
  const letter = ESCAPE_LETTERS.get(char);
  if (letter !== undefined) return `\\${letter}`;
  const codePoint = char.codePointAt(0) ?? 0;
  if (codePoint < 0x80) return codePoint < 0x20 || codePoint === 0x7f ? `\\x${hex(codePoint, 2)}` : char;
  const byte = escapedByte(codePoint);
  if (byte !== undefined) return `\\x${hex(byte, 2)}`;
  if (profile.isPrintable(codePoint)) return char;
  return codePoint < 0x10000 ? `\\u${hex(codePoint, 4)}` : `\\U${hex(codePoint, 8)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

const NEEDS_UNQUOTING = /["\\\n]/;
const UNQUOTE_TOKEN =
  /(?<text>[^"\\\n]+)|\\(?:(?<letter>[abfnrtv\\"])|x(?<byte>[0-9A-Fa-f]{2})|(?<octal>[0-3][0-7]{2})|u(?<bmp>[0-9A-Fa-f]{4})|U(?<any>[0-9A-Fa-f]{8}))/y;

/**
 * The name that `text`, a JSON string's value, quotes. Surrogates in it, which only escapes of broken JSON can have
 * made, count as U+FFFD like they do in Go. Throws `corrupt` on what Go's `strconv.Unquote` refuses.
 */
export function unquoteGo(text: string): string {
  const source = text.toWellFormed();
  if (!NEEDS_UNQUOTING.test(source)) return source;
  const token = new RegExp(UNQUOTE_TOKEN);
  let name = '';
  while (token.lastIndex < source.length) {
    const groups = token.exec(source)?.groups;
    if (groups === undefined) throw badQuoting(source);
    name += groups.text ?? unquoteToken(groups, source);
  }
  // Several `\x` escapes may together be a character.
  return normalizePath(name);
}

function unquoteToken(groups: Readonly<Record<string, string | undefined>>, source: string): string {
  const { letter, byte, octal, bmp, any } = groups;
  if (letter !== undefined) return LETTER_ESCAPES.get(letter) ?? letter;
  const code = octal === undefined ? Number.parseInt(byte ?? bmp ?? any ?? '', 16) : Number.parseInt(octal, 8);
  if (bmp === undefined && any === undefined) return code < 0x80 ? String.fromCharCode(code) : escapeByte(code);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw badQuoting(source);
  return String.fromCodePoint(code);
}

function badQuoting(text: string): EngineError {
  return new EngineError('corrupt', 'a file name is not quoted as Go quotes strings', { quoted: text.slice(0, 80) });
}

/** `text` as a JSON string, quotes included, as Go's `encoding/json` writes it. */
export function encodeJsonString(text: string, profile: GoProfile = GO_1_21): string {
  if (PLAIN_JSON.test(text)) return `"${text}"`;
  return `"${normalizePath(text).replace(JSON_SPECIAL, (char) => escapeJsonChar(char, profile))}"`;
}

function escapeJsonChar(char: string, profile: GoProfile): string {
  switch (char) {
    case '"':
    case '\\':
      return `\\${char}`;
    case '\n':
      return '\\n';
    case '\r':
      return '\\r';
    case '\t':
      return '\\t';
    case '\b':
      return profile.shortControls ? '\\b' : '\\u0008';
    case '\f':
      return profile.shortControls ? '\\f' : '\\u000c';
  }
  const codeUnit = char.charCodeAt(0);
  if (escapedByte(codeUnit) !== undefined) return profile.invalidByte;
  // DEL and the C1 controls are not special in JSON.
  return codeUnit >= 0x7f && codeUnit <= 0x9f ? char : `\\u${hex(codeUnit, 4)}`;
}
