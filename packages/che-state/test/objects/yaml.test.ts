import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EngineError } from 'restic-engine';
import { parse } from 'yaml';
import { fromYaml, toYaml } from '../../src/objects/yaml.ts';

const FUZZ = { interruptAfterTimeLimit: 1500, markInterruptAsFailure: false, numRuns: 2000 } as const;

/** Texts that YAML takes for something else, or folds, strips, escapes. */
const TRAPS: readonly string[] = [
  ['true', 'no', 'On', 'y', 'null', '~', 'Null', '', ' ', '.inf', '-.NaN', '=', '<<', '---', '...', '%YAML 1.1'],
  ['1', '01', '0o17', '0x1F', '1_000', '1e3', '12:30:45', '1.0', '-0', '+1', '.5', '2001-01-01', '0b11'],
  ['2022-01-10T09:15:02Z', '2022-01-10 09:15:02 +01:00', '!!binary aGk=', '&a b', '*a', '# no comment', 'a # b'],
  ['a: b', 'a:', '- a', '? a', '[a', '{a}', '|', '>-', '@a', '`a', '"a', "'a'", 'a\\nb', '\\', '\t', 'a\tb', ' a '],
  ['a\nb', 'a\n', '\na', '\n', '\n\n', 'a\n\n', ' a\nb', 'a \nb', 'a\n b\n', 'a\r\nb', 'a\rb', '\ta\nb', 'a\n\tb\n'],
  ['\u0085', '\u2028', '\u00a0', '\ufeff', '\u0000', '\u007f', '\u{1f600}', 'e\u0301', '\u001b[31m', 'x'.repeat(300)],
  [
    `${'long line '.repeat(40)}\nshort`,
    '# a\n# b\n',
    '---\na: b\n',
    'a\n...\nb',
    'constructor',
    '__proto__',
    'toString',
  ],
].flat();

const text = fc.oneof(
  { arbitrary: fc.constantFrom(...TRAPS), weight: 3 },
  { arbitrary: fc.string({ unit: 'grapheme' }), weight: 2 },
  { arbitrary: fc.array(fc.constantFrom(...TRAPS), { maxLength: 4 }).map((parts) => parts.join('\n')), weight: 2 },
  {
    arbitrary: fc
      .array(fc.constantFrom(' ', '\n', 'a', ':', '#', '-', '\t', '"', "'", '\r'), { maxLength: 12 })
      .map((parts) => parts.join('')),
    weight: 3,
  },
);
const number = fc.oneof(fc.integer(), fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }));
const { json } = fc.letrec((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    text,
    number.map((value) => (Object.is(value, -0) ? 0 : value)),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.array(fc.tuple(text, tie('json')), { maxLength: 5 }).map((fields) => Object.fromEntries(fields)),
  ),
}));
const object = fc.array(fc.tuple(text, json), { maxLength: 5 }).map((fields): object => Object.fromEntries(fields));

const codeOf = async (yaml: string): Promise<unknown> => {
  const error: unknown = await fromYaml(yaml).then(
    () => 'read',
    (reason: unknown) => reason,
  );
  return EngineError.is(error) ? error.code : error;
};

