import fc from 'fast-check';
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { storeFrame } from '../src/compress/store-frame.ts';
import { compress, decompress, decompressUnknown, MAX_PLAIN_BYTES, type Compression } from '../src/compress/zstd.ts';
import { BOXED, codeOf } from './errors-of.ts';

const LEVELS: readonly Compression[] = ['off', 'fastest', 'auto', 'better', 'max'];
const TEXT = new TextEncoder().encode('restic keeps what you have '.repeat(4_000));
/** A frame of blocks that each repeat a byte 128 Ki times: as dense as zstd gets. */
const bomb = (blocks: number): Uint8Array => {
  const block = (last: number): number[] => [0x02 | last, 0x00, 0x10, 0x00];
  const body = Array.from({ length: blocks }, (_, index) => block(index === blocks - 1 ? 1 : 0));
  return Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38, ...body.flat());
};

describe('zstd', () => {
  it.each(LEVELS)('returns what it was given (%s)', (level) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.integer({ min: 1, max: 50 }), (part, times) => {
        const plain = Uint8Array.from(Array.from({ length: times }, () => [...part]).flat());
        const frame = compress(plain, level);
        expect(Buffer.compare(decompress(frame, plain.length), plain)).toBe(0);
        expect(Buffer.compare(decompressUnknown(frame, plain.length + 1), plain)).toBe(0);
      }),
      { ...BOXED, interruptAfterTimeLimit: 500 },
    );
  });

  it('compresses more the harder it is told to', () => {
    const words = Uint8Array.from(
      { length: 200_000 },
      (_, index) => (Math.imul(index ^ (index >> 7), 2_654_435_761) >>> 28) + 97,
    );
    const sizes = LEVELS.map((level) => compress(words, level).length);
    expect(sizes[0]).toBe(sizes[2]);
    expect(sizes[4]).toBeLessThanOrEqual(sizes[1]!);
    expect(Math.max(...sizes)).toBeLessThan(words.length);
  });

  it('adds little to what cannot be compressed', () => {
    expect(compress(randomBytes(700_000), 'auto').length).toBeLessThan(700_100);
  });

  it('writes raw blocks that its decoder reads', () => {
    for (const length of [0, 1, 255, 131_071, 131_072, 131_073, 400_000]) {
      const plain = Uint8Array.from({ length }, (_, index) => index >> 3);
      const frame = storeFrame(plain);
      expect(frame.length).toBe(length + 9 + 3 * Math.max(1, Math.ceil(length / 131_072)));
      expect(Buffer.compare(decompress(frame, length), plain)).toBe(0);
    }
  });

  it('refuses a frame of another length than announced', async () => {
    const frame = compress(TEXT, 'auto');
    for (const length of [0, 1, TEXT.length - 1, TEXT.length + 1]) {
      expect(await codeOf(() => decompress(frame, length))).toBe('corrupt');
    }
  });

  it('refuses truncation and damage with engine errors only', async () => {
    const frame = compress(TEXT.subarray(0, 2_000), 'auto');
    for (let length = 0; length < frame.length; length++) {
      expect(await codeOf(() => decompress(frame.subarray(0, length), 2_000))).toBe('corrupt');
      const bad = frame.slice();
      bad[length]! ^= 0x11;
      expect([undefined, 'corrupt']).toContain(await codeOf(() => decompress(bad, 2_000)));
    }
  });

  it('stops at the limit when a frame yields more', async () => {
    const frame = bomb(8_000);
    expect(frame.length).toBeLessThan(40_000);
    expect(decompress(bomb(2), 262_144)).toEqual(new Uint8Array(262_144));
    expect(await codeOf(() => decompress(frame, 1_000_000))).toBe('corrupt');
    expect(await codeOf(() => decompressUnknown(frame, 1_000_000))).toBe('too-large');
    expect(await codeOf(() => decompressUnknown(compress(TEXT, 'auto'), 0))).toBe('too-large');
  });

  it('believes no length that the frame cannot have, before it allocates', async () => {
    const before = process.memoryUsage().arrayBuffers;
    const frame = compress(TEXT, 'auto');
    expect(await codeOf(() => decompress(frame, MAX_PLAIN_BYTES))).toBe('corrupt');
    expect(await codeOf(() => decompress(frame, 2 ** 32 - 1))).toBe('too-large');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 24);
  });
});
