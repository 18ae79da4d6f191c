import { createHash } from 'node:crypto';
import * as fc from 'fast-check';

export const POLYNOMIAL = 0x3da3358b4dc173n;
export const OTHER_POLYNOMIAL = 0x2482734cacca49n;

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Reproducible noise: SHA-256(label, u64le(i)) for i = 0, 1, 2, … */
export function noise(label: string, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(length / 32) * 32);
  const seed = Buffer.concat([Buffer.from(label, 'ascii'), Buffer.alloc(8)]);
  for (let i = 0; i * 32 < length; i++) {
    seed.writeBigUInt64LE(BigInt(i), seed.length - 8);
    bytes.set(createHash('sha256').update(seed).digest(), i * 32);
  }
  return bytes.subarray(0, length);
}

/** Noise, constants, short repeats and text, in runs of up to `maxRun` bytes. */
export function mixedBytes(maxRuns: number, maxRun: number): fc.Arbitrary<Uint8Array<ArrayBuffer>> {
  const run = fc.tuple(
    fc.oneof(
      fc.constant(new Uint8Array([0])),
      fc.uint8Array({ minLength: 1, maxLength: 1 }),
      fc.uint8Array({ minLength: 2, maxLength: 100 }),
      fc.string({ maxLength: 10 }).map((label) => noise(label, maxRun)),
    ),
    fc.integer({ min: 0, max: maxRun }),
  );
  return fc.array(run, { maxLength: maxRuns }).map((runs) => {
    const bytes = new Uint8Array(runs.reduce((sum, [, length]) => sum + length, 0));
    let at = 0;
    for (const [unit, length] of runs) {
      for (let i = 0; i < length; i++) bytes[at + i] = unit[i % unit.length] as number;
      at += length;
    }
    return bytes;
  });
}

/** A time limit for properties, so that a slow machine runs fewer cases rather than too long. */
export const BOXED = { numRuns: 300, interruptAfterTimeLimit: 2500, markInterruptAsFailure: false } as const;

export function lengths(ends: readonly number[]): number[] {
  return ends.map((end, i) => end - (ends[i - 1] ?? 0));
}