/** The same fields in another order, on every level. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, inner]) => [name, reversed(inner)]),
  );
}

describe('the YAML of objects', () => {
  it('says the object again, whatever its texts look like', async () => {
    await fc.assert(
      fc.asyncProperty(object, async (value) => {
        expect(await fromYaml(await toYaml(value))).toEqual(value);
      }),
      FUZZ,
    );
  });

  it('says every trap again, in every place', async () => {
    const texts = [...TRAPS, ...TRAPS.flatMap((a) => TRAPS.map((b) => `${a}\n${b}`))];
    const pairs = Object.fromEntries(texts.map((value, at) => [`k${at}`, value]));
    const keys = Object.fromEntries(TRAPS.map((value) => [value, value]));
    for (const value of [{ pairs, last: '' }, { keys, list: texts }, { deep: { list: [{ keys }, [texts]] } }]) {
      const yaml = await toYaml(value);
      const read = (await fromYaml(yaml)) as object;
      expect(read).toEqual(value);
      expect(await toYaml(read)).toBe(yaml);
    }
  });

  it('is the same for the same object, whatever the order of its fields', async () => {
    await fc.assert(
      fc.asyncProperty(object, async (value) => {
        const yaml = await toYaml(value);
        expect(await toYaml(reversed(value) as object)).toBe(yaml);
        expect(await toYaml((await fromYaml(yaml)) as object)).toBe(yaml);
      }),
      FUZZ,
    );
  });

  it('reads the same where YAML 1.1 is spoken', async () => {
    await fc.assert(
      fc.asyncProperty(object, async (value) => {
        const yaml = await toYaml(value);
        expect(await fromYaml(yaml, { version: '1.1' })).toEqual(value);
        expect(parse(yaml, { version: '1.1', schema: 'yaml-1.1', merge: true })).toEqual(value);
      }),
      FUZZ,
    );
  });

  it('is written for people: sorted, unfolded, texts of several lines as they are', async () => {
    const object = {
      kind: 'ConfigMap',
      data: { b: 'first\nsecond\n', a: 'word '.repeat(50).trim(), n: '1' },
      a: [1, 'x'],
    };
    expect(await toYaml(object)).toBe(
      `a:\n  - 1\n  - x\ndata:\n  a: ${'word '.repeat(50).trim()}\n  b: |\n    first\n    second\n  "n": "1"\nkind: ConfigMap\n`,
    );
  });

  it('escapes what cannot be printed, on one line', async () => {
    const lines = `\u001b[31m\n \n${'x'.repeat(100)}\n`;
    expect(await toYaml({ lines, bell: 'a\u0007b' })).toBe(
      `bell: "a\\ab"\nlines: "\\e[31m\\n\\ \\n${'x'.repeat(100)}\\n"\n`,
    );
  });

  it('repeats what is there twice', async () => {
    const shared = { a: 'b' };
    expect(await toYaml({ one: shared, two: shared })).toBe('one:\n  a: b\ntwo:\n  a: b\n');
  });
});

describe('YAML that is no object of ours', () => {
  it.each([
    ['a reference', 'a: &x 1\nb: *x\n'],
    ['references of references', `a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n`],
    ['a key twice', 'a: 1\nb: 2\na: 3\n'],
    ['a key twice in brackets', '{a: 1, a: 2}'],
    ['a key that is a number', '1: a\n'],
    ['a key that is a list', '? [a]\n: b\n'],
    ['an unknown tag', 'a: !secret x\n'],
    ['a program', 'a: !!js/function x\n'],
    ['two documents', 'a: 1\n---\nb: 2\n'],
    ['broken YAML', 'a: [1, 2\nb: "\n'],
    ['no number that JSON has', 'a: .inf\n'],
    ['tabs', 'a:\n\t- b\n'],
  ])('refuses %s', async (_what, yaml) => {
    expect(await codeOf(yaml)).toBe('corrupt');
  });

  it('never shows what it read', async () => {
    for (const yaml of ['a: [hunter2', 'hunter2: 1\nhunter2: 2', 'a: !hunter2 x', '"hunter2', 'a: *hunter2']) {
      const error: unknown = await fromYaml(yaml).catch((reason: unknown) => reason);
      expect(EngineError.is(error)).toBe(true);
      expect(JSON.stringify(error) + String(error)).not.toContain('hunter2');
    }
  });

  it.each([
    ['long', `a: ${'x'.repeat(9 * 2 ** 20)}`, 'too-large'],
    ['deep in brackets', `${'['.repeat(20_000)}${']'.repeat(20_000)}`, 'too-large'],
    ['deep by dashes', `${'- '.repeat(20_000)}a`, 'too-large'],
    ['deep by indents', Array.from({ length: 300 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), 'too-large'],
    ['wide', `[${'a,'.repeat(2_000_000)}]`, 'too-large'],
    ['full of keys', Array.from({ length: 60_000 }, (_, i) => `k${i}: v`).join('\n'), 'read'],
  ])('ends promptly with what is %s', async (_what, yaml, code) => {
    const before = process.memoryUsage().rss;
    const start = performance.now();
    expect(await codeOf(yaml)).toBe(code);
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(600 * 2 ** 20);
  });

  it('takes texts of the old operator as texts', async () => {
    const yaml = 'creationTimestamp: 2022-01-10T09:15:02Z\nquoted: "1"\nplain: 0o17\n';
    expect(await fromYaml(yaml, { version: '1.1' })).toEqual({
      creationTimestamp: '2022-01-10T09:15:02Z',
      quoted: '1',
      plain: '0o17',
    });
  });
});
