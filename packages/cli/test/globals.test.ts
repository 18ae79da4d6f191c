import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expandVerbose, GLOBAL_FLAGS } from '../src/flags.ts';
import { findOperands } from '../src/global-flag.ts';
import { repositoryLocation, resolveGlobals } from '../src/globals.ts';
import { resolveTransport } from '../src/transport.ts';
import { makeTempDir } from './temp-dir.ts';

describe('resolveGlobals', () => {
  it('has defaults', () => {
    expect(resolveGlobals({}, {})).toEqual({
      repository: { location: undefined, file: undefined },
      password: { command: undefined, file: undefined, text: undefined, insecureNoPassword: false },
      keyHint: undefined,
      json: false,
      verbosity: 1,
      fps: undefined,
      lock: true,
      retryLockMs: undefined,
      compression: undefined,
      packSize: undefined,
      verifyWrites: true,
      transport: resolveTransport({}, {}),
      cache: { wanted: true, folder: undefined, cleanUp: false },
    });
  });

  it('knows where the cache is', () => {
    const env = { RESTIC_CACHE_DIR: '/env' };
    expect(resolveGlobals({}, env).cache.folder).toBe('/env');
    expect(resolveGlobals({}, { RESTIC_CACHE_DIR: '' }).cache.folder).toBeUndefined();
    const flags = { cacheDir: '/flag', noCache: true, cleanupCache: true };
    expect(resolveGlobals(flags, env).cache).toEqual({ wanted: false, folder: '/flag', cleanUp: true });
  });

  it('reads the environment', () => {
    const globals = resolveGlobals(
      {},
      {
        RESTIC_REPOSITORY: '/r',
        RESTIC_REPOSITORY_FILE: '/rf',
        RESTIC_PASSWORD: ' p ',
        RESTIC_PASSWORD_FILE: '/pf',
        RESTIC_PASSWORD_COMMAND: 'pc',
        RESTIC_KEY_HINT: 'abcd',
        RESTIC_PACK_SIZE: '32',
        RESTIC_COMPRESSION: 'max',
        RESTIC_PROGRESS_FPS: '0.5',
      },
    );
    expect(globals.repository).toEqual({ location: '/r', file: '/rf' });
    expect(globals.password).toEqual({ command: 'pc', file: '/pf', text: ' p ', insecureNoPassword: false });
    expect(globals).toMatchObject({ keyHint: 'abcd', packSize: 32 * 2 ** 20, compression: 'max', fps: 0.5 });
  });

  it('prefers flags', () => {
    const env = {
      RESTIC_REPOSITORY: '/env',
      RESTIC_COMPRESSION: 'nonsense',
      RESTIC_PACK_SIZE: 'nonsense',
      RESTIC_KEY_HINT: 'e',
    };
    const globals = resolveGlobals({ repo: '/flag', compression: 'off', packSize: '8', keyHint: 'f' }, env);
    expect(globals.repository.location).toBe('/flag');
    expect(globals).toMatchObject({ compression: 'off', packSize: 8 * 2 ** 20, keyHint: 'f' });
  });

  it('takes what is empty for absent', () => {
    const { repository, password } = resolveGlobals(
      { passwordCommand: '' },
      { RESTIC_REPOSITORY: '', RESTIC_PASSWORD: '' },
    );
    expect(repository.location).toBeUndefined();
    expect(password).toMatchObject({ command: undefined, text: undefined });
  });

  it('knows four degrees of talk', () => {
    expect(
      [{ quiet: true }, {}, { verbose: 1 }, { verbose: 2 }].map((flags) => resolveGlobals(flags, {}).verbosity),
    ).toEqual([0, 1, 2, 3]);
    expect(() => resolveGlobals({ quiet: true, verbose: 1 }, {})).toThrow('--quiet and --verbose');
  });

  it('refuses what it cannot understand, and says where it stands', () => {
    expect(() => resolveGlobals({ compression: 'x' }, {})).toThrow('--compression');
    expect(() => resolveGlobals({}, { RESTIC_COMPRESSION: 'x' })).toThrow('RESTIC_COMPRESSION');
    expect(() => resolveGlobals({}, { RESTIC_PACK_SIZE: 'x' })).toThrow('RESTIC_PACK_SIZE');
    expect(() => resolveGlobals({ packSize: '129' }, {})).toThrow('128 MiB');
    expect(() => resolveGlobals({ retryLock: 'soon' }, {})).toThrow('--retry-lock');
  });

  it('limits frames to sixty a second and ignores nonsense', () => {
    const fps = (text: string): number | undefined => resolveGlobals({}, { RESTIC_PROGRESS_FPS: text }).fps;
    expect([fps('600'), fps('-1'), fps('x'), fps('0')]).toEqual([60, undefined, undefined, undefined]);
  });
});

describe('repositoryLocation', () => {
  it('comes from the flag or from a file, not from both', async () => {
    using dir = makeTempDir();
    const file = join(dir.path, 'location');
    writeFileSync(file, '  /srv/backup \n');
    await expect(repositoryLocation({ location: undefined, file })).resolves.toBe('/srv/backup');
    await expect(repositoryLocation({ location: '/x', file: undefined })).resolves.toBe('/x');
    await expect(repositoryLocation({ location: '/x', file })).rejects.toThrow('mutually exclusive');
    await expect(repositoryLocation({ location: undefined, file: undefined })).rejects.toThrow(
      'specify repository location',
    );
    await expect(repositoryLocation({ location: undefined, file: `${file}.no` })).rejects.toThrow('does not exist');
  });
});

describe('findOperands', () => {
  it.each([
    [['snapshots'], ['snapshots']],
    [['-r', 'repo', 'backup', '--', 'x'], ['backup']],
    [
      ['--repo=repo', '-q', 'ls', 'latest'],
      ['ls', 'latest'],
    ],
    [
      ['-qr', 'repo', 'cat', 'config'],
      ['cat', 'config'],
    ],
    [
      ['--json', '--password-file', 'f', 'help', 'ls'],
      ['help', 'ls'],
    ],
    [['--', 'ls'], []],
    [[], []],
  ])('%j → %j', (argv, operands) => {
    expect(findOperands(argv, GLOBAL_FLAGS)).toEqual(operands);
  });
});

describe('expandVerbose', () => {
  it('turns a level into flags', () => {
    expect(expandVerbose(['--verbose=2', 'ls', '--verbose=0', '-v=7'])).toEqual([
      '--verbose',
      '--verbose',
      'ls',
      '--verbose',
      '--verbose',
    ]);
  });

  it('leaves the words of a command alone', () => {
    expect(expandVerbose(['backup', '--', 'x', '--verbose=1'])).toEqual(['backup', '--', 'x', '--verbose=1']);
  });
});
