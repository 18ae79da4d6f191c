import { request } from 'node:http';
import type { IncomingHttpHeaders } from 'node:http';
import * as engine from 'restic-engine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isUnchanged, partOf } from '../src/mount/conditions.ts';
import { hrefOf, pathOf } from '../src/mount/href.ts';
import { parsePropfind } from '../src/mount/propfind.ts';
import { startDav } from '../src/mount/server.ts';
import { initAt, runProgram } from './program.ts';
import { makeTempDir } from './temp-dir.ts';

const TIME = '2024-02-29T10:00:00.5Z';

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Served extends AsyncDisposable {
  /** Asks for a path below the server's URL, or with a `!` before it for exactly that target. */
  ask(method: string, path: string, headers?: Record<string, string>, body?: string): Promise<Answer>;
  readonly failures: readonly unknown[];
  readonly url: string;
  readonly writer: engine.Repository;
}

/** A server over a snapshot of some files in memory. */
async function serve(
  contents: Record<string, string>,
  extra: { breakIt?: (backend: engine.Backend) => Promise<void>; host?: string } = {},
): Promise<Served> {
  const backend = engine.memoryBackend();
  await engine.initRepository({ backend, password: 'x', kdf: { N: 128, r: 1, p: 1 } });
  const writer = await engine.openRepository({ backend, password: 'x', workers: 0 });
  const entries = Object.entries(contents).map(([path, content]) => ({ path, content, mtime: TIME }));
  await engine.backup(writer, { source: engine.objects(entries), time: TIME, hostname: 'h' });
  await extra.breakIt?.(backend);
  const repository = await engine.openRepository({ backend, password: 'x', workers: 0 });
  const fs = engine.snapshotFs(repository, { refreshMs: 0 });
  const failures: unknown[] = [];
  const server = await startDav({
    engine,
    fs,
    host: extra.host ?? '127.0.0.1',
    port: 0,
    onFailure: (_, error) => void failures.push(error),
  });
  const ask = (method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      // Not through URL, which would make another path of some.
      const { hostname, port, pathname } = new URL(server.url);
      const target = path.startsWith('!') ? path.slice(1) : pathname + path;
      const sent = request({ method, headers, port, host: hostname.replace(/[[\]]/g, ''), path: target }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks).toString() }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  return { ask, failures, url: server.url, writer, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const LATEST = 'snapshots/latest/';

describe('a WebDAV server of snapshots', () => {
  it('gives files, their parts and what is known of them', async () => {
    await using place = await serve({ 'a.txt': 'content', 'é %#?&</x': 'odd', same: 'content', none: '' });
    const { ask } = place;
    const whole = await ask('GET', `${LATEST}a.txt`);
    expect(whole).toMatchObject({ status: 200, body: 'content' });
    expect(whole.headers).toMatchObject({
      'content-length': '7',
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      'last-modified': 'Thu, 29 Feb 2024 10:00:00 GMT',
      'content-security-policy': "default-src 'none'; sandbox",
    });
    const etag = whole.headers.etag ?? '';
    expect(etag).toMatch(/^"[0-9a-f]{32}"$/);
    expect((await ask('GET', `${LATEST}same`)).headers.etag).toBe(etag);
    expect(await ask('GET', `${LATEST}${encodeURIComponent('é %#?&<')}/x`)).toMatchObject({ status: 200, body: 'odd' });
    expect(await ask('HEAD', `${LATEST}a.txt`)).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '7' },
    });
    expect(await ask('GET', `${LATEST}none`)).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '0' },
    });
    const part = await ask('GET', `${LATEST}a.txt`, { range: 'bytes=2-4' });
    expect(part).toMatchObject({
      status: 206,
      body: 'nte',
      headers: { 'content-range': 'bytes 2-4/7', 'content-length': '3' },
    });
    const beyond = await ask('GET', `${LATEST}a.txt`, { range: 'bytes=7-' });
    expect(beyond).toMatchObject({ status: 416, headers: { 'content-range': 'bytes */7' } });
    expect(await ask('GET', `${LATEST}a.txt`, { 'if-none-match': etag })).toMatchObject({ status: 304, body: '' });
    expect((await ask('GET', `${LATEST}missing`)).status).toBe(404);
    expect((await ask('GET', LATEST)).status).toBe(405);
    expect(place.failures).toEqual([]);
  });

  it('lists folders', async () => {
    await using place = await serve({ 'a&<.txt': 'content', 'd/x': '' });
    const list = async (path: string, depth: string, body?: string) => {
      const { status, body: xml } = await place.ask('PROPFIND', path, { depth }, body);
      const prefix = new URL(place.url).pathname;
      return {
        status,
        xml,
        hrefs: [...xml.matchAll(/<D:href>(.*?)<\/D:href>/g)].map(([, href = '']) => href.replace(prefix, '')),
      };
    };
    expect((await list('', '1')).hrefs).toEqual(['', 'ids/', 'snapshots/', 'hosts/']);
    const times = ['hosts/h/', 'hosts/h/2024-02-29T10%3A00%3A00Z/', 'hosts/h/latest/'];
    expect((await list('hosts/h', '1')).hrefs).toEqual(times);
    const all = await list(LATEST, '1');
    expect(all.status).toBe(207);
    expect(all.hrefs).toEqual([LATEST, `${LATEST}a%26%3C.txt`, `${LATEST}d/`]);
    expect(all.xml).toContain('<D:displayname>a&amp;&lt;.txt</D:displayname>');
    expect(all.xml).toContain('<D:getcontentlength>7</D:getcontentlength>');
    expect((await list(LATEST, '0')).hrefs).toEqual([LATEST]);
    expect((await list(`${LATEST}d/x`, '1')).hrefs).toEqual([`${LATEST}d/x`]);
    const asked = await list(
      `${LATEST}d/x`,
      '0',
      '<a:propfind xmlns:a="DAV:"><a:prop><a:getetag/><a:quota/><x xmlns="y:&amp;"/></a:prop></a:propfind>',
    );
    expect(asked.xml).toMatch(
      /<D:prop><D:getetag>&quot;[0-9a-f]+&quot;<\/D:getetag><\/D:prop><D:status>HTTP\/1.1 200 OK<.*<D:prop><D:quota\/><x xmlns="y:&amp;"\/><\/D:prop><D:status>HTTP\/1.1 404 /,
    );
    expect((await list(LATEST, 'infinity')).status).toBe(403);
    expect((await list(LATEST, '1', '<no/>')).status).toBe(400);
    expect((await list(LATEST, '1', ' '.repeat(70_000))).status).toBe(413);
    expect((await list('nothing', '1')).status).toBe(404);
  });

  it('writes well-formed XML of any name', async () => {
    const name = engine.pathFromBytes(
      Buffer.from([0x01, 0x0b, 0xff, 0x26, 0x0d, 0x5d, 0x5d, 0x3e, 0xef, 0xbf, 0xbe, 0x22]),
    );
    await using place = await serve({ [name]: 'x' });
    const { body } = await place.ask('PROPFIND', LATEST, { depth: '1' });
    const href = /<D:href>([^<]*%01[^<]*)<\/D:href>/.exec(body)?.[1] ?? '';
    expect(href.endsWith('%01%0B%FF%26%0D%5D%5D%3E%EF%BF%BE%22')).toBe(true);
    expect(body).toContain('<D:displayname>\ufffd\ufffd\ufffd&amp;&#13;]]&gt;\ufffd&quot;</D:displayname>');
    expect(await place.ask('GET', `!${href}`)).toMatchObject({ status: 200, body: 'x' });
  });

  it('lets a client go in the middle', async () => {
    await using place = await serve({ long: 'x'.repeat(20 << 20) });
    const { port, pathname } = new URL(place.url);
    for (let times = 0; times < 5; times++) {
      await new Promise<void>((resolve, reject) => {
        const sent = request({ port, host: '127.0.0.1', path: `${pathname}${LATEST}long` }, (answer) => {
          answer.once('data', () => answer.destroy());
          answer.once('close', () => resolve());
          answer.on('error', () => undefined);
        });
        sent.on('error', reject);
        sent.end();
      });
    }
    expect((await place.ask('GET', `${LATEST}long`, { range: 'bytes=0-0' })).body).toBe('x');
    expect(place.failures).toEqual([]);
  });

  it('changes nothing, and talks to nobody else', async () => {
    await using place = await serve({ a: '1' });
    const { ask } = place;
    for (const method of ['PUT', 'DELETE', 'MKCOL', 'MOVE', 'COPY', 'PROPPATCH', 'LOCK', 'POST']) {
      expect((await ask(method, `${LATEST}a`, {}, 'x')).status, method).toBe(403);
    }
    expect(await ask('REPORT', '')).toMatchObject({ status: 405, headers: { allow: 'OPTIONS, GET, HEAD, PROPFIND' } });
    expect(await ask('OPTIONS', '')).toMatchObject({
      status: 200,
      headers: { dav: '1', allow: 'OPTIONS, GET, HEAD, PROPFIND' },
    });
    for (const target of [
      '!/',
      '!/snapshots/',
      '!/x',
      '!*',
      '%',
      '%zz',
      `${LATEST}%00`,
      `${LATEST}../..`,
      `${LATEST}%2e%2e`,
    ]) {
      expect((await ask('GET', target)).status, target).toBe(404);
    }
    const { port } = new URL(place.url);
    for (const host of ['evil.example', `evil.example:${port}`, '127.0.0.1:1']) {
      expect((await ask('GET', `${LATEST}a`, { host })).status, host).toBe(403);
    }
    expect((await ask('GET', `${LATEST}a`, { host: `LOCALHOST:${port}` })).status).toBe(200);
    expect(new URL(place.url).pathname.length).toBeGreaterThan(20);
    await expect(serve({ a: '1' }, { host: '0.0.0.0' })).rejects.toThrow('this machine only');
    await expect(serve({ a: '1' }, { host: 'example.com' })).rejects.toThrow('this machine only');
  });

  it('says what is wrong with the repository, or cuts the line', async () => {
    await using place = await serve(
      { a: '1', 'd/b': '2' },
      {
        breakIt: async (backend) => {
          for await (const { name } of backend.list('data')) await backend.remove({ type: 'data', name });
        },
      },
    );
    expect((await place.ask('GET', `${LATEST}a`)).status).toBe(500);
    expect((await place.ask('PROPFIND', 'snapshots/latest', { depth: '1' })).status).toBe(500);
    expect((await place.ask('PROPFIND', 'snapshots', { depth: '1' })).status).toBe(207);
    expect(place.failures).toHaveLength(2);
  });

  it('shows new snapshots', async () => {
    await using place = await serve({ a: '1' });
    expect((await place.ask('GET', `${LATEST}a`)).body).toBe('1');
    await engine.backup(place.writer, { source: engine.objects([{ path: 'a', content: '2' }]) });
    expect((await place.ask('GET', `${LATEST}a`)).body).toBe('2');
  });
});

