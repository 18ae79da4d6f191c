import { describe, expect, it } from 'vitest';
import { parseSubset } from '../src/commands/check.ts';
import { parseUnused } from '../src/commands/prune.ts';
import { InvalidValue } from '../src/failure.ts';

describe('--read-data-subset', () => {
  it.each([
    ['1/1', { part: 1, of: 1 }],
    ['3/256', { part: 3, of: 256 }],
    ['100%', { percent: 100 }],
    ['2.5%', { percent: 2.5 }],
    ['.5%', { percent: 0.5 }],
    ['+1e1%', { percent: 10 }],
    ['10M', { bytes: 10 * 2 ** 20 }],
  ])('reads %s', (text, subset) => {
    expect(parseSubset(text)).toEqual(subset);
  });

  it.each(['', '0/1', '2/1', '1/257', '1/', '0%', '101%', '-1%', '%', '0', '7', '1e1', 'half'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseSubset(text)).toThrow(InvalidValue);
    },
  );
});

describe('--max-unused', () => {
  it.each([
    ['unlimited', 'unlimited'],
    ['0', 0],
    ['200M', 200 * 2 ** 20],
    [' 0% ', '0%'],
    ['7.5%', '7.5%'],
    ['5e-1%', '0.5%'],
  ])('reads "%s"', (text, limit) => {
    expect(parseUnused(text)).toBe(limit);
  });

  it.each(['', '100%', '-5%', '-1', 'all'])('refuses "%s"', (text) => {
    expect(() => parseUnused(text)).toThrow(InvalidValue);
  });
});
