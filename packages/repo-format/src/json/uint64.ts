/** Unsigned 64-bit integers in JSON, exact: inode and device numbers use all 64 bits on some systems. */
import { EngineError } from '../errors.ts';
import type { Uint64 } from '../tree/node.ts';

const MAX_UINT64 = 2n ** 64n - 1n;

/**
 * A fraction or exponent that may belong to a number. `JSON.parse` hides them (`1e3`, `1.0`), Go refuses them in
 * integers. It also finds some strings; a caller then looks closer.
 */
const MAYBE_NOT_INTEGER = /\d[.eE][-+\d]*[\s,}\]]/;

/** Could a number of this JSON text be written with a fraction or an exponent? False positives are possible. */
export function mayHaveFractions(text: string): boolean {
  return MAYBE_NOT_INTEGER.test(text);
}

/** Is `value` an exact integer that needs no look at its JSON text, provided that this has no fraction or exponent? */
export function isPlainUint(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isSafeInteger(value) && !Object.is(value, -0);
}

/** The integer written as `text`, a JSON value. Throws `corrupt` for anything else, also for negative numbers. */
export function parseUint64(text: string): Uint64 {
  if (!/^\d{1,20}$/.test(text)) throw notUint64(text);
  const value = BigInt(text);
  if (value > MAX_UINT64) throw notUint64(text);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function notUint64(text: string): EngineError {
  return new EngineError('corrupt', 'not an unsigned 64-bit integer', { value: text.slice(0, 40) });
}

/** The decimal digits of `value`. Throws `RangeError` for a number that is not an exact unsigned 64-bit integer. */
export function formatUint64(value: Uint64): string {
  const fits = typeof value === 'bigint' ? value >= 0n && value <= MAX_UINT64 : isPlainUint(value);
  if (!fits) throw new RangeError(`not an exact unsigned 64-bit integer: ${value}`);
  return String(value);
}
