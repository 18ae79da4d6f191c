import * as fc from 'fast-check';
import { get_chunks } from 'fastcdc-wasm';
import { describe, expect, it } from 'vitest';
import { chunks, fastcdc } from '../src/index.ts';
import { BOXED, lengths, mixedBytes, noise } from './inputs.ts';

const OPTIONS = { minSize: 256, averageSize: 1024, maxSize: 4096 };

/** Boundaries of the whole input in one call, as the package defines them. */
function whole(bytes: Uint8Array): number[] {
  return [...get_chunks(bytes.slice(), OPTIONS.minSize, OPTIONS.averageSize, OPTIONS.maxSize)].slice(1);
}

describe('fastcdc', () => {
  it('cuts a long input as the package cuts it in one piece', async () => {
    const cutter = await fastcdc(OPTIONS);
    fc.assert(
      fc.property(mixedBytes(5, 30_000), (bytes) => {
        expect(cutter.cuts(bytes, true)).toEqual(whole(bytes));
      }),
      BOXED,
    );
  });

  it('tells only of chunks that end there whatever follows', async () => {
    const cutter = await fastcdc(OPTIONS);
    const bytes = noise('fastcdc', 100_000);
    const expected = whole(bytes);
    for (let length = 0; length < 12_000; length += 97) {
      const ends = cutter.cuts(bytes.subarray(0, length), false);
      expect(ends).toEqual(expected.slice(0, ends.length));
      expect(length - (ends.at(-1) ?? 0)).toBeLessThan(OPTIONS.maxSize);
    }
  });

  it('cuts a stream like the whole', async () => {
    const bytes = noise('fastcdc stream', 100_000);
    const sizes: number[] = [];
    for await (const chunk of chunks([bytes.subarray(0, 12_345), bytes.subarray(12_345)], await fastcdc(OPTIONS))) {
      sizes.push(chunk.length);
    }
    expect(sizes).toEqual(lengths(whole(bytes)));
  });

  it("leaves the caller's bytes alone", async () => {
    const cutter = await fastcdc(OPTIONS);
    const bytes = noise('read only', 50_000);
    const set = () => {
      throw new Error('written to');
    };
    Object.defineProperty(bytes, 'set', { value: set });
    expect(cutter.cuts(bytes, true).at(-1)).toBe(50_000);
  });

  it.each([
    { minSize: 63 },
    { minSize: 1024 },
    { averageSize: 255.5 },
    { averageSize: 4096 },
    { maxSize: 1023 },
    { maxSize: 2 ** 30 + 1 },
  ])('refuses %j', async (change) => {
    await expect(fastcdc({ ...OPTIONS, ...change })).rejects.toThrow(RangeError);
  });
});
