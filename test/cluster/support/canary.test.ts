import { describe, expect, it } from 'vitest';
import { canary, expectNoCanary, findCanaries } from './canary.ts';

describe('a canary', () => {
  const value = canary('a password');

  it('is another one for each label, and the same each time', () => {
    expect(canary('another')).not.toBe(value);
    expect(canary('a password')).toBe(value);
  });

  it.each([0, 1, 2, 3, 4, 5])('is found plain and in Base64, %i bytes after the beginning', (offset) => {
    const text = `${'x'.repeat(offset)}${value} and more`;
    expect(findCanaries(text)).not.toEqual([]);
    expect(findCanaries(Buffer.from(text))).not.toEqual([]);
    const encoded = `data: ${Buffer.from(text).toString('base64')}`;
    expect(findCanaries(encoded)).not.toEqual([]);
    expect(() => expectNoCanary('a log', encoded)).toThrow('a log shows a secret');
  });

  it('is not seen where there is none', () => {
    expect(findCanaries(`status: Succeeded, ${Buffer.from('geheim '.repeat(100)).toString('base64')}`)).toEqual([]);
    expect(() => expectNoCanary('a log', 'all is well')).not.toThrow();
  });
});
