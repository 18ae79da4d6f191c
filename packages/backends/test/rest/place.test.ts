import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { placeOf } from '../../src/rest/place.ts';
import { REST_SCHEME } from '../../src/rest/scheme.ts';

const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;

describe('the URL of a REST server', () => {
  for (const [url, base, location, credentials] of [
    ['http://host:8000', 'http://host:8000/', 'rest:http://host:8000/', undefined],
    ['https://host/a/b', 'https://host/a/b/', 'rest:https://host/a/b/', undefined],
    ['https://user:secret@host:8000/', 'https://host:8000/', 'rest:https://user:***@host:8000/', 'user:secret'],
    ['https://user@host/', 'https://host/', 'rest:https://user@host/', 'user:'],
    ['https://:secret@host/', 'https://host/', 'rest:https://:***@host/', ':secret'],
    ['https://us%2Fer:s%40%25c%C3%A4t@host/', 'https://host/', 'rest:https://us%2Fer:***@host/', 'us/er:s@%cät'],
    ['https://user:se@cret@host/', 'https://host/', 'rest:https://user:***@host/', 'user:se@cret'],
    ['https://$&:secret@[::1]:1/$&/', 'https://[::1]:1/$&/', 'rest:https://$&:***@[::1]:1/$&/', '$&:secret'],
    ['http+unix:///run/a.sock:/repo', 'http://localhost/repo/', 'rest:http+unix:///run/a.sock:/repo/', undefined],
    ['http+unix:///run/a.sock', 'http://localhost/', 'rest:http+unix:///run/a.sock:/', undefined],
  ] as const) {
    it(`is understood: ${url}`, () => {
      const place = placeOf({ url });
      expect(place.base.href).toBe(base);
      expect(place.location).toBe(location);
      expect(place.authorization).toBe(credentials === undefined ? undefined : basic(credentials));
      expect(place.socketPath).toBe(url.includes('unix') ? '/run/a.sock' : undefined);
    });
  }

  it('takes a name and a password from elsewhere where it has neither', () => {
    const other = { username: 'other', password: 'word' };
    expect(placeOf({ url: 'http://host/', ...other }).authorization).toBe(basic('other:word'));
    expect(placeOf({ url: 'http+unix:///a.sock:/', ...other }).authorization).toBe(basic('other:word'));
    expect(placeOf({ url: 'http://user@host/', ...other }).authorization).toBe(basic('user:'));
    expect(placeOf({ url: 'http://host/', ...other }).location).toBe('rest:http://host/');
  });

  for (const url of [
    '',
    'host:8000/',
    '//user:secret@host/',
    'ftp://user:secret@host/',
    'https://user:secret@',
    'https://user:sec#ret@host/',
    'https://user:secret@host/?a=secret',
    'https://user:secret%zz@host/',
    'https://user:secret@host:99999/',
    'http+unix://user:secret@host/',
    'http+unix:secret',
  ]) {
    it(`is refused without being told: ${url}`, () => {
      const open = (): unknown => placeOf({ url });
      expect(open).toThrow(expect.objectContaining({ code: 'bad-request' }));
      try {
        open();
      } catch (error) {
        expect(inspect(error, { depth: null, showHidden: true })).not.toContain('secret');
        expect(String(error)).toMatch(/https:\/\/user:password@host:8000\/path\/|http\+unix:\/\/\/run/);
      }
    });
  }
});

describe('the scheme', () => {
  const context = { options: new Map<string, string>(), env: {}, http: {}, bandwidth: undefined };

  it('takes connections and the environment', async () => {
    const options = new Map([['connections', '9']]);
    const backend = await REST_SCHEME.open('http://host/', { ...context, options });
    expect(backend.traits.connections).toBe(9);
    expect(backend.location).toBe('rest:http://host/');
    await backend[Symbol.asyncDispose]();
    const wrong = new Map([['connections', '0']]);
    await expect(async () => REST_SCHEME.open('http://host/', { ...context, options: wrong })).rejects.toMatchObject({
      code: 'bad-request',
    });
  });
});
