import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { describeWithPeer, peer as findPeer } from '../peers/peers.ts';
import type { Peer } from '../peers/peers.ts';
import { randomFrom } from '../support/random.ts';
import { initAt } from '../support/repository.ts';
import { resticAt, resticCommand } from '../support/restic.ts';
import type { ResticOptions } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// A client of another maker reads what restic backed up, through `restic-engine mount`.

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

interface Mounted extends AsyncDisposable {
  readonly url: string;
  /** Interrupts it and resolves with its exit status and what it printed on standard error. */
  stop(): Promise<{ status: number | null; stderr: string }>;
}

async function mount(options: ResticOptions, ...flags: string[]): Promise<Mounted> {
  const { args, env } = resticCommand(['mount', '--json', ...flags], options);
  const child: ChildProcess = spawn(process.execPath, ['--conditions=@restic-engine/source', MAIN, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close').then(([status]) => status as number | null);
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (line: Buffer) => resolve((JSON.parse(line.toString()) as { url: string }).url));
    child.once('close', () => reject(new Error(stderr)));
  });
  const stop: Mounted['stop'] = async () => {
    child.kill('SIGINT');
    return { status: await ended, stderr };
  };
  return { url, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

async function rclone(peer: Peer, url: string, ...words: string[]): Promise<string> {
  const args = ['--config', '/dev/null', '--webdav-url', url, '--webdav-encoding', 'None', ...words];
  const { stdout } = await promisify(execFile)(peer.path, args, { env: { ...peer.env, HOME: '/nonexistent' } });
  return stdout;
}

/** Paths of files below a folder → bytes and seconds of the modification time. */
function filesIn(folder: string): Record<string, [content: string, mtime: number]> {
  const found: Record<string, [string, number]> = {};
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const stat = statSync(join(folder, entry));
    if (stat.isFile()) found[entry] = [readFileSync(join(folder, entry), 'latin1'), Math.floor(stat.mtimeMs / 1000)];
  }
  return found;
}

const client = await findPeer('rclone');

// Both are needed; whichever is missing is named.
await describeWithPeer(client === undefined ? 'rclone' : 'restic', 'rclone at mounted snapshots', (restic) => {
  const peer = client ?? restic;

  it('copies names, contents, sizes and times out', async () => {
    using dir = makeTempDir();
    const data = join(dir.path, 'data');
    const random = randomFrom(5);
    const contents: Record<string, string | Buffer> = {
      plain: 'text',
      empty: '',
      'with space/and %20 %/é ü 日本/🙂.txt': 'unicode',
      'a&b<c>"d\'#?;+=@,~': 'signs',
      'back\\slash': 'b',
      big: random.bytes(9_000_000),
      'deep/er/and/deeper/x': 'x',
    };
    for (const [path, content] of Object.entries(contents)) {
      mkdirSync(join(data, path, '..'), { recursive: true });
      writeFileSync(join(data, path), content);
      utimesSync(join(data, path), 1_600_000_000.25, 1_500_000_000.75 + content.length);
    }
    symlinkSync('../plain', join(data, 'deep/to-file'));
    linkSync(join(data, 'plain'), join(data, 'hard'));
    const expected = filesIn(data);
    for (const [name, target] of [
      ['to-folder', '..'],
      ['broken', 'nowhere'],
      ['outside', '/etc/passwd'],
    ] as const) {
      symlinkSync(target, join(data, 'deep', name));
    }
    const repo = join(dir.path, 'repo');
    await initAt(repo);
    const theirs = resticAt(restic, { repo, cwd: data });
    await theirs.backup(['.', '--host', 'one', '--tag', 'x']);
    await using mounted = await mount({ repo }, '--refresh', '0');
    const out = join(dir.path, 'out');
    await rclone(peer, mounted.url, 'copy', ':webdav:snapshots/latest', out);
    expect(filesIn(out)).toEqual(expected);
    expect(await rclone(peer, mounted.url, 'lsf', '--dirs-only', ':webdav:')).toBe('hosts/\nids/\nsnapshots/\ntags/\n');

    // Parts, as a reader of a large file asks for them.
    const part = await promisify(execFile)(
      peer.path,
      [
        '--config',
        '/dev/null',
        '--webdav-url',
        mounted.url,
        'cat',
        '--offset',
        '5000000',
        '--count',
        '1000',
        ':webdav:tags/x/latest/big',
      ],
      { env: { ...peer.env, HOME: '/nonexistent' }, encoding: 'buffer' },
    );
    expect(part.stdout.equals((contents['big'] as Buffer).subarray(5_000_000, 5_001_000))).toBe(true);

    // What comes later is there later; what is there cannot be changed.
    writeFileSync(join(data, 'plain'), 'new text');
    await theirs.backup(['plain', '--host', 'two']);
    expect(await rclone(peer, mounted.url, 'cat', ':webdav:hosts/two/latest/plain')).toBe('new text');
    await expect(
      rclone(peer, mounted.url, '--retries', '1', 'deletefile', ':webdav:hosts/two/latest/plain'),
    ).rejects.toThrow('403');
    await expect(rclone(peer, mounted.url, '--retries', '1', 'copy', data, ':webdav:hosts')).rejects.toThrow('403');
    // Others see that somebody reads.
    expect((await theirs.ok(['list', 'locks'])).trim().split('\n')).toHaveLength(1);
    expect(await mounted.stop()).toMatchObject({ status: 0, stderr: 'signal SIGINT received, cleaning up\n' });
    expect((await theirs.ok(['list', 'locks'])).trim()).toBe('');
  }, 60_000);

  it('shows what filters and templates let through', async () => {
    using dir = makeTempDir();
    const repo = join(dir.path, 'repo');
    await initAt(repo);
    writeFileSync(join(dir.path, 'f'), 'x');
    const flags = { repo, cwd: dir.path, env: { TZ: 'UTC' } };
    const theirs = resticAt(restic, flags);
    await theirs.backup(['f', '--host', 'one', '--time', '2024-01-02 03:04:05']);
    await theirs.backup(['f', '--host', 'two', '--time', '2024-05-06 07:08:09']);
    await using mounted = await mount(
      flags,
      '--host',
      'two',
      '--path-template',
      '%h/%T',
      '--time-template',
      'Jan 2 06',
    );
    const listed = await rclone(peer, mounted.url, 'lsf', '-R', ':webdav:');
    expect(listed.trim().split('\n').toSorted()).toEqual([
      'two/',
      'two/May 6 24/',
      'two/May 6 24/f',
      'two/latest/',
      'two/latest/f',
    ]);
  }, 30_000);
});
