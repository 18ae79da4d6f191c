import fc from 'fast-check';
import { EngineError } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { locationOf } from '../../src/server/address.ts';
import { serverFromUrl } from '../../src/server/from-url.ts';
import { parseServerUrl } from '../../src/server/url.ts';

const rest = (changes: object = {}): object => ({
  kind: 'rest',
  protocol: 'https',
  hostname: 'host',
  port: 443,
  repositoryPath: '',
  ...changes,
});
const s3 = (changes: object = {}): object => ({
  kind: 'awss3',
  protocol: 'https',
  hostname: 's3.amazonaws.com',
  port: undefined,
  repositoryPath: 'bucket',
  region: undefined,
  ...changes,
});
const sftp = (changes: object = {}): object => ({
  kind: 'sftp',
  username: 'user',
  hostname: 'host',
  port: undefined,
  repositoryPath: '/srv/repo',
  ...changes,
});

describe('a repository URL', () => {
  it.each([
    ['rest:host', rest()],
    ['rest://host', rest()],
    ['rest:host/', rest()],
    ['rest:host:8000', rest({ port: 8000 })],
    ['rest:http://host/a', rest({ protocol: 'http', port: 80, repositoryPath: 'a' })],
    ['rest://http://host:1/a', rest({ protocol: 'http', port: 1, repositoryPath: 'a' })],
    ['rest:HTTPS://Host.example/a-b_c.d/e/', rest({ hostname: 'Host.example', repositoryPath: 'a-b_c.d/e/' })],
    ['rest:https://[::1]:8000/repo', rest({ hostname: '::1', port: 8000, repositoryPath: 'repo' })],
    ['rest:https://host/a%20b', rest({ repositoryPath: 'a%20b' })],
    ['s3:s3.amazonaws.com/bucket/prefix', s3({ repositoryPath: 'bucket/prefix' })],
    ['s3:/bucket', s3()],
    ['s3:///bucket', s3()],
    ['s3:http://host:9000/bucket', s3({ protocol: 'http', hostname: 'host', port: 9000 })],
    ['s3://minio/bucket', s3({ hostname: 'minio' })],
    ['s3:host/my.bucket/a%20b', s3({ hostname: 'host', repositoryPath: 'my.bucket/a b' })],
    ['s3:https://[fd00::2]/bucket', s3({ hostname: 'fd00::2' })],
    ['sftp:user@host:/srv/repo', sftp()],
    ['sftp:user@host:rel/x', sftp({ repositoryPath: 'rel/x' })],
    ['sftp:my-user.name@host:/a.b/c-d', sftp({ username: 'my-user.name', repositoryPath: '/a.b/c-d' })],
    ['sftp://user@host:2222//srv/repo', sftp({ port: 2222 })],
    ['sftp://user@host:2222/rel', sftp({ port: 2222, repositoryPath: 'rel' })],
    ['sftp:user@host:1234/5678', sftp({ port: 1234, repositoryPath: '5678' })],
    ['sftp:user@host:./1234/5678', sftp({ repositoryPath: '1234/5678' })],
    ['sftp://user@host//srv/repo', sftp()],
    ['sftp://user@host:/srv/repo', sftp()],
    ['sftp://us%40er@host/a%20b', sftp({ username: 'us@er', repositoryPath: 'a b' })],
    ['sftp:user@host:a%20b', sftp({ repositoryPath: 'a%20b' })],
    ['sftp:user@[::1]:/srv/repo/', sftp({ hostname: '::1' })],
    ['sftp:user@host.net:port//path', sftp({ hostname: 'host.net', repositoryPath: 'port/path' })],
  ])('says where: %s', (url, address) => {
    expect(parseServerUrl(url)).toEqual({ address, login: undefined });
  });

  it.each([
    ['rest:https://u:p@host:8000/a/b/', 'u', 'p'],
    ['rest:u:p@host/a', 'u', 'p'],
    ['rest:https://u:p@ss:w@rd@host', 'u', 'p@ss:w@rd'],
    ['rest:https://u%3A:p%2F%3F%23%25@host', 'u:', 'p/?#%'],
  ])('says who: %s', (url, username, password) => {
    expect(parseServerUrl(url).login).toEqual({ username, password });
    expect(locationOf(parseServerUrl(url).address)).toMatch(/^rest:https:\/\/host/);
  });

  it.each([
    '',
    'host',
    'http://host/',
    'b2:bucket',
    'rest:',
    'rest:https://',
    'rest://host,net/path',
    'rest://host:port/path',
    'rest:proto://host/path',
    'rest:ftp://host/path',
    'rest://host:123s/path',
    'rest:host:0/path',
    'rest:host:65536/path',
    'rest:host:/path',
    'rest:user@host/path',
    'rest:user:@host/path',
    'rest::password@host/path',
    'rest:https://user:pass/word@host/path',
    'rest:https://user:123/word@host/path',
    'rest:https://user:100%@host/path',
    'rest:https://host/a?b=c',
    'rest:https://host/a#b',
    'rest:https://host/a b',
    'rest:https://host/%zz',
    'rest:https://::1/repo',
    'rest:https://[host]/repo',
    'rest:-host/repo',
    's3:bucket',
    's3:host/',
    's3:/',
    's3:host//',
    's3:https://key:secret@host/bucket',
    's3:ftp://host/bucket',
    'sftp:host:/path',
    'sftp:user@host',
    'sftp:user@host:',
    'sftp:user@host:/',
    'sftp:user@host/path',
    'sftp:user@host:99999/path',
    'sftp:@host:/path',
    'sftp:user:password@host:/path',
    'sftp://user:password@host/path',
    'sftp://user@host.net:port//path',
    'sftp:user@host:~/path',
    'sftp:user@ho st:/path',
    'sftp:user@host:/a\nb',
  ])('is refused rather than read by halves: %s', (url) => {
    expect(() => parseServerUrl(url)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  it('is refused with a hint where keys are in it', () => {
    expect(() => parseServerUrl('s3:https://key:canary@host/bucket')).toThrow(/keys do not belong into it/);
  });

  const host = fc.constantFrom('host', 'a.b-c.example', '10.0.0.1', '[::1]', '[fd00::1:2]');
  const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined });
  const path = fc
    .stringMatching(/^[\w.-]*[\w-](?:\/[\w.-]*[\w-]){0,3}$/)
    .filter((text) => !/(?:^|\/)\.+(?:\/|$)/.test(text));

  it('says all that is in it', () => {
    const login = fc.option(fc.tuple(fc.string({ minLength: 1 }), fc.string({ minLength: 1 })), { nil: undefined });
    fc.assert(
      fc.property(fc.constantFrom('http', 'https'), login, host, port, path, (protocol, who, where, number, text) => {
        const userinfo = who === undefined ? '' : `${encodeURIComponent(who[0])}:${encodeURIComponent(who[1])}@`;
        const url = `rest:${protocol}://${userinfo}${where}${number === undefined ? '' : `:${number}`}/${text}`;
        const parsed = parseServerUrl(url);
        expect(parsed.login).toEqual(who && { username: who[0], password: who[1] });
        expect(parsed.address).toEqual({
          kind: 'rest',
          protocol,
          hostname: where.replace(/^\[|\]$/g, ''),
          port: number ?? (protocol === 'http' ? 80 : 443),
          repositoryPath: text,
        });
        // The location is a URL again, of the same place and without the password.
        expect(parseServerUrl(locationOf(parsed.address)).address).toMatchObject({
          ...parsed.address,
          repositoryPath: `${text}/`,
        });
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('comes back from the location of an SFTP server', () => {
    fc.assert(
      fc.property(host, port, path, fc.boolean(), (where, number, text, absolute) => {
        const address = parseServerUrl(`sftp://user@${where}:${number ?? 22}/${absolute ? '/' : ''}${text}`).address;
        expect(address).toMatchObject({ port: number ?? 22, repositoryPath: `${absolute ? '/' : ''}${text}` });
        expect(parseServerUrl(locationOf(address)).address).toEqual(address);
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('is read or refused, and never shown', () => {
    const part = fc.constantFrom(
      'rest:',
      's3:',
      'sftp:',
      'https://',
      '//',
      '/',
      ':',
      '@',
      '[',
      ']',
      '%',
      '?',
      'host',
      '22',
      '.',
      ' ',
    );
    const text = fc.oneof(fc.array(fc.oneof(part, fc.string({ maxLength: 3 })), { maxLength: 9 }));
    fc.assert(
      fc.property(text, (parts) => {
        const url = `${parts.join('')}CANARY`;
        try {
          parseServerUrl(url);
        } catch (error) {
          expect(EngineError.is(error, 'bad-request')).toBe(true);
          expect(`${String(error)} ${JSON.stringify(error)} ${String((error as Error).cause)}`).not.toContain('CANARY');
        }
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });
});

describe('the server of a repository URL', () => {
  const KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----';

  it.each([
    ['rest:https://u:canary@host/a b'.replace(' ', '%20'), {}, 'rest:https://host/a%20b/'],
    ['rest:https://host', { username: 'u', serverPassword: 'canary' }, 'rest:https://host/'],
    ['rest:https://u:p@host', { username: 'only' }, 'rest:https://host/'],
    ['rest:https://host', {}, 'rest:https://host/'],
    ['s3:/bucket', { awsAccessKeyId: 'a', awsSecretAccessKey: 'canary' }, 's3:https://s3.amazonaws.com/bucket'],
    ['sftp:user@host:/srv', { sshKey: `\n${KEY}` }, 'sftp:user@host:/srv'],
    ['sftp:user@host:22//srv', { sshKey: KEY }, 'sftp://user@host:22//srv'],
  ])('shows no secret: %s', (url, credentials, location) => {
    const server = serverFromUrl(url, { password: ' canary \n', ...credentials });
    expect(server.location).toBe(location);
    expect(server.password).toBe('canary');
  });

  it.each([
    ['rest:host', { password: ' \n' }, undefined],
    ['rest:host', { username: 'u' }, 'password'],
    ['rest:host', { serverPassword: 'canary' }, 'username'],
    ['s3:/bucket', { awsSecretAccessKey: 'canary' }, 'aws-access-key-id'],
    ['s3:/bucket', { awsAccessKeyId: 'a' }, 'aws-secret-access-key'],
    ['sftp:user@host:/srv', {}, 'ssh-key'],
    ['sftp:user@host:/srv', { sshKey: 'canary' }, 'ssh-key'],
    ['sftp:user@host:/srv', { sshKey: 'ssh-ed25519 canary' }, 'ssh-key'],
  ])('names what is missing: %s %o', (url, credentials, option) => {
    const make = (): unknown => serverFromUrl(url, { password: 'pw', ...credentials });
    expect(make).toThrow(
      expect.objectContaining({ code: 'bad-request', context: option === undefined ? {} : { option } }),
    );
    expect(make).not.toThrow(/canary/);
  });
});