describe('paths in URLs', () => {
  it('come back as they were, whatever bytes their names have', () => {
    const name = fc.uint8Array({ minLength: 1, maxLength: 12 }).map((bytes) => engine.pathFromBytes(bytes));
    const plain = name.filter((text) => !/[/\0]/.test(text) && text !== '.' && text !== '..');
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 4 }), (names) => {
        const path = `/${names.join('/')}`;
        const href = hrefOf(engine, '/p', path);
        expect(href).toMatch(/^[A-Za-z0-9\-._~/%]*$/);
        expect(pathOf(engine, '/p', href)).toBe(path);
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
    expect(pathOf(engine, '/p', 'http://h:1/p/a?b')).toBe('/a');
    for (const other of ['/', '/pp', '/q/a', '/p/../q', '/p/%2e']) expect(pathOf(engine, '/p', other)).toBeUndefined();
  });
});

describe('conditions and parts', () => {
  const mtime = new Date(TIME);
  it.each([
    ['bytes=0-', { start: 0, end: 9 }],
    ['bytes=2-3', { start: 2, end: 3 }],
    ['bytes = 2 - 99', { start: 2, end: 9 }],
    ['bytes=-4', { start: 6, end: 9 }],
    ['bytes=-99', { start: 0, end: 9 }],
    ['bytes=-0', 'none'],
    ['bytes=10-', 'none'],
    ['bytes=3-2', 'whole'],
    ['bytes=0-1,3-4', 'whole'],
    ['bytes=-', 'whole'],
    ['lines=1-2', 'whole'],
    [undefined, 'whole'],
  ])('are read: %s', (range, expected) => {
    expect(partOf({ ...(range && { range }) }, 10, '"e"', mtime)).toEqual(expected);
  });

  it('depend on what the client has', () => {
    const range = 'bytes=1-2';
    for (const [condition, expected] of [
      ['"e"', { start: 1, end: 2 }],
      ['"f"', 'whole'],
      ['Thu, 29 Feb 2024 10:00:00 GMT', { start: 1, end: 2 }],
      ['Thu, 29 Feb 2024 10:00:01 GMT', 'whole'],
      ['W/"e"', 'whole'],
    ] as const) {
      expect(partOf({ range, 'if-range': condition }, 10, '"e"', mtime), condition).toEqual(expected);
    }
    expect(isUnchanged({ 'if-none-match': '"x", W/"e"' }, '"e"', mtime)).toBe(true);
    expect(isUnchanged({ 'if-none-match': '*' }, '"e"', mtime)).toBe(true);
    expect(isUnchanged({ 'if-none-match': '"x"', 'if-modified-since': mtime.toUTCString() }, '"e"', mtime)).toBe(false);
    expect(isUnchanged({ 'if-modified-since': mtime.toUTCString() }, '"e"', mtime)).toBe(true);
    expect(isUnchanged({ 'if-modified-since': 'Thu, 29 Feb 2024 09:59:59 GMT' }, '"e"', mtime)).toBe(false);
    expect(isUnchanged({ 'if-modified-since': 'nonsense' }, '"e"', mtime)).toBe(false);
    expect(isUnchanged({}, '"e"', mtime)).toBe(false);
  });
});

