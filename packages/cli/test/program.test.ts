import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { initAt, messages, PASSWORD, runProgram, runShell, whileLocked } from './program.ts';
import type { Run } from './program.ts';
import { makeTempDir } from './temp-dir.ts';

const LOADED = ['--import', fileURLToPath(new URL('print-modules.mjs', import.meta.url))];

describe('the command line itself', () => {
  it('starts without what it does not need', async () => {
    for (const args of [['version'], ['--help'], ['backup', '--help'], ['help', 'ls']]) {
      const { status, stdout, stderr } = await runProgram(args, { node: LOADED });
      expect(status).toBe(0);
      expect(stdout).toContain('restic-engine');
      // The program itself must be among the names, or the others prove nothing.
      expect(stderr).toContain('cli/src/main.ts');
      expect(stderr).not.toMatch(/packages\/(engine|repository|snapshot|backends|repo-format)\/|@clack/);
    }
  });

  it('prints help without words', async () => {
    const { status, stdout } = await runProgram([]);
    expect(status).toBe(0);
    for (const name of ['backup', 'restore', 'snapshots', 'key', '--repo', '--json']) expect(stdout).toContain(name);
  });

  it('tells its version', async () => {
    const { stdout } = await runProgram(['version', '--json']);
    expect(Object.keys(messages(stdout)[0] ?? {})).toEqual([
      'message_type',
      'version',
      'go_version',
      'go_os',
      'go_arch',
    ]);
  });

  it.each([
    [['bogus'], 'bogus'],
    [['snapshots', '--bogus'], '--bogus'],
    [['snapshots'], 'specify repository location'],
    [['-r', 'x', '-q', '-v', 'snapshots'], '--quiet and --verbose'],
    [['-r', 'x', 'snapshots', '--latest', 'many'], '--latest'],
    [['-r', 'x', 'snapshots', '--limit-upload', 'much'], '--limit-upload'],
    [['-r', 'x', '-o', 'a=b', 'snapshots'], 'unknown extended option a'],
    [['-r', 'x', '--cacert', 'nonexistent', 'snapshots'], 'nonexistent'],
    [['-r'], '--repo'],
    [['-q', '--limit-upload'], '--limit-upload'],
    [['self-update'], 'npm install --global'],
    [['generate'], 'nothing to do'],
    [['generate', '--zsh-completion', '-', '--bash-completion', '-'], 'single shell only'],
    [['features', 'x'], 'expects no arguments'],
    [['-r', 'x', 'repair', 'packs'], 'no ids specified'],
    [['-r', 'x', 'check', '--read-data-subset', '3/2'], '--read-data-subset'],
    [['-r', 'x', 'check', '--read-data-subset', '1%', '--read-data'], 'cannot be used together'],
    [['-r', 'x', '--no-lock', 'prune'], '--dry-run'],
    [['-r', 'x', 'prune', '--max-unused', '100%'], '--max-unused'],
    [['-r', 'x', 'backup'], 'nothing to backup'],
    [['-r', 'x', 'backup', '--stdin', 'y'], '--stdin was specified'],
    [['-r', 'x', 'backup', '--stdin-from-command'], 'no command'],
    [['-r', 'x', 'restore', 'latest'], '--target'],
    [['-r', 'x', 'restore', 'a', '-t', 'y', '-i', 'z', '-e', 'z'], 'mutually exclusive'],
    [['-r', 'x', 'restore', 'a', '-t', '/', '--delete'], 'include or exclude filter'],
    [['-r', 'x', 'restore', 'a', '-t', 'y', '--overwrite', 'maybe'], '--overwrite'],
    [['-r', 'x', 'ls'], 'no snapshot ID'],
    [['-r', 'x', 'ls', 'latest', 'relative'], 'absolute'],
    [['-r', 'x', 'cat', 'thing'], 'invalid type "thing"'],
    [['-r', 'x', 'init', '--repository-version', '9'], 'between 1 and 2'],
    [['-r', 'bogus:x', 'snapshots'], 'unknown kind of location'],
  ])('refuses %j with exit status 1', async (args, text) => {
    const { status, stdout, stderr } = await runProgram(args);
    expect(stderr).toContain(text);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  it('fails in JSON when asked to, wherever the flag stands', async () => {
    const { status, stderr } = await runProgram(['snapshots', '--bogus', '--json']);
    expect(status).toBe(1);
    expect(messages(stderr)).toEqual([
      { message_type: 'exit_error', code: 1, message: expect.stringContaining('--bogus') as unknown },
    ]);
  });
});

describe('exit statuses', () => {
  it('10: there is no repository', async () => {
    using dir = makeTempDir();
    const { status, stderr } = await runProgram(['-r', join(dir.path, 'no'), 'snapshots', '--json']);
    expect(status).toBe(10);
    const [failure] = messages(stderr);
    expect(failure).toMatchObject({ message_type: 'exit_error', code: 10 });
    expect(failure?.['message']).toContain(`Is there a repository at the following location?\n${join(dir.path, 'no')}`);
  });

  it('12: the password is wrong, and is not told', async () => {
    using dir = makeTempDir();
    await initAt(dir.path);
    const { status, stderr } = await runProgram(['-r', dir.path, 'snapshots'], { env: { RESTIC_PASSWORD: 'hunter2' } });
    expect(status).toBe(12);
    expect(stderr).toBe('Fatal: wrong password or no key found\n');
  });

  it('1: nothing of what is to be backed up is there', async () => {
    using dir = makeTempDir();
    await initAt(join(dir.path, 'repo'));
    const { status, stderr } = await runProgram(['-r', 'repo', 'backup', 'this', 'that'], { cwd: dir.path });
    expect(status).toBe(1);
    expect(stderr).toBe(
      'this does not exist, skipping\nthat does not exist, skipping\nFatal: none of the files and directories to save exists\n',
    );
  });

  it('11: the repository is locked, unless it need not be', async () => {
    using dir = makeTempDir();
    await initAt(dir.path);
    await whileLocked(dir.path, async () => {
      const { status, stderr } = await runProgram(['-r', dir.path, 'snapshots']);
      expect(status).toBe(11);
      expect(stderr).toContain(`PID ${process.pid}`);
      expect(stderr).toContain('the `unlock` command can be used to remove stale locks');
      expect((await runProgram(['-r', dir.path, 'snapshots', '--no-lock'])).status).toBe(0);
    });
  });

  it('1: no password', async () => {
    using dir = makeTempDir();
    await initAt(dir.path);
    const { status, stderr } = await runProgram(['-r', dir.path, 'snapshots'], { env: { RESTIC_PASSWORD: '' } });
    expect(status).toBe(1);
    expect(stderr).toContain('--insecure-no-password');
  });

  it('refuses paths that are not UTF-8 instead of taking others, and takes U+FFFD for what it is', async () => {
    using dir = makeTempDir();
    const initRaw = (bytes: string): Promise<Run> =>
      // A shell makes the bytes: Node cannot pass them on.
      runShell(`"$0" "$@" -r "$(printf '${dir.path}/r${bytes}')" init`);
    const garbled = await initRaw('\\377');
    expect([garbled.status, readdirSync(dir.path)]).toEqual([1, []]);
    expect(garbled.stderr).toContain('not UTF-8');
    expect((await initRaw('\\357\\277\\275')).status).toBe(0);
    expect(readdirSync(dir.path)).toEqual(['r\ufffd']);
  });

  it('takes a password from standard input, but not beside data', async () => {
    using dir = makeTempDir();
    await initAt(dir.path);
    const options = { env: { RESTIC_PASSWORD: '' }, input: `${PASSWORD}\n` };
    expect((await runProgram(['-r', dir.path, 'snapshots'], options)).status).toBe(0);
    const { status, stderr } = await runProgram(['-r', dir.path, 'backup', '--stdin'], options);
    expect(status).toBe(1);
    expect(stderr).toContain('cannot read both password and data from stdin');
  });

  it('130: interrupted, and the lock is gone', async () => {
    using dir = makeTempDir();
    await initAt(dir.path);
    const { status, stderr } = await runProgram(['-r', dir.path, 'backup', '--stdin', '--json'], {
      onStart: (child) => child.stdout?.once('data', () => child.kill('SIGINT')),
    });
    expect(status).toBe(130);
    expect(stderr).toContain('signal SIGINT received');
    expect(readdirSync(join(dir.path, 'locks'))).toEqual([]);
    expect(readdirSync(join(dir.path, 'snapshots'))).toEqual([]);
  });

  it('does its work where nobody can be told of it, and ends with status 1 and no lock', async () => {
    using dir = makeTempDir();
    const repo = join(dir.path, 'repo');
    await initAt(repo);
    for (const words of ['backup --host h .', 'ls latest', 'profile list']) {
      const line = `"$0" "$@" -r '${repo}' ${words} > /dev/full`;
      const { status, stderr } = await runShell(line, { cwd: import.meta.dirname });
      expect([status, stderr.includes('ENOSPC: no space left on device'), stderr.includes('    at ')]).toEqual([
        1,
        true,
        false,
      ]);
    }
    expect(readdirSync(join(repo, 'snapshots'))).toHaveLength(1);
    expect(readdirSync(join(repo, 'locks'))).toEqual([]);
  });
});

describe('a round trip', () => {
  it('backs up, lists, looks and says what it did', async () => {
    using dir = makeTempDir();
    mkdirSync(join(dir.path, 'data/sub'), { recursive: true });
    writeFileSync(join(dir.path, 'data/a.txt'), 'hello\n');
    writeFileSync(join(dir.path, 'data/sub/b'), 'world');
    const repo = join(dir.path, 'repo');
    await initAt(repo);
    const run = (...args: string[]): ReturnType<typeof runProgram> =>
      runProgram(['-r', repo, ...args], { cwd: dir.path });

    const saved = await run('backup', 'data', '--tag', 'x,y', '--host', 'h');
    expect(saved).toMatchObject({ status: 0 });
    expect(saved.stdout).toMatch(/^snapshot [0-9a-f]{8} saved$/m);
    expect(saved.stdout).toContain('Files:           2 new,     0 changed,     0 unmodified');

    const partial = await run('backup', 'data', 'missing', '--host', 'h', '--json');
    expect(partial.status).toBe(3);
    expect(messages(partial.stdout).at(-1)).toMatchObject({ message_type: 'summary', files_unmodified: 2 });
    expect(messages(partial.stderr).map((message) => message['message_type'])).toContain('error');

    const [list] = messages((await run('snapshots', '--json', '--tag', 'x')).stdout) as unknown as Record<
      string,
      unknown
    >[][];
    expect(list).toHaveLength(1);
    expect(list?.[0]).toMatchObject({ hostname: 'h', tags: ['x', 'y'], paths: [join(dir.path, 'data')] });
    expect(saved.stdout).toContain(String(list?.[0]?.['short_id']));

    const listing = await run('ls', 'latest', '-q');
    expect(listing.stdout).toBe('/data\n/data/a.txt\n/data/sub\n/data/sub/b\n');
    expect((await run('ls', 'latest:data', '-q', '/sub')).stdout).toBe('/sub\n/sub/b\n');

    const restored = await run('restore', 'latest:data', '--target', 'out', '--exclude', 'b');
    expect(restored.status).toBe(0);
    expect(restored.stdout).toContain('Summary: Restored 2 ');
    expect(readdirSync(join(dir.path, 'out'), { recursive: true })).toEqual(['a.txt', 'sub']);
    expect(readFileSync(join(dir.path, 'out/a.txt'), 'utf8')).toBe('hello\n');

    const config = await run('cat', 'config');
    expect(JSON.parse(config.stdout)).toMatchObject({ version: 2 });
    expect(readdirSync(join(repo, 'locks'))).toEqual([]);
  });
});
