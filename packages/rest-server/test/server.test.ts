import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createRestServer } from '../src/index.ts';
import type { RequestRecord } from '../src/index.ts';
import { ask, basic, idOf, talk, until } from './client.ts';
import { Store } from './store.ts';

const HELLO = idOf('hello');
const AT = `/data/${HELLO}`;

function makeFolder() {
  const path = mkdtempSync(join(tmpdir(), 'rest-server-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

describe('closing', () => {
  it('lets requests in progress finish and takes no new ones', async () => {
    const store = new Store();
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    store.before = (operation) => (operation === 'save' ? held : undefined);
    const server = createRestServer({ backend: store, authenticate: false });
    const { port } = await server.listen({});
    const upload = ask(port, 'POST', AT, 'hello');
    await until(() => store.calls.includes('save data'));
    const idle = connect(port, '127.0.0.1');
    await new Promise((resolve) => idle.once('connect', resolve));
    const closed = server.close();
    await expect(ask(port, 'GET', '/data/')).rejects.toThrow(/ECONNREFUSED/);
    release();
    const reply = await upload;
    expect([reply.status, reply.headers['connection']]).toEqual([200, 'close']);
    await closed;
    expect(store.files.size).toBe(1);
    idle.destroy();
  });

  it('waits no longer than it is told to', async () => {
    const store = new Store();
    store.before = (operation) => (operation === 'save' ? new Promise(() => undefined) : undefined);
    const server = createRestServer({ backend: store, authenticate: false });
    const { port } = await server.listen({});
    const upload = ask(port, 'POST', AT, 'hello').catch((error: unknown) => error);
    await until(() => store.calls.includes('save data'));
    await server.close({ graceMs: 50 });
    expect(await upload).toBeInstanceOf(Error);
    await expect(server.listen({})).rejects.toThrow(/closed/);
  });

  it('happens once, however often it is asked for', async () => {
    const server = createRestServer({ backend: new Store(), authenticate: false });
    await server.listen({});
    await Promise.all([server.close(), server.close(), server[Symbol.asyncDispose]()]);
    expect(await server.close()).toBeUndefined();
  });
});

describe('listening', () => {
  it('on a unix socket, also where a killed process left one', async () => {
    using folder = makeFolder();
    const socketPath = join(folder.path, 'socket');
    const dead = createSocketServer().listen(socketPath);
    await new Promise((resolve) => dead.once('listening', resolve));
    // As a crash does, this closes the socket without removing its file.
    (dead as unknown as { _handle: { unref(): void } })._handle.unref();
    await using server = createRestServer({ backend: new Store(), authenticate: false });
    await expect(server.listen({ socketPath })).rejects.toThrow(/EADDRINUSE/);
    await new Promise((resolve) => dead.close(resolve));
    const { url } = await server.listen({ socketPath });
    expect(url).toBe(`http+unix://${socketPath}:/`);
    const status = await new Promise((resolve, reject) => {
      const sent = request({ socketPath, path: '/data/' }, (response) => resolve(response.resume().statusCode));
      sent.once('error', reject).end();
    });
    expect(status).toBe(200);
    await server.close();
    expect(existsSync(socketPath)).toBe(false);
  });

  it('fails as the system says when the port is taken', async () => {
    await using server = createRestServer({ backend: new Store(), authenticate: false });
    const { port } = await server.listen({});
    await expect(server.listen({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it('drops clients that never finish their headers', { timeout: 60_000 }, async () => {
    await using server = createRestServer({ backend: new Store(), authenticate: false });
    const { port } = await server.listen({});
    const big = await talk(port, (socket) => void socket.write(`GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`));
    expect(big).toMatch(/^HTTP\/1\.1 431 /);
  });
});

describe('inside another server', () => {
  it('handles what it is given', async () => {
    const records: RequestRecord[] = [];
    await using server = createRestServer({
      backend: new Store(),
      authenticate: false,
      onRequest: (record) => records.push(record),
    });
    const own = createServer((incoming, outgoing) => {
      if (!incoming.url?.startsWith('/backup/')) return void outgoing.writeHead(418).end();
      incoming.url = incoming.url.slice('/backup'.length);
      server.handler(incoming, outgoing);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => own.once('listening', resolve));
    const { port } = own.address() as AddressInfo;
    expect((await ask(port, 'POST', `/backup${AT}`, 'hello')).status).toBe(200);
    expect((await ask(port, 'GET', `/backup${AT}`)).text).toBe('hello');
    expect((await ask(port, 'GET', AT)).status).toBe(418);
    expect(records.map(({ method, target, status, bytesSent }) => [method, target, status, bytesSent])).toEqual([
      ['POST', AT, 200, 0],
      ['GET', AT, 200, 5],
    ]);
    expect(records[0]).toMatchObject({ user: '', repository: '', remote: '127.0.0.1', error: undefined });
    own.close();
  });
});

describe('metrics', () => {
  it('count what is written, read and removed', async () => {
    await using server = createRestServer({
      open: () => new Store(),
      authenticate: (user, password) => password === `${user}!`,
      metrics: true,
    });
    const { port } = await server.listen({});
    const headers = basic('a"b', 'a"b!');
    for (const path of [AT, '/config', `/keys/${HELLO}`]) {
      for (const method of ['POST', 'GET', 'HEAD', 'DELETE', 'DELETE']) {
        const body = method === 'POST' ? 'hello' : undefined;
        expect((await ask(port, method, `/x/y${path}`, body, { headers })).status).toBe(200);
      }
    }
    expect((await ask(port, 'GET', '/metrics')).status).toBe(401);
    const { text, headers: answered } = await ask(port, 'GET', '/metrics', undefined, { headers });
    expect(answered['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const labels = (type: string) => `{repo="x/y",type="${type}",user="a\\"b"}`;
    expect(samples.sort()).toEqual(
      ['data', 'keys']
        .flatMap((type) =>
          ['delete', 'read', 'write'].flatMap((operation) => [
            `rest_server_blob_${operation}_bytes_total${labels(type)} 5`,
            `rest_server_blob_${operation}_total${labels(type)} 1`,
          ]),
        )
        .sort(),
    );
    expect(text).toContain('# TYPE rest_server_blob_write_total counter\n');
  });

  it('are open, hidden or not there, as it was said', async () => {
    const authenticate = () => true;
    const status = async (options: { metrics?: boolean | 'open'; privateRepositories?: boolean }, user?: string) => {
      await using server = createRestServer({ open: () => new Store(), authenticate, ...options });
      const { port } = await server.listen({});
      const headers = user === undefined ? {} : basic(user, 'x');
      return (await ask(port, 'GET', '/metrics', undefined, { headers })).status;
    };
    expect(await status({ metrics: 'open' })).toBe(200);
    expect(await status({ metrics: true })).toBe(401);
    expect(await status({ metrics: true }, 'anybody')).toBe(200);
    expect(await status({ metrics: true, privateRepositories: true }, 'anybody')).toBe(401);
    expect(await status({ metrics: true, privateRepositories: true }, 'metrics')).toBe(200);
    expect(await status({}, 'anybody')).toBe(404);
  });
});
