/** Sizes as people write them on a command line. */
import { InvalidValue } from '../failure.ts';

const SHAPE = /^(\d+(?:\.\d+)?)([bkmgt]?)$/i;
const FACTORS: Readonly<Record<string, number>> = { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** `100`, `64k`, `1.5G` in bytes; suffixes are powers of 1024. */
export function parseSize(text: string): number {
  const [, digits, suffix] = SHAPE.exec(text.trim()) ?? [];
  const factor = FACTORS[suffix?.toLowerCase() ?? 'none'];
  const bytes = Math.floor(Number(digits) * (factor ?? Number.NaN));
  if (!Number.isSafeInteger(bytes)) throw new InvalidValue(`invalid size "${text}" (for example 500, 64k, 1.5G)`);
  return bytes;
}

const PERCENTAGE = /^\+?((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)%$/i;

/** `5%`, `2.5%`, `.5%`, `5e-1%`; undefined for what is no percentage. */
export function parsePercentage(text: string): number | undefined {
  const [, digits] = PERCENTAGE.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** A whole number ≥ `least`. */
export function parseCount(text: string, least = 0): number {
  const value = /^[-+]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least) {
    throw new InvalidValue(`invalid number "${text}", it must be a whole number of at least ${least}`);
  }
  return value;
}
