import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBase64, encodeBase64 } from '../src/json/base64.ts';
import { compactJson, parseJson, rawElements, rawMembers } from '../src/json/source.ts';
import { formatUint64, isPlainUint, mayHaveFractions, parseUint64 } from '../src/json/uint64.ts';

const box = { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false, numRuns: 300 };
const corrupt = expect.objectContaining({ name: 'EngineError', code: 'corrupt' });

/** JSON text of a value with white space, as some other program may write it. */
const jsonText = fc
  .tuple(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom(undefined, 1, '\t', '\n '))
  .map(([value, space]) => JSON.stringify(value, undefined, space));

describe('the source text of JSON values', () => {
  it('of members has the values that JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), jsonText, { maxKeys: 6 }), (members) => {
        const entries = Object.entries(members);
        const text = ` {${entries.map(([key, value]) => ` ${JSON.stringify(key)} : ${value} `).join(',')}}\n`;
        expect([...rawMembers(text)]).toEqual(entries.map(([key, value]) => [key, value]));
      }),
      box,
    );
  });

  it('of elements has the values that JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.array(jsonText, { maxLength: 6 }), (elements) => {
        expect(rawElements(` [${elements.map((element) => `\t${element} `).join(',')}] `)).toEqual(elements);
      }),
      box,
    );
  });

  it('keeps the last of equal keys, like JSON.parse', () => {
    expect(rawMembers(String.raw`{"a":1,"\u0061":1.50,"b":{"a":3}}`)).toEqual(
      new Map([
        ['a', '1.50'],
        ['b', '{"a":3}'],
      ]),
    );
  });

  it('does not recurse into nesting', () => {
    const deep = '['.repeat(1_000_000) + ']'.repeat(1_000_000);
    expect(rawMembers(`{"x":${deep},"y":1}`).get('x')).toHaveLength(deep.length);
  });

  it('is compacted and escaped as Go passes JSON through', () => {
    expect(compactJson('{ "a b" : [ 1 ,\n"<&>\u2028" ] }')).toBe(String.raw`{"a b":[1,"\u003c\u0026\u003e\u2028"]}`);
    fc.assert(
      fc.property(jsonText, (text) => {
        const compact = compactJson(text);
        expect(JSON.parse(compact)).toEqual(JSON.parse(text));
        expect(compact).toBe(compactJson(JSON.stringify(JSON.parse(text))));
      }),
      box,
    );
  });

  it('that is not JSON is corrupt', () => {
    for (const text of ['', '{', '{"a":1}}', '\ufeff{}', '{a:1}', 'nul']) {
      expect(() => parseJson(new TextEncoder().encode(text))).toThrow(corrupt);
    }
  });
});

describe('unsigned 64-bit integers', () => {
  it('are exact, as bigint only where a number is not', () => {
    expect(parseUint64('0')).toBe(0);
    expect(parseUint64('9007199254740991')).toBe(9007199254740991);
    expect(parseUint64('9007199254740992')).toBe(9007199254740992n);
    expect(parseUint64('18446744073709551615')).toBe(18446744073709551615n);
    expect(formatUint64(18446744073709551615n)).toBe('18446744073709551615');
    expect(formatUint64(0)).toBe('0');
  });

  it.each(['18446744073709551616', '-1', '-0', '1.0', '1e3', '1E400', '', '"1"', '99999999999999999999999'])(
    'are not %s',
    (text) => expect(() => parseUint64(text)).toThrow(corrupt),
  );

  it.each([-1, 0.5, Number.NaN, 2 ** 53, -1n, 2n ** 64n])('cannot be written for %s', (value) => {
    expect(() => formatUint64(value)).toThrow(RangeError);
  });

  it('with a fraction or exponent are noticed in any JSON', () => {
    for (const number of ['1.0', '1e3', '1E+2', '10.25e-3']) {
      for (const text of [`{"a":${number}}`, `{"a":${number},"b":1}`, `[${number} ]`, `[${number}\n]`]) {
        expect(mayHaveFractions(text)).toBe(true);
      }
    }
    expect(mayHaveFractions('{"time":"2026-11-22T13:09:37.090877775+01:00","id":"3e55.6","n":15}')).toBe(false);
  });

  it('know minus zero', () => {
    expect(isPlainUint(JSON.parse('-0'))).toBe(false);
    expect(isPlainUint(JSON.parse('0'))).toBe(true);
  });
});

describe('base 64', () => {
  it('survives both ways', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const text = encodeBase64(bytes);
        expect(text).toBe(Buffer.from(bytes).toString('base64'));
        expect(decodeBase64(text)).toEqual(bytes);
      }),
      box,
    );
  });

  it.each(['A', 'AA', 'AAA', 'A===', '=AAA', 'AA=A', 'AAA A', 'AA-_', 'AAAA\n', '===='])('refuses %j', (text) => {
    expect(() => decodeBase64(text)).toThrow(corrupt);
  });

  it('takes megabytes', () => {
    const bytes = new Uint8Array(3_000_000).fill(7);
    expect(decodeBase64(encodeBase64(bytes))).toHaveLength(bytes.length);
  });
});
