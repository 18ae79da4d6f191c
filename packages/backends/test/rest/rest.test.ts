import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { EngineError } from '@restic-engine/repo-format';
import type { Backend, Code, FileHandle } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { bytesOf, handleFor, listAll } from '../../src/conformance/content.ts';
import { restBackend } from '../../src/rest/open.ts';
import type { RestOptions } from '../../src/rest/open.ts';
import { REST_SCHEME } from '../../src/rest/scheme.ts';
import { startHttp, startTcp } from '../http/servers.ts';
import type { TestServer } from '../http/servers.ts';
import { startRest } from './server.ts';

const open = ({ url }: TestServer, more: Partial<RestOptions> = {}): Promise<Backend> =>
  restBackend({ url: `${url}repo/`, env: {}, ...more });

const CONTENT = bytesOf(100_000, 1);
const FILE = handleFor('data', CONTENT);
const PATH = `/repo/data/${FILE.name}`;
const RANGE = { offset: 1000, length: 500 };

async function errorOf(work: Promise<unknown>): Promise<EngineError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!EngineError.is(error)) throw new Error(`expected an EngineError, got ${inspect(error)}`);
  return error;
}

const codeOf = async (work: Promise<unknown>): Promise<Code> => (await errorOf(work)).code;

describe('requests', () => {
  it('are as few as they can be', async () => {
    await using server = await startRest();
    await using backend = await open(server);
    await backend.create();
    await backend.save(FILE, [CONTENT]);
    await backend.stat(FILE);
    await backend.load(FILE);
    await backend.load(FILE, RANGE);
    await listAll(backend, 'data');
    await listAll(backend, 'config');
    await backend.remove(FILE);
    expect(server.requests).toEqual([
      'POST /repo/?create=true',
      `POST ${PATH}`,
      `HEAD ${PATH}`,
      `GET ${PATH}`,
      `GET ${PATH}`,
      'GET /repo/data/',
      `DELETE ${PATH}`,
    ]);
    expect(server.sockets.length).toBeLessThanOrEqual(2);
  });

  it('ask for the sizes that version 1 of the protocol does not tell, a few at a time', async () => {
    let [now, most] = [0, 0];
    await using server = await startRest({
      version1: true,
      first: async ({ method }) => {
        if (method !== 'HEAD') return false;
        most = Math.max(most, (now += 1));
        await new Promise((resolve) => setTimeout(resolve, 5));
        now -= 1;
        return false;
      },
    });
    await using backend = await open(server, { connections: 3 });
    for (let size = 0; size < 20; size += 1) {
      const content = bytesOf(size, size);
      server.files.set(`/repo/keys/${handleFor('key', content).name}`, Buffer.from(content));
    }
    const sizes = (await listAll(backend, 'key')).map((file) => file.size);
    expect(sizes).toEqual(Array.from({ length: 20 }, (_, size) => size));
    expect(most).toBe(3);
    expect(server.requests.filter((request) => request.startsWith('HEAD'))).toHaveLength(20);
  });

  it('leave out of a listing of version 1 what was removed meanwhile, and fail with what else goes wrong', async () => {
    const names = [handleFor('key', bytesOf(1, 1)).name, handleFor('key', bytesOf(1, 2)).name];
    for (const [status, expected] of [
      [404, []],
      [401, 'unauthorized'],
    ] as const) {
      await using server = await startHttp((request, response) => {
        if (request.method === 'HEAD') response.writeHead(status).end();
        else response.end(JSON.stringify(names));
      });
      await using backend = await open(server);
      if (typeof expected === 'string') expect(await codeOf(listAll(backend, 'key'))).toBe(expected);
      else expect(await listAll(backend, 'key')).toEqual(expected);
    }
  });

  it('carry the name and password of the environment where the URL has none', async () => {
    await using server = await startRest({ credentials: 'user:word' });
    const env = { RESTIC_REST_USERNAME: 'user', RESTIC_REST_PASSWORD: 'word' };
    const context = { options: new Map<string, string>(), http: {}, bandwidth: undefined };
    await using backend = await REST_SCHEME.open(`${server.url}repo/`, { ...context, env });
    await backend.create();
    await using refused = await REST_SCHEME.open(`${server.url}repo/`, { ...context, env: {} });
    await expect(refused.create()).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('set RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD'),
    });
    const url = server.url.replace('//', '//user:other@');
    await using other = await REST_SCHEME.open(`${url}repo/`, { ...context, env });
    await expect(other.create()).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('does not accept the user name and password, or not for this path'),
    });
  });
});

