import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OpenContext } from '../../src/scheme.ts';
import { parseLocation } from '../../src/sftp/location.ts';
import { SFTP_SCHEME, sftpOptions } from '../../src/sftp/scheme.ts';
import { splitWords } from '../../src/sftp/words.ts';

const context = (options: Readonly<Record<string, string>> = {}, env: OpenContext['env'] = {}): OpenContext => ({
  options: new Map(Object.entries(options)),
  env,
  http: {},
  bandwidth: undefined,
});

describe('a location', () => {
  it.each([
    ['user@host:/srv/repo', { user: 'user', host: 'host', path: '/srv/repo' }],
    ['host:dir/./repo/', { host: 'host', path: 'dir/repo' }],
    ['host:', { host: 'host', path: '.' }],
    ['me@corp.com@host:repo', { user: 'me@corp.com', host: 'host', path: 'repo' }],
    ['user@host:a:b', { user: 'user', host: 'host', path: 'a:b' }],
    ['[::1]:repo', { host: '::1', path: 'repo' }],
    ['u@[fe80::1%eth0]:repo', { user: 'u', host: 'fe80::1%eth0', path: 'repo' }],
    ['//host/dir', { host: 'host', path: 'dir' }],
    ['//user@host:2222//srv/repo', { user: 'user', host: 'host', port: 2222, path: '/srv/repo' }],
    ['//me%40corp@host:22/a%20b', { user: 'me@corp', host: 'host', port: 22, path: 'a b' }],
    ['//u@[::1]:2222//repo', { user: 'u', host: '::1', port: 2222, path: '/repo' }],
    ['//host/', { host: 'host', path: '.' }],
  ])('%s', (rest, expected) => {
    expect(parseLocation(rest)).toEqual(expected);
  });

  it.each(['', 'host', ':path', '//host', '///path', 'host:~/repo', '//host/~/repo', '//host:0/x', '//host:70000/x'])(
    'is not %s',
    (rest) => {
      expect(() => parseLocation(rest)).toThrow(expect.objectContaining({ code: 'bad-request' }));
    },
  );

  it.each(['//user:s3cret@host/dir', '//host:s3cret/dir', 'user:s3cret@host:dir', '//a%@s3cret/dir'])(
    'with a password is refused and not repeated: %s',
    (rest) => {
      const refused = expect.objectContaining({
        code: 'bad-request',
        message: expect.not.stringContaining('s3cret') as string,
      });
      expect(() => parseLocation(rest)).toThrow(refused);
    },
  );

  it.each([
    ['host:', 'host:x'],
    ['host:repo', 'host:repo/x'],
    ['host:/', 'host:/x'],
    ['//host/', '//host/x'],
    ['//host//', '//host//x'],
  ])('below %s is %s', (rest, expected) => {
    expect(SFTP_SCHEME.below(rest, 'x')).toBe(expected);
  });
});

describe('options', () => {
  it('make the command that restic starts', () => {
    const { command } = sftpOptions('//u@h:2222//repo', context({ args: `-i '/my key' -o "User Known=1"` }));
    expect(command).toEqual(['ssh', 'h', '-p', '2222', '-l', 'u', '-i', '/my key', '-o', 'User Known=1', '-s', 'sftp']);
    expect(sftpOptions('h:repo', context({ args: '' })).command).toEqual(['ssh', 'h', '-s', 'sftp']);
    expect(sftpOptions('h:repo', context({ command: 'my-sftp -e' })).command).toEqual(['my-sftp', '-e']);
  });

  it('and the environment say the rest', () => {
    const given = { connections: '7', 'identity-file': '/k', 'known-hosts-file': '/h', 'config-file': 'none' };
    const env = { RESTIC_ENGINE_SFTP_PASSWORD: 'p', RESTIC_ENGINE_SFTP_PASSPHRASE: 'q' };
    expect(sftpOptions('u@h:repo', context({ ...given, 'insecure-accept-any-host-key': 'true' }, env))).toEqual({
      host: 'h',
      user: 'u',
      path: 'repo',
      connections: 7,
      identityFiles: ['/k'],
      knownHostsFiles: ['/h'],
      configFile: false,
      insecureAcceptAnyHostKey: true,
      password: 'p',
      passphrase: 'q',
      env,
    });
  });

  it.each([
    { command: 'a', args: 'b' },
    { command: '' },
    { command: ' ' },
    { command: 'a "b' },
    { connections: '0' },
    { 'insecure-accept-any-host-key': 'yes' },
  ])('that make no sense are refused: %o', (given) => {
    const read = () => sftpOptions('h:repo', context(given as Record<string, string>));
    expect(read).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });

  it('do not turn a host into an option of ssh', () => {
    const read = () => sftpOptions('-oProxyCommand=x:repo', context({ args: '' }));
    expect(read).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });
});

describe('words of a command line', () => {
  it.each([
    [' a  b\tc ', ['a', 'b', 'c']],
    [`'a b'"c d"e`, ['a bc de']],
    [String.raw`a\ b \" '\' "\""`, ['a b', '"', '\\', '"']],
    [`'' ""`, ['', '']],
    ['\\', ['\\']],
    ['', []],
  ])('%s', (text, expected) => {
    expect(splitWords(text, 'x')).toEqual(expected);
  });

  it('come back from quotes whatever they are', () => {
    const property = fc.property(fc.array(fc.string()), (words) => {
      const text = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
      expect(splitWords(text, 'x')).toEqual(words);
    });
    fc.assert(property, { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false });
  });
});
