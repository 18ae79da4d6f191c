import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { accessLogLine } from '../src/render/access-log.ts';
import { messages, runProgram } from './program.ts';
import { makeTempDir } from './temp-dir.ts';

const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

/** bcrypt of "secret", of the lowest cost */
const ALICE = 'alice:$2b$04$05FKwrLBdIAsuG.XXVlc/uAlIqevKGh9hdlirW3iovS3BME6ghvNG\n';

/** Runs `serve --json` and does something with it; then it is ended by `end`. */
function whileServing(
  args: readonly string[],
  work: (url: string, child: ChildProcess) => Promise<void>,
  end: NodeJS.Signals = 'SIGTERM',
) {
  return runProgram(['serve', '--json', '--listen', '127.0.0.1:0', ...args], {
    onStart(child) {
      child.stdout?.once('data', (line: Buffer) => {
        const { url } = JSON.parse(line.toString()) as { url: string };
        void work(url, child).finally(() => child.kill(end));
      });
    },
  });
}

describe('serve', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('serves folders to its users until %s, and ends with 0', async (end) => {
    using dir = makeTempDir();
    writeFileSync(join(dir.path, '.htpasswd'), ALICE);
    const log = join(dir.path, 'log');
    const statuses: number[] = [];
    const { status, stdout, stderr } = await whileServing(
      ['--path', dir.path, '--private-repos', '--log', log],
      async (url) => {
        for (const path of ['alice/x/?create=true', 'bob/?create=true']) {
          const answer = await fetch(`${url}${path}`, { method: 'POST', headers: basic('alice', 'secret') });
          statuses.push(answer.status);
        }
        statuses.push((await fetch(`${url}alice/x/data/`)).status);
      },
      end,
    );
    expect({ status, statuses }, stderr).toEqual({ status: 0, statuses: [200, 401, 401] });
    expect(messages(stdout)).toHaveLength(1);
    expect(existsSync(join(dir.path, 'alice', 'x', 'data', 'ff'))).toBe(true);
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    expect(lines[0]).toMatch(
      /^127\.0\.0\.1 - alice \[.*\] "POST \/alice\/x\/\?create=true HTTP\/1\.1" 200 0 "" "node"$/,
    );
    expect(lines).toHaveLength(3);
  });

  it('reads the users again on SIGHUP', async () => {
    using dir = makeTempDir();
    const users = join(dir.path, 'users');
    writeFileSync(users, ALICE);
    const statuses: number[] = [];
    const run = await whileServing(['--path', dir.path, '--htpasswd-file', users], async (url, child) => {
      const ask = async () => (await fetch(`${url}data/`, { headers: basic('alice', 'secret') })).status;
      statuses.push(await ask());
      writeFileSync(users, '');
      child.kill('SIGHUP');
      await new Promise((resolve) => setTimeout(resolve, 300));
      statuses.push(await ask());
    });
    expect([run.status, ...statuses]).toEqual([0, 200, 401]);
  });

  it('serves the one repository that -r names', async () => {
    using dir = makeTempDir();
    const place = join(dir.path, 'place');
    const run = await whileServing(['-r', place, '--no-auth', '--append-only'], async (url) => {
      await fetch(`${url}?create=true`, { method: 'POST' });
      await fetch(`${url}config`, { method: 'POST', body: 'x' });
      expect((await fetch(`${url}config`, { method: 'DELETE' })).status).toBe(403);
      expect((await fetch(`${url}below/data/`)).status).toBe(404);
    });
    expect(run.status, run.stderr).toBe(0);
    expect(readFileSync(join(place, 'config'), 'utf8')).toBe('x');
  });

  it.each([
    [[], '--path'],
    [['--path', 'x'], '--no-auth'],
    [['--path', 'x', '-r', 'y'], 'mutually exclusive'],
    [['-r', 'y'], '--htpasswd-file'],
    [['--path', 'x', '--no-auth', '--private-repos'], '--private-repos'],
    [['--path', 'x', '--no-auth', '--tls-key', 'k'], '--tls'],
    [['--path', 'x', '--no-auth', '--tls'], 'private_key'],
    [['--path', 'x', '--no-auth', '--listen', 'nonsense'], '--listen'],
    [['--path', 'x', '--no-auth', '--listen', ':99999'], '--listen'],
    [['--path', 'x', '--no-auth', '--max-size', '-1'], '--max-size'],
  ])('refuses %j', async (args, text) => {
    const { status, stderr } = await runProgram(['serve', ...args]);
    expect(stderr).toContain(text);
    expect(status).toBe(1);
  });
});

describe('the access log', () => {
  it('has lines that nobody can forge', () => {
    const record = {
      method: 'GET',
      target: '/a"b\n',
      user: 'eve [x]" 200\n',
      repository: undefined,
      status: 404,
      bytesSent: 10,
      durationMs: 1,
      remote: undefined,
      userAgent: 'x"\r\n127.0.0.1 - -',
      referrer: undefined,
      error: undefined,
    };
    expect(accessLogLine(record, new Date(Date.UTC(2026, 0, 2, 3, 4, 5)))).toBe(
      String.raw`- - eve\x20[x]\x22\x20200\x0a [02/Jan/2026:03:04:05 +0000] "GET /a\x22b\x0a HTTP/1.1" 404 10 "" "x\x22\x0d\x0a127.0.0.1 - -"`,
    );
  });
});
