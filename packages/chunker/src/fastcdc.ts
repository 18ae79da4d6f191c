import type { Cutter } from './cutter.ts';

/** Sizes of FastCDC chunks, in bytes. */
export interface FastCdcOptions {
  /** 64 to 64 MiB. */
  readonly minSize: number;
  /** 256 to 256 MiB, above `minSize`; what chunks of random data come to on average, roughly. */
  readonly averageSize: number;
  /** 1024 to 1 GiB, above `averageSize`. */
  readonly maxSize: number;
}

/** A cut looks ahead `maxSize` bytes at most; looking at this many times as much wastes a quarter at worst. */
const SLICE_FACTOR = 4;

/**
 * A cutter that runs FastCDC, from the optional peer package `fastcdc-wasm` (Node.js only).
 *
 * Faster than Rabin, but its chunks never coincide with restic's: a repository stays readable by restic, yet nothing is
 * deduplicated against what restic or {@link rabin} has stored. WebAssembly memory in use stays below about eight times
 * `maxSize`. Rejects with `RangeError` for sizes out of range, and with the runtime's error where the package is missing.
 */
export async function fastcdc(options: FastCdcOptions): Promise<Cutter> {
  checkOptions(options);
  const { minSize, averageSize, maxSize } = options;
  const { get_chunks: getChunks } = await import('fastcdc-wasm');
  const sliceSize = SLICE_FACTOR * maxSize;

  const cuts = (window: Uint8Array, final: boolean): number[] => {
    const ends: number[] = [];
    let start = 0;
    // The package looks at whole inputs only, and its memory never shrinks again: it is given slices.
    while (start < window.length && (final || start + maxSize <= window.length)) {
      const stop = Math.min(start + sliceSize, window.length);
      // A copy: the package writes its input back over the array it was given.
      const boundaries = getChunks(window.slice(start, stop), minSize, averageSize, maxSize);
      // It cuts as if the input ended with the slice: only a chunk that had its full look-ahead counts.
      const base = start;
      for (const boundary of boundaries.subarray(1)) {
        if (start + maxSize > stop && !(final && stop === window.length)) break;
        start = base + boundary;
        ends.push(start);
      }
    }
    return ends;
  };
  return { minSize, maxSize, cuts };
}

// The package answers sizes outside these bounds with a bare "RuntimeError: unreachable".
function checkOptions({ minSize, averageSize, maxSize }: FastCdcOptions): void {
  checkSize('minSize', minSize, 64, 2 ** 26);
  checkSize('averageSize', averageSize, 256, 2 ** 28);
  checkSize('maxSize', maxSize, 1024, 2 ** 30);
  if (minSize >= averageSize || averageSize >= maxSize) {
    throw new RangeError('sizes must ascend: minSize < averageSize < maxSize');
  }
}

function checkSize(name: string, size: number, least: number, most: number): void {
  if (!Number.isInteger(size) || size < least || size > most) {
    throw new RangeError(`${name} must be an integer from ${least} to ${most}`);
  }
}
