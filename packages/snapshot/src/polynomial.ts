/** The polynomial of a repository, as its config has it. */
import { formatPolynomial, generatePolynomial, isIrreducible, parsePolynomial } from '@restic-engine/chunker';

/** Can contents be cut with it? Hex digits of an irreducible polynomial of degree 53, restic demands. */
export function isUsablePolynomial(polynomial: string): boolean {
  try {
    const parsed = parsePolynomial(polynomial);
    return parsed >> 53n === 1n && isIrreducible(parsed);
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** A new one by chance, as in a config. */
export function randomPolynomial(): string {
  return formatPolynomial(generatePolynomial((length) => globalThis.crypto.getRandomValues(new Uint8Array(length))));
}
