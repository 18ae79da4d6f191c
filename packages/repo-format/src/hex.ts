/** Bytes as lower-case hex digits. */

const DIGITS = '0123456789abcdef';
const PAIRS: readonly string[] = Array.from(DIGITS, (high) => Array.from(DIGITS, (low) => high + low)).flat();

/** Two digits for each byte. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += PAIRS[byte];
  return text;
}

/** Writes the bytes that the hex digits `text` stand for to `target`, from `at` on. */
export function writeHex(text: string, target: Uint8Array, at: number): void {
  for (let index = 0; index < text.length; index += 2) {
    target[at + index / 2] = Number.parseInt(text.slice(index, index + 2), 16);
  }
}
