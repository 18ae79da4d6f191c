import { degree, POLYNOMIAL_DEGREE } from '../polynomial.ts';

/** Bytes the fingerprint looks back on. */
export const WINDOW_SIZE = 64;

/** What decides where Rabin chunks end. */
export interface ChunkerParameters {
  /** Irreducible polynomial over GF(2) of degree 53; bit i is the coefficient of x^i. One per repository. */
  readonly polynomial: bigint;
  /** Bytes, at least 64. */
  readonly minSize: number;
  /** Bytes, at least `minSize`. */
  readonly maxSize: number;
  /** Low bits of the fingerprint that must be zero, 1 to 31: a cut every 2^averageBits bytes on average past `minSize`. */
  readonly averageBits: number;
}

/** The sizes restic uses in every repository: 512 KiB, 8 MiB, and 1 MiB on average past the minimum. */
export const RESTIC_SIZES: {
  readonly minSize: 524288;
  readonly maxSize: 8388608;
  readonly averageBits: 20;
} = { minSize: 524288, maxSize: 8388608, averageBits: 20 };

/** Throws `RangeError` unless the parameters are as their fields describe. Irreducibility is not tested again here. */
export function checkParameters(parameters: ChunkerParameters): void {
  const { polynomial, minSize, maxSize, averageBits } = parameters;
  if (polynomial < 0n || degree(polynomial) !== POLYNOMIAL_DEGREE) {
    throw new RangeError(`polynomial must have degree ${POLYNOMIAL_DEGREE}`);
  }
  if (!Number.isSafeInteger(minSize) || minSize < WINDOW_SIZE) {
    throw new RangeError(`minSize must be an integer of at least ${WINDOW_SIZE}`);
  }
  if (!Number.isSafeInteger(maxSize) || maxSize < minSize) {
    throw new RangeError('maxSize must be an integer of at least minSize');
  }
  if (!Number.isInteger(averageBits) || averageBits < 1 || averageBits > 31) {
    throw new RangeError('averageBits must be an integer from 1 to 31');
  }
}
