import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRestServer } from '../src/index.ts';
import type { RequestRecord, RestServer, RestServerOptions } from '../src/index.ts';
import { ask, idOf, V1, V2 } from './client.ts';
import { key, Store } from './store.ts';

const HELLO = idOf('hello');
const AT = `/data/${HELLO}`;

function serverFor(store: Store, options: Partial<RestServerOptions> = {}): RestServer {
  return createRestServer({ backend: store, authenticate: false, ...options });
}

/** Asks through `fetch`, without a socket. */
async function fetchFrom(server: RestServer, method: string, path: string, init: RequestInit = {}) {
  const length = typeof init.body === 'string' ? { 'content-length': String(Buffer.byteLength(init.body)) } : {};
  const headers = { ...length, ...(init.headers as Record<string, string> | undefined) };
  const response = await server.fetch(new Request(`http://host${path}`, { method, ...init, headers }));
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe('the protocol', () => {
  it('keeps files: post, head, get, list, delete', async () => {
    const store = new Store();
    const server = serverFor(store);
    expect(await fetchFrom(server, 'HEAD', AT)).toMatchObject({ status: 404 });
    expect(await fetchFrom(server, 'POST', AT, { body: 'hello' })).toMatchObject({ status: 200, text: '' });
    expect(Buffer.from(store.files.get(`data/${HELLO}`)!).toString()).toBe('hello');
    const head = await fetchFrom(server, 'HEAD', AT);
    expect([head.status, head.headers.get('content-length'), head.text]).toEqual([200, '5', '']);
    expect(await fetchFrom(server, 'GET', AT)).toMatchObject({ status: 200, text: 'hello' });
    expect(await fetchFrom(server, 'DELETE', AT)).toMatchObject({ status: 200, text: '' });
    expect(await fetchFrom(server, 'GET', AT)).toMatchObject({ status: 404, text: 'Not Found\n' });
    expect(await fetchFrom(server, 'DELETE', AT)).toMatchObject({ status: 200 });
  });

  it('has a config, which is written once', async () => {
    const server = serverFor(new Store());
    expect(await fetchFrom(server, 'GET', '/config')).toMatchObject({ status: 404 });
    expect(await fetchFrom(server, 'POST', '/config', { body: 'any' })).toMatchObject({ status: 200 });
    expect(await fetchFrom(server, 'POST', '/config', { body: 'two' })).toMatchObject({ status: 403 });
    expect(await fetchFrom(server, 'GET', '/config')).toMatchObject({ status: 200, text: 'any' });
    expect(await fetchFrom(server, 'DELETE', '/config')).toMatchObject({ status: 200 });
    expect(await fetchFrom(server, 'HEAD', '/config')).toMatchObject({ status: 404 });
  });

  it('makes a repository only with create=true', async () => {
    const store = new Store();
    const server = serverFor(store);
    expect(await fetchFrom(server, 'POST', '/?create=true', { body: '' })).toMatchObject({ status: 200 });
    expect(await fetchFrom(server, 'POST', '/', { body: '' })).toMatchObject({ status: 400 });
    expect(await fetchFrom(server, 'POST', '/?create=yes', { body: '' })).toMatchObject({ status: 400 });
    expect(store.created).toBe(1);
  });

  it.each([
    [V2, V2, `[{"name":"${HELLO}","size":5}]`],
    [V1, V1, `["${HELLO}"]`],
    [undefined, V1, `["${HELLO}"]`],
    ['*/*', V1, `["${HELLO}"]`],
    [`${V2}, */*`, V1, `["${HELLO}"]`],
  ])('lists in version 2 for those who accept exactly that: %s', async (accept, type, text) => {
    const store = new Store();
    store.files.set(`data/${HELLO}`, Buffer.from('hello'));
    const headers = accept === undefined ? {} : { accept };
    const found = await fetchFrom(serverFor(store), 'GET', '/data/', { headers });
    expect([found.status, found.headers.get('content-type'), found.text]).toEqual([200, type, text]);
    const empty = await fetchFrom(serverFor(store), 'GET', '/keys/', { headers });
    expect([empty.status, empty.headers.get('content-type'), empty.text]).toEqual([200, type, '[]']);
  });

  it('lists more names than fit into one piece', async () => {
    const store = new Store();
    const names = Array.from({ length: 5000 }, (_, index) => idOf(String(index)));
    for (const name of names) store.files.set(`index/${name}`, Buffer.alloc(3));
    const { text } = await fetchFrom(serverFor(store), 'GET', '/index/', { headers: { accept: V2 } });
    expect(JSON.parse(text)).toEqual(names.map((name) => ({ name, size: 3 })));
  });

  it.each([
    ['bytes=1-2', 206, 'el'],
    ['bytes=1-', 206, 'ello'],
    ['bytes=1-200', 206, 'ello'],
    ['bytes=0-0', 206, 'h'],
    ['bytes=-2', 206, 'lo'],
    ['bytes=-9', 206, 'hello'],
    ['bytes=5-', 416, undefined],
    ['bytes=5-9', 416, undefined],
    ['bytes=3-1', 416, undefined],
    ['bytes=a-b', 416, undefined],
    ['bytes=-', 416, undefined],
    ['lines=1-2', 416, undefined],
    // Several at once are answered with the whole file.
    ['bytes=0-1,3-4', 200, 'hello'],
  ])('gives the range %s', async (range, status, text) => {
    const store = new Store();
    store.files.set(`data/${HELLO}`, Buffer.from('hello'));
    const answer = await fetchFrom(serverFor(store), 'GET', AT, { headers: { range } });
    expect(answer.status).toBe(status);
    if (text === undefined) return;
    expect(answer.text).toBe(text);
    expect(answer.headers.get('content-length')).toBe(String(text.length));
  });

  it('asks the store once for a range that is there', async () => {
    const store = new Store();
    store.files.set(`data/${HELLO}`, Buffer.from('hello'));
    await fetchFrom(serverFor(store), 'GET', AT, { headers: { range: 'bytes=1-2' } });
    expect(store.calls).toEqual(['load data']);
  });

  it('gives all of an empty file, whatever range is asked for', async () => {
    const store = new Store();
    const empty = idOf('');
    store.files.set(`data/${empty}`, Buffer.alloc(0));
    const answer = await fetchFrom(serverFor(store), 'GET', `/data/${empty}`, { headers: { range: 'bytes=0-9' } });
    expect([answer.status, answer.text]).toEqual([200, '']);
  });

  it('gives large files in pieces', async () => {
    const store = new Store();
    const content = Buffer.alloc(20 * 2 ** 20, 'abcdefg');
    store.files.set(`data/${HELLO}`, content);
    await using server = serverFor(store);
    const { port } = await server.listen({});
    const whole = await ask(port, 'GET', AT);
    expect(idOf(whole.text)).toBe(idOf(content));
    expect(store.calls.filter((call) => call === 'load data').length).toBeGreaterThan(1);
    const part = await ask(port, 'GET', AT, undefined, { headers: { range: 'bytes=100-18000099' } });
    expect(part.headers['content-range']).toBe(`bytes 100-18000099/${content.length}`);
    expect(idOf(part.text)).toBe(idOf(content.subarray(100, 18_000_100)));
  });

  it.each<[string, string, number, string | undefined]>([
    ['PUT', '/config', 405, 'HEAD, GET, POST, DELETE'],
    ['PATCH', AT, 405, 'HEAD, GET, POST, DELETE'],
    ['HEAD', '/data/', 405, 'GET'],
    ['DELETE', '/data/', 405, 'GET'],
    ['GET', '/', 405, 'POST'],
    ['DELETE', '/', 405, 'POST'],
    ['GET', '/data', 404, undefined],
    ['GET', '/config/', 404, undefined],
    ['GET', '/data/zz', 404, undefined],
    ['GET', `/data/${HELLO.toUpperCase()}`, 404, undefined],
    ['GET', `/data/2c/${HELLO}`, 404, undefined],
    ['GET', `/blobs/${HELLO}`, 404, undefined],
  ])('answers %s %s with %i', async (method, path, status, allow) => {
    const answer = await fetchFrom(serverFor(new Store()), method, path);
    expect([answer.status, answer.headers.get('allow') ?? undefined]).toEqual([status, allow]);
  });

  it.each<[Code, number]>([
    ['not-found', 404],
    ['denied', 403],
    ['already-exists', 403],
    ['no-space', 507],
    ['throttled', 503],
    ['io', 500],
    ['unauthorized', 500],
    ['untrusted', 500],
    ['corrupt', 500],
  ])('tells of an error %s of the store with status %i, and nothing more', async (code, status) => {
    const store = new Store();
    const failure = new EngineError(code, 'user:secret@host refused', { retryAfterMs: 12_345 });
    store.before = (operation) => {
      if (operation !== 'stat') throw failure;
    };
    const records: RequestRecord[] = [];
    const server = serverFor(store, { onRequest: (record) => records.push(record) });
    for (const [method, path, body] of [
      ['POST', AT, 'hello'],
      ['GET', AT, undefined],
      ['GET', '/data/', undefined],
      ['DELETE', AT, undefined],
    ] as const) {
      const answer = await fetchFrom(
        server,
        method,
        path,
        body === undefined ? { headers: { range: 'bytes=0-3' } } : { body },
      );
      expect(answer.status).toBe(status);
      expect(`${answer.text}${JSON.stringify([...answer.headers])}`).not.toMatch(/secret|host|store/);
      expect(answer.headers.get('retry-after')).toBe(status === 503 ? '13' : null);
    }
    expect(records.map(({ error }) => error)).toEqual([failure, failure, failure, failure]);
  });

  it('answers a mistake of the store like any other failure', async () => {
    const store = new Store();
    store.before = () => {
      throw new TypeError('secret');
    };
    expect(await fetchFrom(serverFor(store), 'HEAD', AT)).toMatchObject({ status: 500 });
  });
});

describe('append-only', () => {
  it('lets nothing go but locks', async () => {
    const store = new Store();
    const server = serverFor(store, { appendOnly: true });
    const lock = `/locks/${HELLO}`;
    for (const path of [AT, lock, `/keys/${HELLO}`, '/config']) {
      expect(await fetchFrom(server, 'POST', path, { body: 'hello' })).toMatchObject({ status: 200 });
      expect(await fetchFrom(server, 'POST', path, { body: 'hello' })).toMatchObject({ status: 403 });
      const expected = path === lock ? 200 : 403;
      expect(await fetchFrom(server, 'DELETE', path)).toMatchObject({ status: expected });
    }
    expect([...store.files.keys()].sort()).toEqual(['config/', `data/${HELLO}`, `key/${HELLO}`]);
  });
});

describe('max-size', () => {
  const post = (server: RestServer, content: string) =>
    fetchFrom(server, 'POST', `/data/${idOf(content)}`, { body: content });

  it('counts what is there, what comes and what goes', async () => {
    const store = new Store();
    store.files.set(key({ type: 'index', name: HELLO }), Buffer.alloc(50));
    const server = serverFor(store, { maxSize: 100 });
    expect(await post(server, 'x'.repeat(51))).toMatchObject({ status: 507 });
    expect(await post(server, 'x'.repeat(50))).toMatchObject({ status: 200 });
    expect(await post(server, 'y')).toMatchObject({ status: 507 });
    expect(await fetchFrom(server, 'DELETE', `/index/${HELLO}`)).toMatchObject({ status: 200 });
    expect(await fetchFrom(server, 'DELETE', `/index/${HELLO}`)).toMatchObject({ status: 200 });
    expect(await post(server, 'y'.repeat(50))).toMatchObject({ status: 200 });
    expect(await post(server, 'z')).toMatchObject({ status: 507 });
  });

  it('does not count what was refused', async () => {
    const server = serverFor(new Store(), { maxSize: 100 });
    const wrong = { body: 'w'.repeat(90) };
    for (let round = 0; round < 3; round++) {
      expect(await fetchFrom(server, 'POST', AT, wrong)).toMatchObject({ status: 400 });
    }
    expect(await post(server, 'x'.repeat(100))).toMatchObject({ status: 200 });
  });

  it('is never passed by uploads that run at once', async () => {
    const store = new Store();
    const server = serverFor(store, { maxSize: 1000 });
    const replies = await Promise.all(Array.from({ length: 20 }, (_, index) => post(server, `${index}`.padEnd(100))));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(replies.filter(({ status }) => status === 507)).toHaveLength(10);
    expect(store.files.size).toBe(10);
  });
});

describe('paths', () => {
  const bad = [
    '..',
    '.',
    '%2e%2e',
    '%2E.',
    '%2f',
    'a%2fb',
    '..%2f..',
    '%5c',
    'a\\b',
    '%00',
    'a%0ab',
    '',
    '%',
    '%zz',
    'C:',
  ];

  it('never name a repository outside, however they are written', async () => {
    const opened: string[] = [];
    await using server = createRestServer({
      authenticate: false,
      open(repository) {
        opened.push(repository);
        return new Store();
      },
    });
    const { port } = await server.listen({});
    const part = fc.oneof(
      fc.constantFrom(...bad),
      fc.constantFrom('alice', 'data', 'config', 'keys', HELLO, '%64ata'),
      fc.string({ unit: fc.constantFrom('.', '/', '\\', '%2e', '%2f', '%5c', 'a', '%25', '%c0%ae') }),
    );
    const path = fc.array(part, { maxLength: 5 }).map((parts) => `/${parts.join('/')}`.replaceAll(' ', '%20'));
    await fc.assert(
      fc.asyncProperty(path, async (target) => {
        const before = opened.length;
        const { status } = await ask(port, 'GET', target);
        expect([200, 404, 405]).toContain(status);
        for (const repository of opened.slice(before)) {
          expect(repository).not.toMatch(/[\\\0:]|^\/|\/$/);
          const names = repository === '' ? [] : repository.split('/');
          expect(names.length).toBeLessThanOrEqual(2);
          for (const name of names) expect(['', '.', '..']).not.toContain(name);
        }
      }),
      { interruptAfterTimeLimit: 3000, markInterruptAsFailure: false, numRuns: 2000 },
    );
    expect(opened.length).toBeGreaterThan(0);
  });

  it.each(bad)('with %j for a folder lead nowhere', async (name) => {
    await using server = createRestServer({ authenticate: false, open: () => new Store() });
    const { port } = await server.listen({});
    for (const path of [`/${name}/config`, `/alice/${name}/config`, `/${name}/data/`, `/${name}/data/${HELLO}`]) {
      expect((await ask(port, 'GET', path)).status, path).toBe(404);
    }
  });

  it('lead to repositories up to two folders below, whatever their names', async () => {
    const opened: string[] = [];
    const server = createRestServer({
      authenticate: false,
      open(repository) {
        opened.push(repository);
        return new Store();
      },
    });
    for (const path of ['/', '/a/', '/a/b/', '/my%20photos/', '/%C3%A4/.hidden/', '/a/b/c/']) {
      await fetchFrom(server, 'GET', `${path}data/`);
    }
    expect(opened).toEqual(['', 'a', 'a/b', 'my photos', 'ä/.hidden']);
  });
});

describe('repositories', () => {
  it('are opened once, and closed with the server', async () => {
    const stores = new Map<string, Store>();
    const server = createRestServer({
      authenticate: false,
      open(repository) {
        expect(stores.has(repository)).toBe(false);
        const store = new Store();
        stores.set(repository, store);
        return store;
      },
    });
    await Promise.all(['/a', '/a', '/b', ''].map((path) => fetchFrom(server, 'GET', `${path}/data/`)));
    await fetchFrom(server, 'GET', '/a/data/');
    expect([...stores.values()].map(({ disposed }) => disposed)).toEqual([0, 0, 0]);
    await server.close();
    expect([...stores.values()].map(({ disposed }) => disposed)).toEqual([1, 1, 1]);
  });

  it('are closed when too many are open that nobody uses', async () => {
    const stores: Store[] = [];
    const server = createRestServer({
      authenticate: false,
      open() {
        const store = new Store();
        stores.push(store);
        return store;
      },
    });
    for (let index = 0; index < 200; index++) await fetchFrom(server, 'GET', `/r${index}/data/`);
    expect(stores.filter(({ disposed }) => disposed === 0).length).toBeLessThan(100);
  });

  it('that cannot be opened can be tried again', async () => {
    let healthy = false;
    const server = createRestServer({
      authenticate: false,
      async open() {
        if (!healthy) throw new EngineError('io', 'down');
        return new Store();
      },
    });
    expect(await fetchFrom(server, 'GET', '/a/data/')).toMatchObject({ status: 500 });
    healthy = true;
    expect(await fetchFrom(server, 'GET', '/a/data/')).toMatchObject({ status: 200 });
  });

  it('given as a backend are at the root only, and stay open', async () => {
    const store = new Store();
    const server = serverFor(store);
    expect(await fetchFrom(server, 'GET', '/a/data/')).toMatchObject({ status: 404 });
    await server.close();
    expect(store.disposed).toBe(0);
  });
});

describe('options', () => {
  it.each<[RestServerOptions]>([
    [{ authenticate: false }],
    [{ authenticate: false, backend: new Store(), open: () => new Store() }],
    [{ authenticate: false, backend: new Store(), privateRepositories: true }],
    [{ authenticate: false, open: () => new Store(), maxSize: 5 }],
    [{ authenticate: false, backend: new Store(), maxSize: 0 }],
    [{ authenticate: false, backend: new Store(), stallMs: Number.NaN }],
    [{ authenticate: false, backend: new Store(), memory: 10, largestUpload: 20 }],
  ])('that make no sense are refused: %#', (options) => {
    expect(() => createRestServer(options)).toThrow(/./);
  });
});
