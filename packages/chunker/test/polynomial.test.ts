import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatPolynomial, generatePolynomial, isIrreducible, parsePolynomial } from '../src/index.ts';

const REDUCIBLE =
  '38f1e565e288df 30a8295b9d5c91 255f4350b962cb 267f776110a235 2f4dae10d41227 312daf4b284899 29dfb6553d01d1 3548245eb26257 3199e7ef4211b3 362f39017dae8b 200d57aa6fdacb 35e0a4efa1d275 2ced55b026577f 260b012010893d 2df29cbcd59e9d 3f2ac7488bd429 3e5cb1711669fb 226d8de57a9959 3c8de80aaf5835 2026a59efb219b 39dfa4d13fb231 3143d0464b3299'.split(
    ' ',
  );

describe('isIrreducible', () => {
  it.each(['3DA3358B4DC173', '2482734cacca49'])("accepts %s of restic's table", (hex) => {
    expect(isIrreducible(parsePolynomial(hex))).toBe(true);
  });

  it.each(REDUCIBLE)("refuses %s of restic's table", (hex) => {
    expect(isIrreducible(parsePolynomial(hex))).toBe(false);
  });

  it('agrees with trial division for every polynomial of degree up to 9', () => {
    const product = (a: number, b: number) => {
      let sum = 0;
      for (let bit = 0; bit < 10; bit++) if ((b >> bit) & 1) sum ^= a << bit;
      return sum;
    };
    const composite = new Set<number>();
    for (let a = 2; a < 512; a++) for (let b = 2; b < 512; b++) composite.add(product(a, b));
    const all = Array.from({ length: 1024 }, (_, p) => p);
    expect(all.filter((p) => isIrreducible(BigInt(p)))).toEqual(all.filter((p) => p > 1 && !composite.has(p)));
  });

  it('refuses negative numbers', () => {
    expect(isIrreducible(-7n)).toBe(false);
  });
});

describe('generatePolynomial', () => {
  it('gives irreducible polynomials of degree 53, a different one each time', () => {
    const made = Array.from({ length: 20 }, () => generatePolynomial(randomBytes));
    for (const p of made) {
      expect(p >> 53n).toBe(1n);
      expect(isIrreducible(p)).toBe(true);
    }
    expect(new Set(made).size).toBe(20);
  });

  it('reads random bytes as little-endian, keeps 53 bits and sets the highest and lowest', () => {
    // 0xffe2734cacca48 and up: only bits 0 to 52 of the number may count.
    const bytes = new Uint8Array([0x48, 0xca, 0xac, 0x4c, 0x73, 0x82, 0xc4, 0xff]);
    expect(generatePolynomial(() => bytes)).toBe(0x2482734cacca49n);
  });

  it('refuses a source that is too short or never leads anywhere', () => {
    expect(() => generatePolynomial(() => new Uint8Array(7))).toThrow(RangeError);
    expect(() => generatePolynomial(() => new Uint8Array([2, 0, 0, 0, 0, 0, 0, 0]))).toThrow(RangeError);
  });
});

describe('parsePolynomial and formatPolynomial', () => {
  it('are inverse to each other', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (p) => parsePolynomial(formatPolynomial(p)) === p),
    );
  });

  it('writes lower case without leading zeros', () => {
    expect(formatPolynomial(parsePolynomial('003DA3358B4DC173'))).toBe('3da3358b4dc173');
  });

  it.each(['', '0x3da3358b4dc173', '3da3358b4dc17g', ' 3da3358b4dc173', '-1', '10000000000000000'])(
    'refuses %j',
    (hex) => {
      expect(() => parsePolynomial(hex)).toThrow(RangeError);
    },
  );
});
