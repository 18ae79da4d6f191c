/** Names that come from elsewhere, as people can read them without harm. */

/** What Go's `strconv.IsPrint` takes for printable. */
const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;
const PRINTABLE_CHAR = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;
const SHORT: Readonly<Record<string, string>> = {
  '\u0007': String.raw`\a`,
  '\b': String.raw`\b`,
  '\f': String.raw`\f`,
  '\n': String.raw`\n`,
  '\r': String.raw`\r`,
  '\t': String.raw`\t`,
  '\v': String.raw`\v`,
  '"': String.raw`\"`,
  '\\': String.raw`\\`,
};
/** Lone surrogates that stand for bytes which are not UTF-8 (PEP 383). */
const BYTES = 0xdc00;
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** As restic: a name with anything in it that cannot be printed is put in quotes, with escapes, and no other is. */
export function quoteName(name: string): string {
  if (PRINTABLE.test(name) && !name.includes('\ufffd')) return name;
  return `"${Array.from(name, escapeChar).join('')}"`;
}

/** Text of whatever origin, without characters that would move the cursor; lines and tabs stay. */
export function withoutControls(text: string): string {
  return text.replace(CONTROLS, escapeChar);
}

function escapeChar(char: string): string {
  const short = SHORT[char];
  if (short !== undefined) return short;
  if (PRINTABLE_CHAR.test(char)) return char;
  const code = char.codePointAt(0) ?? 0;
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  if (!char.isWellFormed()) return `\\x${hex(code - BYTES, 2)}`;
  if (code < 0x80) return `\\x${hex(code, 2)}`;
  return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
}
