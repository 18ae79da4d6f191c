import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../src/errors.ts';
import { encodeJsonString, GO_1_19, GO_1_21, quoteGo, unquoteGo } from '../src/json/go-string.ts';
import { pathFromBytes } from '../src/tree/path-bytes.ts';

const box = { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false, numRuns: 1000 };

function latin1(text: string): string {
  return pathFromBytes(Buffer.from(text, 'latin1'));
}

/** Raw name and the JSON text of `name`, both from trees of restic 0.14 and 0.19.1. */
const NAMES: readonly (readonly [string, string])[] = [
  ['quo"te', String.raw`"quo\\\"te"`],
  ['back\\slash', String.raw`"back\\\\slash"`],
  ['bs\bff\fvt\vbel\x07cr\rx', String.raw`"bs\\bff\\fvt\\vbel\\acr\\rx"`],
  ['new\nline\ttab', String.raw`"new\\nline\\ttab"`],
  ['ctl\x01\x1f', String.raw`"ctl\\x01\\x1f"`],
  ['del\x7f', String.raw`"del\\x7f"`],
  [latin1('lat\xe4\xfcin'), String.raw`"lat\\xe4\\xfcin"`],
  [latin1('\xff'), String.raw`"\\xff"`],
  [latin1('surr\xed\xa0\x80x'), String.raw`"surr\\xed\\xa0\\x80x"`],
  ['\u00ad', String.raw`"\\u00ad"`],
  ['\u00a0', String.raw`"\\u00a0"`],
  ['\u2028\u2029', String.raw`"\\u2028\\u2029"`],
  ['\ufeff\ue000\u3000\u200d', String.raw`"\\ufeff\\ue000\\u3000\\u200d"`],
  ['\u{e0041}', String.raw`"\\U000e0041"`],
  ['\ufffd\u{1f600}\u0301\u{20000}', '"\ufffd\u{1f600}\u0301\u{20000}"'],
  ['<html>&amp;', String.raw`"\u003chtml\u003e\u0026amp;"`],
  ["apos'trophe / ~", `"apos'trophe / ~"`],
];

describe('quoting of names', () => {
  it.each(NAMES)('writes %j as %s', (name, json) => {
    for (const profile of [GO_1_21, GO_1_19]) {
      expect(encodeJsonString(quoteGo(name, profile), profile)).toBe(json);
    }
    expect(unquoteGo(JSON.parse(json) as string)).toBe(name);
  });

  it('escapes by the Unicode version of the profile', () => {
    // U+088E came with Unicode 14, U+0897 with 16.
    expect(quoteGo('\u088e\u0897', GO_1_21)).toBe('\u088e\\u0897');
    expect(quoteGo('\u088e\u0897', GO_1_19)).toBe('\\u088e\\u0897');
  });

  it('asks a replaced profile', () => {
    expect(quoteGo('aé\u{20000}', { ...GO_1_21, isPrintable: () => false })).toBe('a\\u00e9\\U00020000');
  });

  it('treats escaped bytes that are valid UTF-8 together as text', () => {
    expect(quoteGo('\udcc3\udca9')).toBe('é');
    expect(unquoteGo(String.raw`\xc3\xa9`)).toBe('é');
  });

  it('reads every escape of Go', () => {
    expect(unquoteGo(String.raw`\a\b\f\n\r\t\v\\\"\x41\101\377\u00e9\U0001F600'`)).toBe(
      '\x07\b\f\n\r\t\v\\"AA\udcffé😀\'',
    );
  });

  it.each(['"', '\\', 'a\nb', String.raw`\'`, String.raw`\q`, String.raw`\x4`, String.raw`\400`, String.raw`\08`])(
    'refuses %j',
    (quoted) => expectCorrupt(() => unquoteGo(quoted)),
  );

  it.each([String.raw`\ud800`, String.raw`\udc80`, String.raw`\U00110000`, String.raw`\U0000dfff`, String.raw`\u00`])(
    'refuses the code point %s',
    (quoted) => expectCorrupt(() => unquoteGo(quoted)),
  );

  it('does not take a surrogate from broken JSON for a byte', () => {
    expect(unquoteGo(JSON.parse(String.raw`"\udcff"`) as string)).toBe('\ufffd');
  });

  it('survives both ways for every code point of most scripts, in larger steps beyond them', () => {
    const lost: string[] = [];
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint += codePoint < 0x3400 ? 1 : 11) {
      const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
      const name = String.fromCodePoint(codePoint);
      if (!isSurrogate && unquoteGo(quoteGo(name)) !== name) lost.push(codePoint.toString(16));
    }
    expect(lost).toEqual([]);
  });

  it('survives both ways for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const name = pathFromBytes(bytes);
        const json = encodeJsonString(quoteGo(name));
        expect(unquoteGo(JSON.parse(json) as string)).toBe(name);
        expect(json.isWellFormed()).toBe(true);
      }),
      box,
    );
  });
});

describe('the tables of printable code points', () => {
  // Digests of the hex ranges, taken from the Unicode character database of each version; the first is also what
  // restic 0.19.1 leaves unquoted when every code point is a file name.
  it.each([
    ['15.0', GO_1_21, '3c3effa533c0e4d9626ae10d8bb9dc2b8da9d45bd28a1a870801208c493420cf'],
    ['13.0', GO_1_19, 'f7afdd4d7816d662f46a20d83c7022e6aa57e07a2d271bd0e0cde309b7b1770c'],
  ])('are those of Unicode %s', (_version, { isPrintable }, digest) => {
    expect(createHash('sha256').update(rangesOf(isPrintable)).digest('hex')).toBe(digest);
  });
});

describe('JSON strings', () => {
  it.each([
    ['"\\/', String.raw`"\"\\/"`],
    ['\n\r\t\b\f\x1b\x00', String.raw`"\n\r\t\b\f\u001b\u0000"`],
    ['<>&', String.raw`"\u003c\u003e\u0026"`],
    ['\u2028\u2029', String.raw`"\u2028\u2029"`],
    ['\x7f\x80\x9f\u00a0é😀\ufffd', '"\x7f\x80\x9f\u00a0é😀\ufffd"'],
    [latin1('inv\xff<'), String.raw`"inv\ufffd\u003c"`],
    [latin1('\xed\xa0\x80'), String.raw`"\ufffd\ufffd\ufffd"`],
  ])('writes %j as %s', (text, json) => {
    expect(encodeJsonString(text)).toBe(json);
  });

  it('uses the forms of older Go where a profile says so', () => {
    expect(encodeJsonString('\b\f', GO_1_19)).toBe(String.raw`"\u0008\u000c"`);
    expect(encodeJsonString('\udcff', { ...GO_1_21, invalidByte: '\ufffd' })).toBe('"\ufffd"');
  });

  it('is JSON for the same text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(JSON.parse(encodeJsonString(text))).toBe(text);
      }),
      box,
    );
  });
});

function expectCorrupt(run: () => unknown): void {
  expect(run).toThrow(expect.objectContaining({ code: 'corrupt' }));
  expect(run).toThrow(EngineError);
}

function rangesOf(isPrintable: (codePoint: number) => boolean): string {
  const ranges: string[] = [];
  let first = -1;
  for (let codePoint = 0; codePoint <= 0x110000; codePoint++) {
    const inside = codePoint < 0x110000 && isPrintable(codePoint);
    if (inside && first < 0) first = codePoint;
    if (!inside && first >= 0) {
      const last = codePoint - 1;
      ranges.push(first === last ? last.toString(16) : `${first.toString(16)}-${last.toString(16)}`);
      first = -1;
    }
  }
  return ranges.join(',');
}
