import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidValue, UsageError } from '../src/failure.ts';
import { parseDuration } from '../src/values/duration.ts';
import { latestFilter, parseGroupBy, snapshotFilter, splitTags } from '../src/values/filter.ts';
import { parseSearchTime } from '../src/values/search-time.ts';
import { splitWords } from '../src/values/shell-words.ts';
import { parseCount, parseSize } from '../src/values/size.ts';
import { parseTime } from '../src/values/time.ts';

const BOXED = { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false };

describe('parseSize', () => {
  it.each([
    ['0', 0],
    ['500', 500],
    ['7b', 7],
    ['1k', 1024],
    ['1K', 1024],
    ['1.5G', 1.5 * 2 ** 30],
    ['2m', 2 ** 21],
    ['3T', 3 * 2 ** 40],
  ])('reads %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'k', '-1', '1kk', '1 k', '1e3', '0x10', '9999999T'])('refuses "%s"', (text) => {
    expect(() => parseSize(text)).toThrow(InvalidValue);
  });
});

describe('parseCount', () => {
  it('reads whole numbers from a least one on', () => {
    expect(parseCount('12')).toBe(12);
    expect(parseCount('-3', -5)).toBe(-3);
  });

  it.each(['', 'x', '1.5', '-1', '1e2', '99999999999999999999'])('refuses "%s"', (text) => {
    expect(() => parseCount(text)).toThrow(InvalidValue);
  });
});

describe('parseDuration', () => {
  it.each([
    ['0', 0],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['300ms', 300],
    ['.5s', 500],
    ['10us', 0.01],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBeCloseTo(ms, 9);
  });

  it.each(['', '5', '5 m', '-5m', 'm', '5d', '1h 5m', '1h-5m'])('refuses "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow(InvalidValue);
  });
});

describe('parseTime', () => {
  it('reads the local notation of restic', () => {
    expect(parseTime('2012-11-01 22:08:41')).toEqual(new Date(2012, 10, 1, 22, 8, 41));
  });

  it('reads RFC 3339 and now', () => {
    expect(parseTime('2012-11-01T22:08:41+02:00').toISOString()).toBe('2012-11-01T20:08:41.000Z');
    expect(Math.abs(parseTime('now').getTime() - Date.now())).toBeLessThan(5000);
  });

  it.each([
    '',
    'yesterday',
    '2012-11-01',
    '2012-11-01 22:08',
    '2012-02-30 00:00:00',
    '2012-01-01 24:00:00',
    '2012-13-01 00:00:00',
  ])('refuses "%s"', (text) => {
    expect(() => parseTime(text)).toThrow(InvalidValue);
  });
});

describe('splitWords', () => {
  it.each([
    ['pass show backup', ['pass', 'show', 'backup']],
    ['  a\t b\n', ['a', 'b']],
    [`sh -c 'echo "x y"'`, ['sh', '-c', 'echo "x y"']],
    ['echo "a \\" b"', ['echo', 'a " b']],
    ['a\\ b c', ['a b', 'c']],
    [`pre"mid dle"'post'`, ['premid dlepost']],
    [`''`, ['']],
    [`a "" b`, ['a', '', 'b']],
    ['C:\\\\x', ['C:\\x']],
    ['"a\\nb"', ['a\\nb']],
  ])('splits %j', (command, words) => {
    expect(splitWords(command)).toEqual(words);
  });

  it.each([`'x`, `"x`, `"x\\"`, `a 'b" c`])('refuses the open quote in %j', (command) => {
    expect(() => splitWords(command)).toThrow(/-quoted string not terminated/);
  });

  it.each(['', '   '])('refuses %j, which is no command', (command) => {
    expect(() => splitWords(command)).toThrow(UsageError);
  });

  it('takes words in single quotes as they are', () => {
    const word = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll("'", ''));
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (words) => {
        expect(splitWords(words.map((text) => `'${text}'`).join(' '))).toEqual(words);
      }),
      BOXED,
    );
  });
});

describe('flags that choose snapshots', () => {
  it('takes the host from the environment unless one is given', () => {
    expect(snapshotFilter({}, { RESTIC_HOST: 'h' }).hosts).toEqual(['h']);
    expect(snapshotFilter({ host: ['x', 'y'] }, { RESTIC_HOST: 'h' }).hosts).toEqual(['x', 'y']);
    expect(snapshotFilter({ host: [''] }, { RESTIC_HOST: 'h' }).hosts).toEqual([]);
    // Beside others it means snapshots without a host.
    expect(snapshotFilter({ host: ['', 'x'] }, {}).hosts).toEqual(['', 'x']);
    expect(snapshotFilter({}, {}).hosts).toEqual([]);
  });

  it('keeps the lists of tags apart, and makes paths absolute for the latest', () => {
    const flags = { tag: ['a, b', 'c', ''], path: ['/x/../y', 'z'] };
    const filter = latestFilter(flags, {});
    expect(snapshotFilter(flags, {})).toEqual({ ...filter, paths: flags.path });
    expect(filter.tags).toEqual([['a', 'b'], ['c'], ['']]);
    expect(filter.paths).toEqual(['/y', `${process.cwd()}/z`]);
    expect(splitTags('a,b')).toEqual(['a', 'b']);
  });

  it('reads groupings', () => {
    expect(parseGroupBy('host,paths')).toEqual(['host', 'paths']);
    expect(parseGroupBy('tag, path')).toEqual(['tags', 'paths']);
    expect(parseGroupBy('')).toEqual([]);
    expect(() => parseGroupBy('host,size')).toThrow(InvalidValue);
  });
});

describe('parseSearchTime', () => {
  it.each([
    ['2024-02-29 12:30:15 +0200', '2024-02-29T10:30:15.000Z'],
    ['29.02.2024 12:30:15 -0530', '2024-02-29T18:00:15.000Z'],
    ['2024-02-29 12:30:15 UTC', '2024-02-29T12:30:15.000Z'],
    ['2024-02-29', new Date(2024, 1, 29).toISOString()],
    ['29.02.2024 12:30', new Date(2024, 1, 29, 12, 30).toISOString()],
  ])('reads %j', (text, expected) => {
    expect(parseSearchTime(text)).toBe(expected);
  });

  it.each([
    '2023-02-29',
    '31.04.2024 10:00',
    '2024-13-01',
    '2024-1-1',
    '2024-01-01 24:01',
    '2024-01-01T10:00',
    'now',
    '',
  ])('refuses %j', (text) => {
    expect(() => parseSearchTime(text)).toThrow(InvalidValue);
  });
});
