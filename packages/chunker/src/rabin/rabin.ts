import { type Cutter, type FindEnd, sizedCutter } from '../cutter.ts';
import { POLYNOMIAL_DEGREE, remainder } from '../polynomial.ts';
import { type ChunkerParameters, checkParameters, WINDOW_SIZE } from './parameters.ts';
import { rabinReference } from './rabin.reference.ts';
import { instantiateRabin, type RabinKernel } from './wasm.ts';

// The kernel's memory, see rabin.wat.
const LANES = 16;
const PLANES = 7;
const TABLES = 0;
const MASKS = 448;
const INPUT = 4096;

/** Fingerprint bits in the three lowest planes of the kernel, all it looks at. */
const MAX_KERNEL_BITS = 21;

/**
 * Bytes of a lane in one scan. Sixteen lanes stay well inside a processor's level-2 cache; not a multiple of 4096, or all
 * lanes would compete for the same few lines of the level-1 cache.
 */
const MAX_LANE = 4032;

/**
 * Cuts as restic does, with the fastest kernel this platform has.
 *
 * A cutter holds 128 KiB of WebAssembly memory: make one per repository and thread, not one per file.
 * Throws `RangeError` for parameters out of range. Where WebAssembly with SIMD is missing, the cuts are the same and slower.
 */
export function rabin(parameters: ChunkerParameters): Cutter {
  checkParameters(parameters);
  const kernel = parameters.averageBits <= MAX_KERNEL_BITS ? instantiateRabin() : undefined;
  return kernel === undefined ? rabinReference(parameters) : kernelCutter(kernel, parameters);
}

/** A cutter on this kernel instance, whose memory is from now on the cutter's; `averageBits` is 21 at most. */
export function kernelCutter(kernel: RabinKernel, parameters: ChunkerParameters): Cutter {
  const { polynomial, minSize, maxSize, averageBits } = parameters;
  kernel.memory.set(kernelTables(polynomial), TABLES);
  kernel.memory.set(kernelMasks(averageBits), MASKS);
  return sizedCutter(minSize, maxSize, kernelFindEnd(kernel, averageBits));
}

function kernelFindEnd(kernel: RabinKernel, averageBits: number): FindEnd {
  const { memory, scan } = kernel;
  // A scan goes through all of its bytes before the earliest candidate is known, so it should be short beside the mean
  // distance of candidates, 2^averageBits.
  const usualLane = Math.max(WINDOW_SIZE, Math.min(MAX_LANE, (2 ** averageBits) >> 8));
  return (window, from, limit) => {
    // The chunk may end after byte from - 1 at the earliest: that is the first byte to test.
    for (let first = from - 1; first < limit; first += LANES * usualLane) {
      const lane = Math.min(usualLane, Math.ceil((limit - first) / 256) * 16);
      // 64 bytes before it fill the kernel's window. The very first of them is out of the window when the test comes, so
      // it may be missing at the start of the input.
      const start = Math.max(0, first - WINDOW_SIZE);
      const bytes = window.subarray(start, Math.min(first + LANES * lane, limit));
      memory.set(bytes, INPUT + WINDOW_SIZE - (first - start));
      const found = scan(lane);
      // Behind the limit the kernel has read leftovers of earlier scans.
      if (found >= 0 && first + found < limit) return first + found + 1;
    }
    return -1;
  };
}

/** Per plane: what the low and high nibble of the byte that leaves G, then of the byte that leaves the window, contribute. */
function kernelTables(polynomial: bigint): Uint8Array {
  const overflow = remainder(1n << BigInt(POLYNOMIAL_DEGREE), polynomial);
  const oldest = remainder(1n << BigInt(8 * WINDOW_SIZE), polynomial);
  const tables = new Uint8Array(PLANES * 4 * 16);
  for (const [table, factor] of [overflow, overflow << 4n, oldest, oldest << 4n].entries()) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let sum = 0n;
      for (let bit = 0; bit < 4; bit++) if ((nibble >> bit) & 1) sum ^= factor << BigInt(bit);
      const scaled = remainder(sum, polynomial) << 3n;
      for (let plane = 0; plane < PLANES; plane++) {
        tables[plane * 64 + table * 16 + nibble] = Number(BigInt.asUintN(8, scaled >> BigInt(8 * plane)));
      }
    }
  }
  return tables;
}

/** The `averageBits` low bits of F as bits of the three lowest planes of G = F * x^3, repeated for every lane. */
function kernelMasks(averageBits: number): Uint8Array {
  const mask = (2 ** averageBits - 1) << 3;
  const masks = new Uint8Array(3 * LANES);
  for (let plane = 0; plane < 3; plane++) masks.fill((mask >> (8 * plane)) & 0xff, plane * LANES, (plane + 1) * LANES);
  return masks;
}
