import { type Cutter, sizedCutter } from '../cutter.ts';
import { POLYNOMIAL_DEGREE, remainder } from '../polynomial.ts';
import { type ChunkerParameters, checkParameters, WINDOW_SIZE } from './parameters.ts';

/** 256 values of up to 61 bits each, in two halves of 32 bits. */
interface ByteTable {
  readonly high: Int32Array;
  readonly low: Int32Array;
}

function byteTable(value: (byte: bigint) => bigint): ByteTable {
  const high = new Int32Array(256);
  const low = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const entry = value(BigInt(byte));
    high[byte] = Number(BigInt.asIntN(32, entry >> 32n));
    low[byte] = Number(BigInt.asIntN(32, entry));
  }
  return { high, low };
}

/** What a byte contributes after 63 more have followed it; adding it again takes the byte out of the window. */
export function outTable(polynomial: bigint): ByteTable {
  const power = remainder(1n << BigInt(8 * (WINDOW_SIZE - 1)), polynomial);
  return byteTable((byte) => {
    let sum = 0n;
    for (let bit = 0n; bit < 8n; bit++) if ((byte >> bit) & 1n) sum ^= power << bit;
    return remainder(sum, polynomial);
  });
}

/** What the eight bits above the degree are worth below it, with those bits themselves so that adding clears them. */
export function modTable(polynomial: bigint): ByteTable {
  return byteTable((byte) => {
    const overflow = byte << BigInt(POLYNOMIAL_DEGREE);
    return remainder(overflow, polynomial) | overflow;
  });
}

/**
 * Cuts as restic does, byte by byte, in plain JavaScript: the fast kernel's twin, and the portable path.
 *
 * The fingerprint F is the last 64 bytes as a polynomial, oldest byte first, modulo the repository's polynomial. A chunk
 * ends at the first length, from `minSize` on, at which F has `averageBits` zero low bits, or at `maxSize`.
 * Throws `RangeError` for parameters out of range.
 */
export function rabinReference(parameters: ChunkerParameters): Cutter {
  checkParameters(parameters);
  const { high: outHigh, low: outLow } = outTable(parameters.polynomial);
  const { high: modHigh, low: modLow } = modTable(parameters.polynomial);
  const mask = 2 ** parameters.averageBits - 1;

  const findEnd = (window: Uint8Array, from: number, limit: number): number => {
    // F in two halves: bits 32 to 52 and 0 to 31. Its top eight bits, 45 to 52, are those of `high` from 13 on.
    let high = 0;
    let low = 0;
    for (let at = from - WINDOW_SIZE; at < limit; at++) {
      if (at >= from) {
        const oldest = window[at - WINDOW_SIZE] ?? 0;
        high ^= outHigh[oldest] ?? 0;
        low ^= outLow[oldest] ?? 0;
      }
      const top = high >>> 13;
      high = ((high << 8) | (low >>> 24)) ^ (modHigh[top] ?? 0);
      low = ((low << 8) | (window[at] ?? 0)) ^ (modLow[top] ?? 0);
      if ((low & mask) === 0 && at >= from - 1) return at + 1;
    }
    return -1;
  };
  return sizedCutter(parameters.minSize, parameters.maxSize, findEnd);
}
