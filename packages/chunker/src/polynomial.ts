// Polynomials over GF(2); bit i of the bigint is the coefficient of x^i. Used when a repository is made or opened, so
// clarity counts here and speed does not.

/** Degree of every chunker polynomial: a repository stores numbers of 54 bits. */
export const POLYNOMIAL_DEGREE = 53;

/** Tries before a source of randomness is called broken; about one candidate in 27 is irreducible. */
const MAX_TRIES = 10_000;

/** Degree of `p`; -1 for zero. */
export function degree(p: bigint): number {
  return p === 0n ? -1 : p.toString(2).length - 1;
}

/** `value` mod `modulus`; `modulus` is not zero. */
export function remainder(value: bigint, modulus: bigint): bigint {
  const modulusDegree = degree(modulus);
  let rest = value;
  for (let i = degree(value); i >= modulusDegree; i--) {
    if (((rest >> BigInt(i)) & 1n) === 1n) rest ^= modulus << BigInt(i - modulusDegree);
  }
  return rest;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, remainder(x, y)];
  return x;
}

/** Over GF(2) squaring only spreads the coefficients: x^i becomes x^2i. */
function square(p: bigint): bigint {
  return BigInt(`0b${Array.from(p.toString(2)).join('0')}`);
}

/**
 * Whether `p` has no factor but 1 and itself over GF(2), as a chunker polynomial must.
 *
 * Ben-Or's test: x^(2^i) - x is the product of all irreducible polynomials whose degree divides i.
 */
export function isIrreducible(p: bigint): boolean {
  const n = degree(p);
  if (p < 0n || n < 1) return false;
  let power = 2n;
  for (let i = 1; i <= n >> 1; i++) {
    power = remainder(square(power), p);
    if (greatestCommonDivisor(p, power ^ 2n) !== 1n) return false;
  }
  return true;
}

/**
 * A random irreducible polynomial of degree 53, for a new repository.
 *
 * `randomBytes(n)` returns n fresh random bytes. Throws `RangeError` when its bytes never lead to such a polynomial.
 */
export function generatePolynomial(randomBytes: (n: number) => Uint8Array): bigint {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const bytes = randomBytes(8);
    if (bytes.length !== 8) throw new RangeError(`randomBytes(8) returned ${bytes.length} bytes`);
    const number = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
    const candidate = BigInt.asUintN(POLYNOMIAL_DEGREE, number) | (1n << BigInt(POLYNOMIAL_DEGREE)) | 1n;
    if (isIrreducible(candidate)) return candidate;
  }
  throw new RangeError(`no irreducible polynomial in ${MAX_TRIES} tries: randomBytes is not random`);
}

/**
 * Reads a polynomial as a repository's config holds it: 1 to 16 hex digits.
 *
 * Throws `RangeError` for any other text. Degree and irreducibility are not judged; see {@link isIrreducible}.
 */
export function parsePolynomial(hex: string): bigint {
  if (!/^[0-9a-f]{1,16}$/i.test(hex)) throw new RangeError('a polynomial is 1 to 16 hex digits');
  return BigInt(`0x${hex}`);
}

/** Writes a polynomial as a repository's config holds it: lower-case hex digits, no leading zeros. */
export function formatPolynomial(p: bigint): string {
  return p.toString(16);
}
