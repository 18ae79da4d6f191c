import { describeBackend } from '@restic-engine/backends/conformance';
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import type { Peer } from '../peers/peers.ts';
import { randomFrom } from '../support/random.ts';
import { resticAt } from '../support/restic.ts';
import type { Restic } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { startDaemon } from './daemon.ts';
import { openPlace } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';
import { startOurs } from './ours.ts';
import type { Ours, OursOptions } from './ours.ts';
import type { Place } from './server.ts';

// Our REST server, judged by restic as its client and by restic's own server, request by request. There is no other
// client to judge it: rclone serves the protocol, it does not speak it.

showLogsOfFailures();

/** restic at a place, run in a directory of its own. */
function clientAt(peer: Peer, { location, env, options }: Place): Restic & Disposable & { readonly path: string } {
  const folder = makeTempDir();
  const restic = resticAt(peer, { repo: location, env, options, cwd: folder.path });
  return { ...restic, path: folder.path, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

/** The whole life of a repository, by restic. */
async function live(restic: Peer, place: Place, flags: readonly string[] = []): Promise<void> {
  using client = clientAt(restic, place);
  const { ok, json, backup } = client;
  const source = join(client.path, 'source');
  execFileSync('mkdir', [source]);
  for (let index = 0; index < 4; index++) {
    writeFileSync(join(source, `${index}`), randomFrom(index + 1).bytes(5_000_000));
  }
  await ok(['init', ...flags]);
  await backup([source, ...flags]);
  writeFileSync(join(source, '0'), randomFrom(9).bytes(5_000_000));
  await backup([source, ...flags]);
  await ok(['check', '--read-data', ...flags]);
  await ok(['forget', '--keep-last', '1', '--prune', '--max-unused', '0', ...flags]);
  await ok(['check', '--read-data', ...flags]);
  expect((await json(['snapshots', ...flags])).flat()).toHaveLength(1);
  await ok(['restore', 'latest', '--target', join(client.path, 'target'), ...flags]);
  execFileSync('diff', ['-r', source, join(client.path, 'target', source)]);
}

/** A certificate for 127.0.0.1 that vouches for itself. */
function makeCertificate(folder: string): { key: string; cert: string } {
  const key = join(folder, 'key.pem');
  const cert = join(folder, 'cert.pem');
  const subject = ['-subj', '/CN=rest-server test', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  return { key, cert };
}

await describeWithPeer('restic', 'our REST server, with restic as the client', (restic) => {
  it.each<[string, OursOptions]>([
    ['over TCP, with users', {}],
    ['over a unix socket, with users', { socket: true }],
    [
      'for private repositories, with a limit and metrics',
      { flags: ['--private-repos', '--max-size=1G', '--prometheus'] },
    ],
  ])('works %s', async (_, options) => {
    await using server = await startOurs(options);
    await live(restic, await server.place('tester/photos'));
    expect(readdirSync(join(server.data, 'tester', 'photos', 'locks'))).toEqual([]);
  });

  it('works over TLS, for those who know its certificate', async () => {
    using folder = makeTempDir();
    const { key, cert } = makeCertificate(folder.path);
    await using server = await startOurs({ flags: ['--tls', '--tls-key', key, '--tls-cert', cert] });
    const place = await server.place('x');
    await live(restic, place, ['--cacert', cert]);
    await using stranger = await openPlace(place);
    await expect(stranger.create()).rejects.toMatchObject({ code: 'untrusted' });
  }, 120_000);

  it('lets backups go on when nothing may be removed, and refuses to forget', async () => {
    await using server = await startOurs({ flags: ['--append-only'] });
    using client = clientAt(restic, await server.place('x'));
    const { ok, backup, json, run } = client;
    await ok(['init']);
    await backup([import.meta.filename]);
    await backup([import.meta.filename]);
    expect((await run(['forget', '--keep-last', '1', '--retry-lock', '0s'])).status).not.toBe(0);
    expect((await json(['snapshots'])).flat()).toHaveLength(2);
    expect(readdirSync(join(server.data, 'x', 'locks'))).toEqual([]);
    await ok(['check', '--read-data']);
  });

  it('leaves a folder that restic opens as a local repository', async () => {
    await using server = await startOurs();
    using client = clientAt(restic, await server.place('a/b'));
    await client.ok(['init']);
    await client.backup([import.meta.filename]);
    const local = { repo: join(server.data, 'a', 'b') };
    await client.ok(['check', '--read-data'], local);
    expect((await client.json(['snapshots'], local)).flat()).toHaveLength(1);
  });

  it('ends a backup well that is going on while it is started anew', async () => {
    await using server = await startOurs();
    using client = clientAt(restic, await server.place('x'));
    const { ok, backup } = client;
    const source = join(client.path, 'source');
    writeFileSync(source, randomFrom(5).bytes(40_000_000));
    await ok(['init']);
    // It takes eight seconds, and five packs arrive together at its end: restic cannot repeat what was stored already.
    const saved = backup([source, '--limit-upload', '5000']);
    const locks = (): string[] => readdirSync(join(server.data, 'x', 'locks'));
    while (locks().length === 0) await setTimeout(20);
    await setTimeout(1500);
    await server.restart();
    await saved;
    expect(await ok(['check', '--read-data'])).toContain('no errors were found');
  }, 120_000);
});

describe('our REST server', () => {
  const running: Ours[] = [];
  let places = 0;
  beforeAll(async () => void running.push(await startOurs()));
  afterAll(() => running[0]?.[Symbol.asyncDispose]());
  describeBackend({ describe, it }, 'restic-engine serve', async () => {
    places += 1;
    return openPlace(await running[0]!.place(`place-${places}`));
  });
});

const V1 = 'application/vnd.x.restic.rest.v1';
const V2 = 'application/vnd.x.restic.rest.v2';
const HELLO = createHash('sha256').update('hello').digest('hex');
const OTHER = createHash('sha256').update('other').digest('hex');
const AT = `/r/data/${HELLO}`;

interface Question {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly length: string | undefined;
  readonly type: string | undefined;
}

const q = (method: string, path: string, more: Partial<Question> = {}): Question => ({ method, path, ...more });
const range = (value: string): Question => q('GET', AT, { headers: { range: value } });

/** Asked one after another, of both servers, which begin empty. */
const QUESTIONS: readonly Question[] = [
  q('GET', '/'),
  q('OPTIONS', '/'),
  q('GET', '/r'),
  q('GET', '/r/'),
  q('HEAD', '/r/config'),
  q('GET', '/r/config'),
  q('POST', '/r/'),
  q('POST', '/r/?create=false'),
  q('POST', '/r/?create=true'),
  q('POST', '/r/?create=true'),
  q('POST', '/r/config', { body: 'cfg' }),
  q('POST', '/r/config', { body: 'cfg' }),
  q('HEAD', '/r/config'),
  q('GET', '/r/config'),
  q('PUT', '/r/config', { body: 'x' }),
  q('GET', '/r/config/'),
  q('GET', '/r/data/'),
  q('GET', '/r/data/', { headers: { accept: V2 } }),
  q('HEAD', AT),
  q('GET', AT),
  q('DELETE', AT),
  q('POST', AT, { body: 'hellx' }),
  q('POST', AT, { body: '' }),
  q('POST', AT, { body: 'hello' }),
  q('POST', AT, { body: 'hello' }),
  q('POST', AT, { body: 'hellx' }),
  q('HEAD', AT),
  q('GET', AT),
  range('bytes=1-2'),
  range('bytes=1-'),
  range('bytes=1-200'),
  range('bytes=-2'),
  range('bytes=-200'),
  range('bytes=0-0'),
  range('bytes=5-'),
  range('bytes=7-9'),
  range('bytes=3-1'),
  range('bytes=x'),
  range('lines=1-2'),
  q('GET', AT, { headers: { range: 'bytes=1-2', 'if-range': '"x"' } }),
  q('GET', '/r/data/'),
  q('GET', '/r/data/', { headers: { accept: V1 } }),
  q('GET', '/r/data/', { headers: { accept: V2 } }),
  q('GET', '/r/data/', { headers: { accept: `${V2}, */*` } }),
  q('GET', '/r/%64ata/'),
  q('GET', '/r/data'),
  q('HEAD', '/r/data/'),
  q('POST', '/r/data/', { body: 'x' }),
  q('GET', '/r/blobs/'),
  q('GET', '/r/data/zz'),
  q('GET', `/r/data/${HELLO.toUpperCase()}`),
  q('GET', `/r/data/${HELLO}/`),
  q('GET', `/r/data/${HELLO.slice(0, 2)}/${HELLO}`),
  q('PATCH', AT),
  q('DELETE', '/r/'),
  q('DELETE', '/r/data/'),
  q('POST', `/r/locks/${HELLO}`, { body: 'hello' }),
  q('DELETE', `/r/locks/${HELLO}`),
  q('DELETE', `/r/locks/${HELLO}`),
  q('GET', `/r/keys/${OTHER}`),
  q('GET', '/a/b/c/config'),
  q('GET', '/a/b/c/data/'),
  q('POST', '/a/b/?create=true'),
  q('GET', '/a/b/data/'),
  q('GET', '/metrics'),
  q('DELETE', AT),
  q('GET', AT),
  q('DELETE', '/r/config'),
  q('HEAD', '/r/config'),
];

/** Where the two differ, and why: docs/rest-server.md, "Differences". */
const DIFFERENT: readonly [Question, theirs: number, ours: number][] = [
  [q('GET', '/r/../r/data/'), 301, 404],
  [q('GET', '//r/data/'), 301, 404],
  [q('GET', '/r/%2e%2e/r/data/'), 301, 404],
  [q('GET', '/r%2fdata/'), 200, 404],
  [q('GET', '/nowhere/data/'), 404, 200],
  [range('bytes=0-1,3-4'), 206, 200],
  [q('POST', `/r/keys/${OTHER}`, { body: 'other', headers: { 'transfer-encoding': 'chunked' } }), 200, 411],
];

function ask(port: number, { method, path, body, headers = {} }: Question): Promise<Reply> {
  const { 'transfer-encoding': chunked } = headers;
  const length = body === undefined || chunked !== undefined ? {} : { 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const onResponse = (response: IncomingMessage): void => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('end', () => {
        const { 'content-length': announced, 'content-type': type } = response.headers;
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString(), length: announced, type });
      });
    };
    const sent = request({ port, host: '127.0.0.1', method, path, agent: false, headers: { ...length, ...headers } });
    sent.once('error', reject).once('response', onResponse).end(body);
  });
}