const ACTIONS = new Map<string, (backend: Backend, file: FileHandle) => Promise<unknown>>([
  ['create', (backend) => backend.create()],
  ['save', (backend, file) => backend.save(file, [CONTENT])],
  ['load', (backend, file) => backend.load(file)],
  ['load of a range', (backend, file) => backend.load(file, RANGE)],
  ['stat', (backend, file) => backend.stat(file)],
  ['list', (backend) => listAll(backend, 'data')],
  ['remove', (backend, file) => backend.remove(file)],
]);

describe('a status', () => {
  for (const [status, code] of [
    [302, 'bad-request'],
    [400, 'bad-request'],
    [401, 'unauthorized'],
    [403, 'denied'],
    [405, 'unsupported'],
    [410, 'denied'],
    [413, 'too-large'],
    [429, 'throttled'],
    [500, 'io'],
    [501, 'unsupported'],
    [502, 'io'],
    [503, 'io'],
    [507, 'no-space'],
  ] as const) {
    it(`${status} is ${code}`, async () => {
      await using server = await startHttp((request, response) => {
        response.writeHead(status).end(request.method === 'HEAD' ? undefined : 'because');
      });
      await using backend = await open(server);
      for (const [name, action] of ACTIONS) {
        // An upload may have been damaged on its way.
        const expected = status === 400 && name === 'save' ? 'io' : code;
        expect(await codeOf(action(backend, FILE)), name).toBe(expected);
      }
    });
  }

  it('503 and 429 with Retry-After say for how long', async () => {
    for (const status of [429, 503]) {
      await using server = await startHttp(
        (_, response) => void response.writeHead(status, { 'retry-after': '7' }).end(),
      );
      await using backend = await open(server);
      for (const action of ACTIONS.values()) {
        const { code, context } = await errorOf(action(backend, FILE));
        expect([code, context['retryAfterMs']]).toEqual(['throttled', 7000]);
      }
    }
  });

  it('403 of a name that exists is already-exists, of another denied', async () => {
    await using server = await startRest();
    await using backend = await open(server);
    await backend.save(FILE, [CONTENT]);
    expect(await codeOf(backend.save(FILE, [CONTENT]))).toBe('already-exists');
    await using closed = await startRest({
      first: (request, response) => request.method === 'POST' && Boolean(response.writeHead(403).end()),
    });
    await using reader = await open(closed);
    expect(await codeOf(reader.save(FILE, [CONTENT]))).toBe('denied');
  });

  it('403 of a name that is too long to be sent first is already-exists, too', async () => {
    await using server = await startRest();
    await using backend = await open(server);
    const content = bytesOf(8_000_000, 3);
    const file = handleFor('data', content);
    await backend.save(file, [content]);
    for (let count = 0; count < 5; count += 1) {
      // Whoever closes the connection early may cut off its own answer.
      expect(['already-exists', 'io']).toContain(await codeOf(backend.save(file, [content])));
    }
  });

  it('403 of a removal is denied, but not for locks', async () => {
    await using server = await startRest({ appendOnly: true });
    await using backend = await open(server);
    const lock = handleFor('lock', CONTENT);
    for (const file of [FILE, lock]) await backend.save(file, [CONTENT]);
    expect(await codeOf(backend.remove(FILE))).toBe('denied');
    await backend.remove(lock);
    expect(await listAll(backend, 'lock')).toEqual([]);
  });

  it('believe that a folder is missing when it stays so: rest-server says 404 when a file was stored meanwhile', async () => {
    const { name } = handleFor('key', CONTENT);
    let asked = 0;
    await using server = await startHttp((_, response) => {
      if (++asked < 5) response.writeHead(404).end();
      else response.end(JSON.stringify([{ name, size: CONTENT.length }]));
    });
    await using backend = await open(server);
    expect(await listAll(backend, 'index')).toEqual([{ name, size: CONTENT.length }]);
  });

  it('404 of a folder is an empty one, unless rclone says so', async () => {
    for (const [name, expected] of [
      ['other', 0],
      ['rclone/v1.75.2', 'io'],
    ] as const) {
      await using server = await startHttp((_, response) => void response.writeHead(404, { server: name }).end());
      await using backend = await open(server);
      if (expected === 0) expect(await listAll(backend, 'data')).toEqual([]);
      else expect(await codeOf(listAll(backend, 'data'))).toBe(expected);
    }
  });
});

