import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { redirectRefused, retryAfterMs } from '../../src/http/refusal.ts';

describe('Retry-After', () => {
  const now = Date.parse('Sun, 22 Nov 2026 12:00:00 GMT');
  for (const [text, ms] of [
    ['0', 0],
    ['120', 120_000],
    ['Sun, 22 Nov 2026 12:01:30 GMT', 90_000],
    ['Sun, 22 Nov 2026 11:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
    ['', undefined],
  ] as const) {
    it(`takes '${text}' for ${ms} ms`, () => {
      expect(retryAfterMs({ 'retry-after': text }, now)).toBe(ms);
    });
  }

  it('need not be there', () => {
    expect(retryAfterMs({}, now)).toBeUndefined();
  });
});

describe('a redirect', () => {
  const url = new URL('https://here.example/repo/?signature=secret');

  it('is refused, with the origin it leads to and nothing else', () => {
    const location = 'https://user:secret@there.example:444/path?token=secret';
    const error = redirectRefused(302, { location }, url);
    expect(error).toMatchObject({ code: 'bad-request', context: { target: 'https://there.example:444', status: 302 } });
    expect(inspect(error, { depth: null })).not.toContain('secret');
  });

  it('may lead to the same server or nowhere', () => {
    expect(redirectRefused(301, { location: '/other' }, url)?.context['target']).toBe('https://here.example');
    expect(redirectRefused(308, {}, url)?.context['target']).toBe('elsewhere');
    expect(redirectRefused(307, { location: 'http://[' }, url)?.context['target']).toBe('elsewhere');
  });

  it('is none of the other statuses', () => {
    for (const status of [200, 206, 304, 400, 404, 500]) {
      expect(redirectRefused(status, { location: 'https://there.example/' }, url)).toBeUndefined();
    }
  });
});
