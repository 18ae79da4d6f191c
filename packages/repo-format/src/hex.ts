/** Bytes as lower-case hex digits. */

const DIGITS: Uint8Array = new TextEncoder().encode('0123456789abcdef');
/** Code of a hex digit → its value. */
const VALUES: Uint8Array = new Uint8Array(128);
DIGITS.forEach((code, value) => {
  VALUES[code] = value;
});

/** Two digits for each byte; for ids and the like, not for whole files. */
export function toHex(bytes: Uint8Array): string {
  const codes: number[] = [];
  for (const byte of bytes) codes.push(DIGITS[byte >> 4] ?? 0, DIGITS[byte & 15] ?? 0);
  return String.fromCharCode(...codes);
}

/** Writes the bytes that `text`, of lower-case hex digits, stands for to `target`, from `at` on. */
export function writeHex(text: string, target: Uint8Array, at: number): void {
  for (let index = 0; index < text.length; index += 2) {
    const high = VALUES[text.charCodeAt(index)] ?? 0;
    target[at + index / 2] = (high << 4) | (VALUES[text.charCodeAt(index + 1)] ?? 0);
  }
}