describe('a hostile server', () => {
  it('does not get the credentials sent elsewhere', async () => {
    await using other = await startRest();
    await using server = await startHttp((request, response) => {
      response.writeHead(307, { location: `${other.url}${request.url}?secret` }).end();
    });
    await using backend = await restBackend({ url: server.url.replace('//', '//user:secret@'), env: {} });
    for (const [name, action] of ACTIONS) {
      const error = await errorOf(action(backend, FILE));
      expect(error.code, name).toBe('bad-request');
      expect(error.message).toContain(new URL(other.url).origin);
      expect(inspect(error, { depth: null, showHidden: true })).not.toContain('secret');
    }
    expect(other.sockets).toHaveLength(0);
  });

  it('that sends everything for a range, or another range, is corrupt', async () => {
    let sent = 0;
    await using server = await startHttp((request, response) => {
      const other = request.url?.includes('snapshots');
      response.writeHead(other ? 206 : 200, other ? { 'content-range': 'bytes 0-499/9', 'content-length': 500 } : {});
      if (other) return void response.end(Buffer.alloc(500));
      const more = (): void => {
        do sent += 65_536;
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await using backend = await open(server);
    for (const range of [RANGE, { offset: 0, length: 500 }]) {
      expect(await codeOf(backend.load(FILE, range))).toBe('corrupt');
    }
    expect(await codeOf(backend.load({ type: 'snapshot', name: FILE.name }, RANGE))).toBe('corrupt');
    expect(sent).toBeLessThan(50_000_000);
  });

  it('that knows no ranges is good enough for the whole of a file', async () => {
    await using server = await startHttp((_, response) => {
      response.writeHead(200, { 'content-length': CONTENT.length }).end(CONTENT);
    });
    await using backend = await open(server);
    const loaded = await backend.load(FILE, { offset: 0, length: CONTENT.length });
    expect(Buffer.compare(loaded, CONTENT)).toBe(0);
    expect(await codeOf(backend.load(FILE, { offset: 0, length: CONTENT.length + 1 }))).toBe('out-of-range');
  });

  it('that sends less than a range, in chunks, is out-of-range', async () => {
    await using server = await startHttp((_, response) => {
      response.writeHead(206);
      response.write('less');
      response.end();
    });
    await using backend = await open(server);
    expect(await codeOf(backend.load(FILE, RANGE))).toBe('out-of-range');
  });

  it('that announces too much, or sends it, is too-large', async () => {
    await using server = await startHttp((request, response) => {
      if (request.url?.includes('keys')) response.setHeader('content-length', 2 ** 40);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await using backend = await open(server);
    expect(await codeOf(backend.load({ type: 'key', name: FILE.name }))).toBe('too-large');
    expect(await codeOf(backend.load({ type: 'config', name: '' }))).toBe('too-large');
    expect(await codeOf(backend.load({ type: 'key', name: FILE.name }, { offset: 0, length: 2 ** 40 }))).toBe(
      'too-large',
    );
  });

  it('is not said to fail when it answers something else than was asked', async () => {
    await using server = await startHttp((_, response) => void response.writeHead(204).end());
    await using backend = await open(server);
    const path = `data/${FILE.name}`;
    const message = `load ${path}: that is not what a REST server answers (HTTP 204)`;
    await expect(backend.load(FILE)).rejects.toMatchObject({ code: 'corrupt', message });
  });

  it('that names no size is corrupt', async () => {
    await using server = await startTcp((socket) => {
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
    });
    await using backend = await open(server);
    expect(await codeOf(backend.stat(FILE))).toBe('corrupt');
  });

  it('that lists no JSON is corrupt, half a list io, and names that are no ids are left out', async () => {
    let answer = '';
    await using server = await startHttp((_, response) => void response.end(answer));
    await using backend = await open(server);
    const listing = `[{"name":"../x","size":1},{"name":"${FILE.name}","size":7}]`;
    for (const [text, expected] of [
      ['<html>no</html>', 'corrupt'],
      [`[{"name":"${FILE.name}","size":"7"}]`, 'corrupt'],
      [listing.slice(0, -2), 'io'],
      [listing, 7],
    ] as const) {
      answer = text;
      if (expected === 7) expect(await listAll(backend, 'data')).toEqual([{ name: FILE.name, size: 7 }]);
      else expect(await codeOf(listAll(backend, 'data'))).toBe(expected);
    }
  });

  it('that lists without end costs no memory', async () => {
    let [names, ended] = [0, false];
    await using server = await startHttp((_, response) => {
      response.write('[');
      const more = (): void => {
        do {
          const ids = Array.from({ length: 500 }, () => `{"name":"${randomBytes(32).toString('hex')}","size":1000}`);
          names += ids.length;
          ended = names >= 300_000;
          response.write(`${ids.join(',')}${ended ? ']' : ','}`);
        } while (!ended && !response.writableNeedDrain && !response.destroyed);
        if (ended) response.end();
      };
      response.on('drain', more);
      more();
    });
    await using backend = await open(server);
    let [count, most] = [0, 0];
    const before = process.memoryUsage.rss();
    for await (const { size } of backend.list('data')) {
      count += size / 1000;
      if (count % 50_000 === 0) most = Math.max(most, process.memoryUsage.rss() - before);
    }
    expect(count).toBe(300_000);
    expect(most).toBeLessThan(150 * 2 ** 20);
  });
});