describe('the question of a PROPFIND', () => {
  const some = (...names: [string, string][]) => ({
    kind: 'some',
    names: names.map(([namespace, name]) => ({ namespace, name })),
  });
  it.each([
    ['', { kind: 'all' }],
    ['<propfind xmlns="DAV:"><allprop/></propfind>', { kind: 'all' }],
    [
      '<?xml version="1.0"?>\n<!-- a -- > b --><D:propfind xmlns:D="DAV:"><D:propname/></D:propfind>\n',
      { kind: 'names' },
    ],
    [
      "<D:propfind xmlns:D='DAV:' xmlns:o=\"http://own\"><D:prop ><D:getetag/><o:a></o:a><b xmlns='c'>t</b><o:a/></D:prop></D:propfind>",
      some(['DAV:', 'getetag'], ['http://own', 'a'], ['c', 'b']),
    ],
    ['<propfind xmlns="DAV:"><x xmlns="y"/><prop><a/></prop></propfind>', some(['DAV:', 'a'])],
    ['<propfind xmlns="DAV:"><prop/></propfind>', some()],
    ['<propfind><prop/></propfind>', undefined],
    ['<propfind xmlns="DAV:"/>', undefined],
    ['<D:propfind xmlns:D="DAV:"><D:prop></D:propfind>', undefined],
    ['<D:propfind xmlns:D="DAV:"><D:prop><E:x/></D:prop></D:propfind>', undefined],
    ['<!DOCTYPE a [<!ENTITY b "c">]><propfind xmlns="DAV:"><prop/></propfind>', undefined],
    ['<propfind xmlns="DAV:"><prop/></propfind><propfind xmlns="DAV:"/>', undefined],
    ['<a>'.repeat(10_000), undefined],
    [
      `<propfind xmlns="DAV:"><prop>${Array.from({ length: 201 }, (_, n) => `<p${n}/>`).join('')}</prop></propfind>`,
      undefined,
    ],
  ])('is understood: %.60s', (body, expected) => {
    expect(parsePropfind(body)).toEqual(expected);
  });

  it('takes no time to refuse, whatever it is', () => {
    const piece = fc.constantFrom(
      '<',
      '>',
      '/',
      'a',
      ' ',
      '="',
      '"',
      "'",
      '<!--',
      '-->',
      '<?',
      '?>',
      'xmlns',
      ':',
      '=',
      '<a>',
      '</a>',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), fc.nat(3000), (pieces, times) => {
        const body = pieces.join('').repeat(times).slice(0, 65_536);
        const startedMs = performance.now();
        parsePropfind(body);
        expect(performance.now() - startedMs).toBeLessThan(500);
      }),
      { interruptAfterTimeLimit: 3000, markInterruptAsFailure: false },
    );
  });
});

describe('the command', () => {
  it.each([
    [['mnt'], 'no mountpoint'],
    [['--listen', '0.0.0.0:0'], 'this machine only'],
    [['--listen', 'unix:/x'], 'unix socket'],
    [['--listen', 'nonsense'], '--listen'],
    [['--refresh', 'x'], '--refresh'],
    [['--time-template', '2006/01'], 'slashes'],
    [['--allow-other'], 'allow-other'],
  ])('refuses %j', async (args, text) => {
    using dir = makeTempDir();
    await initAt(dir.path);
    const { status, stderr } = await runProgram(['-r', dir.path, 'mount', ...args]);
    expect(stderr).toContain(text);
    expect(status).toBe(1);
  });
});