/** What is counted of files written and removed; of reads restic's server counts those as well that it refuses. */
const counted = (text: string): string[] =>
  text.split('\n').filter((line) => /^rest_server_blob_(write|delete)/.test(line));

/** What a client can tell from a reply: a length where there is no body, the type of a list, and every successful body. */
function meaning(question: Question, { status, text, length, type }: Reply): unknown {
  const listed = type?.startsWith('application/vnd.x.restic') ? type : undefined;
  return {
    ask: `${question.method} ${question.path} ${JSON.stringify(question.headers ?? {})}`,
    status,
    ...(status < 300 && { text: question.path === '/metrics' ? counted(text).sort() : text, listed }),
    ...(status < 300 && question.method === 'HEAD' && { length }),
  };
}

await describeWithPeer('rest-server', "our REST server beside restic's", (theirs) => {
  const startTheirs = (folder: string, flags: readonly string[]) =>
    startDaemon({
      command: theirs.path,
      args: ['--path', folder, '--no-auth', '--listen', '127.0.0.1:0', ...flags],
      ready: /start server on 127\.0\.0\.1:(\d+)/,
    });

  it.each([[[]], [['--append-only']], [['--no-verify-upload']], [['--prometheus']]])(
    'answers every request alike with %j',
    async (flags) => {
      using folder = makeTempDir();
      await using other = await startTheirs(join(folder.path), flags);
      await using own = await startOurs({ flags: ['--no-auth', ...flags] });
      for (const question of QUESTIONS) {
        const [expected, found] = await Promise.all([ask(other.port, question), ask(own.port, question)]);
        expect(meaning(question, found)).toEqual(meaning(question, expected));
      }
    },
  );

  it('has no more room where the other has none', async () => {
    using folder = makeTempDir();
    const flags = ['--max-size', '5000'];
    await using other = await startTheirs(folder.path, flags);
    await using own = await startOurs({ flags: ['--no-auth', ...flags] });
    for (const [body, status] of [
      ['hello', 200],
      ['x'.repeat(6000), 507],
    ] as const) {
      const path = `/r/data/${createHash('sha256').update(body).digest('hex')}`;
      for (const { port } of [other, own]) expect((await ask(port, q('POST', path, { body }))).status).toBe(status);
    }
  });

  it('differs where it is meant to', async () => {
    using folder = makeTempDir();
    await using other = await startTheirs(folder.path, []);
    await using own = await startOurs({ flags: ['--no-auth'] });
    for (const { port } of [other, own]) {
      await ask(port, q('POST', '/r/?create=true'));
      await ask(port, q('POST', AT, { body: 'hello' }));
    }
    for (const [question, theirStatus, ourStatus] of DIFFERENT) {
      const statuses = [(await ask(other.port, question)).status, (await ask(own.port, question)).status];
      expect(statuses, `${question.method} ${question.path}`).toEqual([theirStatus, ourStatus]);
    }
  });
});
