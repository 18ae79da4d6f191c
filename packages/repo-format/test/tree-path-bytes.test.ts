import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareNames, pathFromBytes, pathToBytes } from '../src/tree/path-bytes.ts';

const box = { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false, numRuns: 2000 };

/** Bytes rich in the lead and continuation bytes of which broken UTF-8 is made. */
const nameBytes = fc.uint8Array({ maxLength: 24 }).chain((plain) =>
  fc
    .array(fc.constantFrom(0x2f, 0x41, 0x80, 0xa0, 0xbf, 0xc0, 0xc3, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xff), {
      maxLength: 12,
    })
    .map((special) => Uint8Array.from([...plain, ...special])),
);

describe('names between bytes and strings', () => {
  it('keeps UTF-8 as it is, including U+FFFD and a byte order mark', () => {
    for (const text of ['', 'plain', 'Ünï', '文件', '😀', '\ufffd', '\ufeffx', '\u0000']) {
      expect(pathFromBytes(Buffer.from(text))).toBe(text);
      expect(Buffer.from(pathToBytes(text)).toString()).toBe(text);
    }
  });

  it.each([
    ['ff', '\udcff'],
    ['6c61 74 e4', 'lat\udce4'],
    ['ed a0 80', '\udced\udca0\udc80'],
    ['c0 80', '\udcc0\udc80'],
    ['e0 80 80', '\udce0\udc80\udc80'],
    ['f4 90 80 80', '\udcf4\udc90\udc80\udc80'],
    ['f5 80', '\udcf5\udc80'],
    ['e4 bd', '\udce4\udcbd'],
    ['f0 9f 98 80 80', '😀\udc80'],
    ['ef bf bd ff', '\ufffd\udcff'],
  ])('keeps each byte of %s that is not UTF-8', (hex, text) => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    expect(pathFromBytes(bytes)).toBe(text);
    expect(Buffer.from(pathToBytes(text))).toEqual(bytes);
  });

  it('returns any bytes unchanged', () => {
    fc.assert(
      fc.property(nameBytes, (bytes) => {
        expect(Buffer.from(pathToBytes(pathFromBytes(bytes)))).toEqual(Buffer.from(bytes));
      }),
      box,
    );
  });

  it('splits valid from invalid as a fatal decoder does', () => {
    const fatal = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const isValid = (bytes: Uint8Array): boolean => {
      try {
        fatal.decode(bytes);
        return true;
      } catch {
        return false;
      }
    };
    fc.assert(
      fc.property(nameBytes, (bytes) => {
        expect(pathFromBytes(bytes).isWellFormed()).toBe(isValid(bytes));
      }),
      box,
    );
  });

  it('writes other lone surrogates as generalized UTF-8', () => {
    expect(Buffer.from(pathToBytes('a\ud800b\udc00')).toString('hex')).toBe('61eda08062edb080');
  });
});

describe('the order of names', () => {
  it('is the order of their bytes', () => {
    const anyBytes = fc.oneof(
      nameBytes,
      fc.string({ unit: 'binary' }).map((text) => pathToBytes(text)),
    );
    fc.assert(
      fc.property(anyBytes, anyBytes, (a, b) => {
        const order = compareNames(pathFromBytes(a), pathFromBytes(b));
        expect(Math.sign(order)).toBe(Buffer.compare(a, b));
      }),
      box,
    );
  });

  it('puts U+FF01 before U+10000, which UTF-16 does not, and bytes that are not UTF-8 by their value', () => {
    expect(compareNames('\uff01', '\u{10000}')).toBeLessThan(0);
    expect('\uff01' < '\u{10000}').toBe(false);
    expect(compareNames('\u{10ffff}', '\udcff')).toBeLessThan(0);
    expect(compareNames('\udcc3', 'é')).toBeLessThan(0);
    expect(compareNames('a', 'ab')).toBeLessThan(0);
    expect(compareNames('\udcff', '\udcff')).toBe(0);
  });
});
