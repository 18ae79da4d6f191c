export { chunks } from './chunks.ts';
export type { Cutter } from './cutter.ts';
export { type FastCdcOptions, fastcdc } from './fastcdc.ts';
export { formatPolynomial, generatePolynomial, isIrreducible, parsePolynomial } from './polynomial.ts';
export { type ChunkerParameters, RESTIC_SIZES } from './rabin/parameters.ts';
export { rabinReference } from './rabin/rabin.reference.ts';
export { rabin } from './rabin/rabin.ts';
