import { resolve } from 'node:path';
import { EngineError } from '@restic-engine/repo-format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { extendedOptions, locationBelow, openBackend } from '../src/index.ts';
import type { OpenBackendOptions } from '../src/index.ts';

const ENV = {};

/** What opening rejects with, as it may be printed. */
async function refusal(location: string, options: OpenBackendOptions = {}): Promise<{ code: string; message: string }> {
  const error: unknown = await openBackend(location, { env: ENV, ...options }).then(
    (backend) => new Error(`opened ${backend.location}`),
    (reason: unknown) => reason,
  );
  if (!EngineError.is(error)) throw error;
  return error;
}

/** Everything that an error says, its causes included. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause, stack = '' } = error;
  return [error.message, JSON.stringify(error), stack, cause === undefined ? '' : wordsOf(cause)].join('\n');
}

describe('openBackend', () => {
  it.each([
    ['/srv/repo', '/srv/repo'],
    ['local:/srv/repo', '/srv/repo'],
    ['local:with:colon', resolve('with:colon')],
    ['local:rest:https://host/', resolve('rest:https://host')],
    ['repo', resolve('repo')],
    ['./s3:folder', resolve('./s3:folder')],
    ['../x', resolve('../x')],
    ['/a:b', '/a:b'],
    ['local', resolve('local')],
    ['user@host', resolve('user@host')],
  ])('takes %s for a folder', async (location, path) => {
    expect((await openBackend(location)).location).toBe(path);
  });

  it.each(['C:\\backups', 'c:/backups', '.\\x'])('takes %s for a folder of Windows', async (location) => {
    await expect(openBackend(location)).resolves.toMatchObject({ traits: { atomicReplace: true } });
  });

  it.each(['', 'local:', 'rest:'])('refuses the empty location %j and shows a right one', async (location) => {
    const { code, message } = await refusal(location);
    expect(code).toBe('bad-request');
    expect(message).toContain(location === 'rest:' ? 'rest:https://user:password@host:8000/path/' : 'local:/srv/');
  });

  it.each(['azure:container:/', 'b2:bucket:path', 'gs:bucket:/', 'rclone:remote:path', 'swift:container:/path'])(
    'says that there is no backend for %s',
    async (location) => {
      const scheme = location.slice(0, location.indexOf(':'));
      const error = await refusal(location);
      expect(error).toMatchObject({ code: 'unsupported', context: { scheme } });
      expect(error.message).toContain(`no backend for ${scheme}:`);
      expect(error.message).toContain('local:, rest:');
    },
  );

  it.each([
    ['with:colon', 'put local: before'],
    [':x', 'put local: before'],
    ['https://me:hunter2@host/', 'rest:https://user:password@host:8000/path/'],
    ['REST:https://me:hunter2@host/', 'write rest: in small letters'],
    ['Local:/x', 'write local: in small letters'],
  ])('does not know %s, and says what may be meant', async (location, advice) => {
    const error = await refusal(location);
    expect(error.code).toBe('unsupported');
    expect(error.message).toContain(advice);
    expect(wordsOf(error)).not.toContain('hunter2');
  });

  it.each([
    ['sftp:me:hunter2@host:/srv', 'password'],
    ['sftp://me:hunter2@host/srv', 'password'],
    ['rest:hunter2', 'https://user:password@host:8000/path/'],
  ])('says what is wrong with %s, and nothing of what may be a password', async (location, words) => {
    const error = await refusal(location);
    expect(error.code).toBe('bad-request');
    expect(error.message).toContain(words);
    expect(wordsOf(error)).not.toContain('hunter2');
  });

  it('refuses paths with a zero byte', async () => {
    expect((await refusal('/srv/\0')).code).toBe('bad-request');
  });
});

describe('extended options', () => {
  it('are read', async () => {
    const open = (connections: string): ReturnType<typeof openBackend> =>
      openBackend('/x', { options: { 'local.connections': connections } });
    expect((await open('7')).traits.connections).toBe(7);
    expect((await openBackend('/x')).traits.connections).toBe(2);
    for (const bad of ['', '0', '-1', '1.5', 'x', '1e3', '99999999', ' 3']) {
      expect(await refusal('/x', { options: { 'local.connections': bad } })).toMatchObject({ code: 'bad-request' });
    }
  });

  it('of other backends are ignored, also of those that only restic has', async () => {
    const options = { 'rest.connections': '3', 'rclone.program': 'x', 'azure.anything': '', 'b2.connections': 'many' };
    expect((await openBackend('/x', { options })).traits.connections).toBe(2);
  });

  it.each([
    ['local.conections', 'local.connections'],
    ['rest.unknown', 'rest.connections'],
    ['local', 'local.connections'],
    ['nobody.connections', 'local., rest.'],
    ['', 'local., rest.'],
  ])('that nobody knows are refused: %j', async (name, known) => {
    const error = await refusal('/x', { options: { [name]: 'hunter2' } });
    expect(error.code).toBe('bad-request');
    expect(error.message).toContain(known);
    expect(wordsOf(error)).not.toContain('hunter2');
  });

  it('can be listed', () => {
    const options = extendedOptions();
    const names = options.map(({ name }) => name);
    expect(names).toContain('local.connections');
    expect(names).toEqual([...names].sort());
    expect(new Set(names).size).toBe(names.length);
    for (const { description } of options) expect(description).not.toBe('');
  });
});

describe('locationBelow', () => {
  it.each([
    ['/srv/repo', 'local:/srv/repo/sub'],
    ['/srv/repo/', 'local:/srv/repo/sub'],
    ['/', 'local:/sub'],
    ['repo', 'local:repo/sub'],
    ['local:a:b', 'local:a:b/sub'],
    ['rest:https://host', 'rest:https://host/sub'],
    ['rest:https://me:pass@host:8000/a/', 'rest:https://me:pass@host:8000/a/sub'],
    ['rest:http+unix:///run/rest.sock', 'rest:http+unix:///run/rest.sock:/sub'],
    ['rest:http+unix:///run/rest.sock:/', 'rest:http+unix:///run/rest.sock:/sub'],
    ['rest:http+unix:///run/rest.sock:/a', 'rest:http+unix:///run/rest.sock:/a/sub'],
    ['sftp:me@host:/srv', 'sftp:me@host:/srv/sub'],
    ['sftp:me@host:', 'sftp:me@host:sub'],
    ['sftp:me@host:/', 'sftp:me@host:/sub'],
    ['sftp://me@host:22/', 'sftp://me@host:22/sub'],
    ['sftp://me@host:22//srv/', 'sftp://me@host:22//srv/sub'],
  ])('%s → %s', (location, below) => {
    expect(locationBelow(location, 'sub')).toBe(below);
  });

  it('throws for what is no location', () => {
    expect(() => locationBelow('bogus:x', 'sub')).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });
});

describe('secrets', () => {
  /** Nothing that could be a part of an honest message by chance. */
  const secret = fc
    .array(fc.constantFrom(...'abcXYZ019-_.~!$&()*+,;=:@/?#%[] "\\éß'), { minLength: 6, maxLength: 24 })
    .map((characters) => `s3cr3T${characters.join('')}`);
  const encoded = secret.map((text) => encodeURIComponent(text));
  /** A secret, and a location in which it is one. */
  const places: fc.Arbitrary<readonly [string, string]>[] = [
    'rest:https://me:SECRET@host:8000/a/',
    'rest:http://:SECRET@host',
    'rest:https://me:SECRET@',
    'rest:https//me:SECRET@host/',
    'rest:me:SECRET@host',
    'rest:ftp://me:SECRET@host/',
    'rest:https://host/?key=SECRET',
    'rest:https://host/#SECRET',
    'rest:https://me:SECRET@host:99999/',
    's3:https://AKIA:SECRET@host/bucket',
    's3:AKIA:SECRET@host/bucket',
    's3://AKIA:SECRET@bucket/prefix',
    's3:https://host/bucket?X-Amz-Signature=SECRET',
    'sftp:me:SECRET@127.0.0.1:/srv',
    'sftp://me:SECRET@127.0.0.1:1/srv',
    'sftp://me:SECRET@127.0.0.1:1',
    'https://me:SECRET@host/',
    'me:SECRET@host',
    'azure:x:SECRET',
    ':SECRET',
  ].flatMap((location) =>
    [secret, encoded].map((text) => text.map((hidden) => [hidden, location.replace('SECRET', () => hidden)] as const)),
  );

  it('are neither in the location of a backend nor in an error', async () => {
    const property = fc.asyncProperty(fc.oneof(...places), async ([hidden, location]) => {
      const words = await openBackend(location, { env: { HOME: '/nonexistent' } }).then(async (backend) => {
        await backend[Symbol.asyncDispose]();
        return backend.location;
      }, wordsOf);
      // The beginning of a secret is one, and so is what stands for it in a URL.
      expect(words).not.toContain('s3cr3T');
      expect(words).not.toContain(hidden);
    });
    await fc.assert(property, { interruptAfterTimeLimit: 3000, markInterruptAsFailure: false });
  });

  it('of the environment are not told either', async () => {
    const env = { RESTIC_REST_USERNAME: 'me', RESTIC_REST_PASSWORD: 'hunter2', AWS_SECRET_ACCESS_KEY: 'hunter2' };
    for (const location of ['rest:https://host/', 'rest:x', 's3:host/bucket']) {
      const words = await openBackend(location, { env }).then(({ location }) => location, wordsOf);
      expect(words).not.toContain('hunter2');
    }
  });
});
