import type { Code } from '@restic-engine/repo-format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseListing } from '../../src/rest/list-parser.ts';
import type { Entry } from '../../src/rest/list-parser.ts';

const id = (digit: string): string => digit.repeat(64);

/** The entries of `text`, arriving in chunks of the given lengths, over and over. */
async function parse(text: string, lengths: readonly number[] = [65_536]): Promise<Entry[]> {
  const bytes = Buffer.from(text);
  async function* chunks(): AsyncGenerator<Uint8Array> {
    // One buffer for all: what is kept must be copied.
    const buffer = new Uint8Array(65_536);
    for (let at = 0, count = 0; at < bytes.length; count += 1) {
      const part = bytes.subarray(at, at + (lengths[count % lengths.length] ?? 1));
      buffer.fill(0x21);
      buffer.set(part);
      yield buffer.subarray(0, part.length);
      at += part.length;
    }
  }
  const entries: Entry[] = [];
  for await (const some of parseListing(chunks())) entries.push(...some);
  return entries;
}

async function codeOf(text: string, lengths?: readonly number[]): Promise<Code | undefined> {
  try {
    await parse(text, lengths);
    return undefined;
  } catch (error) {
    return (error as { code?: Code }).code;
  }
}

describe('a listing', () => {
  it('may be of version 2, of version 1, empty, or what Go makes of nothing', async () => {
    const two = [
      { name: id('a'), size: 0 },
      { name: id('b'), size: 2 ** 53 - 1 },
    ];
    expect(await parse(JSON.stringify(two))).toEqual(two);
    expect(await parse(JSON.stringify([id('a'), id('b')]))).toEqual([
      { name: id('a'), size: undefined },
      { name: id('b'), size: undefined },
    ]);
    for (const text of ['[]', ' [ \n] ', 'null', ' null\n']) expect(await parse(text)).toEqual([]);
  });

  it('may have other keys, in any order, nested, and with brackets and quotes in texts', async () => {
    const text = `\n[ {"x":{"y":[1,{"z":"]},[\\"\\\\"}]},"size" : 5, "name":"${id('c')}"} ,
      {"name":"${id('d')}","size":1e2,"size2":"\\\\"}\t]\r\n`;
    for (const length of [1, 2, 3, 7, 1000]) {
      expect(await parse(text, [length])).toEqual([
        { name: id('c'), size: 5 },
        { name: id('d'), size: 100 },
      ]);
    }
  });

  it('leaves out names that are no ids, whatever their size', async () => {
    const names = ['', 'config', '../../etc/passwd', id('A'), `${id('a')}x`, id('g'), 'ä', '\u{1F600}'];
    const text = JSON.stringify([...names.map((name) => ({ name, size: -1 })), { name: id('e'), size: 1 }]);
    expect(await parse(text)).toEqual([{ name: id('e'), size: 1 }]);
    expect(await parse(JSON.stringify(names))).toEqual([]);
  });

  it('says the same as JSON.parse, wherever it is cut', async () => {
    const entry = fc.record(
      {
        name: fc.oneof(fc.constantFrom(id('0'), id('f')), fc.string({ unit: 'binary' })),
        size: fc.nat(),
        x: fc.jsonValue(),
      },
      { requiredKeys: ['name', 'size'] },
    );
    const indent = fc.constantFrom(undefined, 1, '\t', '\n');
    const lengths = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(entry), indent, lengths, async (entries, space, cuts) => {
        const text = JSON.stringify(entries, undefined, space);
        const expected = entries
          .filter(({ name }) => /^[0-9a-f]{64}$/.test(name))
          .map(({ name, size }) => ({ name, size }));
        expect(await parse(text, cuts)).toEqual(expected);
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('that ends too early is io, wherever that is', async () => {
    const text = `[{"name":"${id('a')}","size":1},{"name":"${id('b')}","size":2}]`;
    for (let length = 0; length < text.length; length += 1) {
      expect(await codeOf(text.slice(0, length)), text.slice(0, length)).toBe('io');
    }
    expect(await codeOf('nul')).toBe('io');
    expect(await codeOf(' ')).toBe('io');
  });

  for (const text of [
    '<html>',
    '{}',
    'nullx',
    '"a"',
    '[1]',
    '[null]',
    '[{}]',
    '[[]]',
    '[,]',
    '["",]',
    '[,""]',
    '["" ""]',
    '["",,""]',
    '[]]',
    '[] []',
    '[}',
    '["\u0001"]',
    "['a']",
    '[{"name":5,"size":1}]',
    `[{"name":"${id('a')}"}]`,
    `[{"name":"${id('a')}","size":"1"}]`,
    `[{"name":"${id('a')}","size":-1}]`,
    `[{"name":"${id('a')}","size":1.5}]`,
    `[{"name":"${id('a')}","size":1e300}]`,
    `[{"name":"${id('a')}","size":9007199254740992}]`,
  ]) {
    it(`is not ${text.slice(0, 40)}`, async () => {
      for (const length of [1, 65_536]) expect(await codeOf(text, [length])).toBe('corrupt');
    });
  }

  it('has no element without end, and as much white space as it likes', async () => {
    const long = 'x'.repeat(1_000_000);
    for (const text of [`["${long}`, `[{"name":"${id('a')}","x":[${'['.repeat(1_000_000)}`, 'x'.repeat(1_000_000)]) {
      expect(await codeOf(text, [1000])).toBe('corrupt');
    }
    expect(await parse(`${' '.repeat(1_000_000)}["${id('a')}"]${'\n'.repeat(1_000_000)}`, [1000])).toHaveLength(1);
  });
});
