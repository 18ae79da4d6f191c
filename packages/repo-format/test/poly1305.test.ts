import { poly1305 as noble } from '@noble/ciphers/_poly1305.js';
import fc from 'fast-check';
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { buildKernels } from '../scripts/build-kernels.mjs';
import { poly1305 } from '../src/crypto/poly1305.ts';
import { poly1305Reference } from '../src/crypto/poly1305.reference.ts';
import { BOXED, hex } from './errors-of.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const ones = (length: number): Uint8Array => new Uint8Array(length).fill(0xff);

function thirdOpinion(r: Uint8Array, s: Uint8Array, message: Uint8Array): Uint8Array {
  return noble(message, Uint8Array.of(...r, ...s));
}

describe('Poly1305', () => {
  it('is RFC 8439 §2.5.2', () => {
    const message = new TextEncoder().encode('Cryptographic Forum Research Group');
    const tag = poly1305(hex('85d6be7857556d337f4452fe42d506a8'), hex('0103808afb0db2fd4abff6af4149f51b'), message);
    expect(tag).toEqual(hex('a8061dc1305136c6c22b8baf0c0127a9'));
  });

  // RFC 8439 appendix A.3, vectors 7 to 11: sums at and around 2^130 - 5 and 2^128.
  it.each([
    ['02', '00', 'ff'.repeat(16), '03'],
    ['02', 'ff'.repeat(16), `02${'00'.repeat(15)}`, '03'],
    ['01', '00', `${'ff'.repeat(16)}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`, '05'],
    ['01', '00', `${'ff'.repeat(16)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`, '00'],
    ['02', '00', `fd${'ff'.repeat(15)}`, `fa${'ff'.repeat(15)}`],
  ])('reduces r=%s s=%s', (r, s, message, tag) => {
    const wide = (text: string): Uint8Array => hex(text.padEnd(32, '0'));
    expect(poly1305(wide(r), wide(s), hex(message))).toEqual(wide(tag));
  });

  it('agrees with the reference and with noble at every short length', () => {
    for (let length = 0; length <= 300; length++) {
      const message = Uint8Array.from({ length }, (_, index) => (index * 167 + length) & 0xff);
      const r = message.length >= 16 ? message.slice(0, 16) : ones(16);
      const tag = poly1305(r, ones(16), message);
      expect(tag).toEqual(poly1305Reference(r, ones(16), message));
      expect(tag).toEqual(thirdOpinion(r, ones(16), message));
    }
  });

  it('agrees across slices of the kernel', () => {
    for (const length of [16_383, 16_384, 16_385, 16_400, 32_768, 49_159, 70_000]) {
      for (const fill of [0x00, 0xff, 0x5a]) {
        const message = new Uint8Array(length).fill(fill);
        expect(poly1305(ones(16), ones(16), message)).toEqual(poly1305Reference(ones(16), ones(16), message));
      }
    }
  });

  it('agrees with noble on anything', () => {
    fc.assert(
      fc.property(bytes(16), bytes(16), fc.uint8Array({ maxLength: 70_000, size: 'max' }), (r, s, message) => {
        expect(poly1305(r, s, message)).toEqual(thirdOpinion(r, s, message));
      }),
      BOXED,
    );
  });

  it('runs the kernel that its source compiles to', async () => {
    for (const { file, text } of await buildKernels()) expect(await readFile(file, 'utf8')).toBe(text);
  });
});
