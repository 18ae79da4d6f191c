import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { createRestServer } from '../src/index.ts';
import type { RequestRecord, RestServerOptions } from '../src/index.ts';
import { ask, idOf, talk, until } from './client.ts';
import { Store } from './store.ts';

const MIB = 2 ** 20;
const HELLO = idOf('hello');
const AT = `/data/${HELLO}`;

async function listening(store: Store, options: Partial<RestServerOptions> = {}) {
  const server = createRestServer({ backend: store, authenticate: false, ...options });
  const { port } = await server.listen({});
  return { server, port, [Symbol.asyncDispose]: () => server.close({ graceMs: 0 }) };
}

function head(path: string, length: number | string, more = ''): string {
  return `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n${more}\r\n`;
}

describe('uploads', () => {
  it.each([
    ['another content', AT, 'hellx', 400],
    ['nothing', AT, '', 400],
    ['a config, which has no name to match', '/config', 'hellx', 200],
  ])('of %s', async (_, path, body, status) => {
    const store = new Store();
    await using place = await listening(store);
    expect((await ask(place.port, 'POST', path, body)).status).toBe(status);
    expect(store.files.size).toBe(status === 200 ? 1 : 0);
  });

  it('are not looked at when the server is told so', async () => {
    const store = new Store();
    await using place = await listening(store, { verifyUploads: false });
    expect((await ask(place.port, 'POST', AT, 'other')).status).toBe(200);
    expect((await ask(place.port, 'POST', AT, 'again')).status).toBe(403);
    expect(Buffer.from(store.files.get(`data/${HELLO}`)!).toString()).toBe('other');
  });

  it('need a length', async () => {
    const store = new Store();
    await using place = await listening(store);
    const chunked = await talk(place.port, (socket) => {
      socket.end(
        `POST ${AT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
      );
    });
    expect(chunked).toMatch(/^HTTP\/1\.1 411 /);
    for (const length of ['-5', '5x', '0x5', '5, 5', '99999999999999999999']) {
      expect(await talk(place.port, (socket) => void socket.end(`${head(AT, length)}hello`))).toMatch(
        /^HTTP\/1\.1 400 /,
      );
    }
    expect(store.files.size).toBe(0);
  });

  it('that break off leave nothing, and the server goes on', async () => {
    const store = new Store();
    const records: RequestRecord[] = [];
    await using place = await listening(store, { onRequest: (record) => records.push(record) });
    for (const [index, sent] of ['', 'h', 'hell'].entries()) {
      await talk(place.port, async (socket) => {
        socket.write(`${head(AT, 5)}${sent}`);
        await until(() => store.calls.length === index + 1);
        socket.destroy();
      });
    }
    await until(() => records.length === 3);
    expect(records.map(({ status }) => status)).toEqual([400, 400, 400]);
    expect(store.files.size).toBe(0);
    expect((await ask(place.port, 'POST', AT, 'hello')).status).toBe(200);
  });

  it('longer than they said are cut where they should end', async () => {
    const store = new Store();
    await using place = await listening(store);
    const answer = await talk(place.port, (socket) => void socket.end(`${head(AT, 5)}hello world`));
    expect(answer).toMatch(/HTTP\/1\.1 400 [^]*$/);
    for (const bytes of store.files.values()) expect(Buffer.from(bytes).toString()).toBe('hello');
    expect((await ask(place.port, 'GET', '/data/')).status).toBe(200);
  });

  it('longer or shorter than they said are refused through fetch, where nothing cuts them', async () => {
    const store = new Store();
    const server = createRestServer({ backend: store, authenticate: false });
    for (const [length, body] of [
      ['4', 'hello'],
      ['6', 'hello'],
    ] as const) {
      const request = new Request(`http://x${AT}`, { method: 'POST', body, headers: { 'content-length': length } });
      expect((await server.fetch(request)).status).toBe(400);
    }
    expect(store.files.size).toBe(0);
  });

  it('that are too large are refused before they come', async () => {
    const store = new Store();
    await using place = await listening(store, { largestUpload: 1000 });
    const answer = await talk(place.port, (socket) => {
      socket.write(head(AT, 1001, 'Connection: close\r\n'));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('of what is there are refused before they come', async () => {
    const store = new Store();
    store.files.set(`data/${HELLO}`, Buffer.from('hello'));
    await using place = await listening(store);
    const answer = await talk(place.port, (socket) => {
      socket.write(head(AT, 5, 'Connection: close\r\n'));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('of one name at once all succeed, and it is stored once', async () => {
    const store = new Store();
    store.before = (operation) =>
      operation === 'save' ? new Promise((resolve) => setTimeout(resolve, 50)) : undefined;
    await using place = await listening(store);
    const replies = await Promise.all(Array.from({ length: 5 }, () => ask(place.port, 'POST', AT, 'hello')));
    expect(replies.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect(store.calls.filter((call) => call === 'save data')).toHaveLength(1);
  });

  it('of a config at once: the first is the one', async () => {
    const store = new Store();
    store.before = (operation) =>
      operation === 'save' ? new Promise((resolve) => setTimeout(resolve, 50)) : undefined;
    await using place = await listening(store);
    const replies = await Promise.all(['one', 'two', 'six'].map((body) => ask(place.port, 'POST', '/config', body)));
    expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 403, 403]);
    const stored = Buffer.from(store.files.get('config/')!).toString();
    expect(['one', 'two', 'six'].indexOf(stored)).toBe(replies.findIndex(({ status }) => status === 200));
  });

  it('whose storing fails can be repeated, by those who wait for it too', async () => {
    const store = new Store();
    let failures = 1;
    store.before = async (operation) => {
      if (operation !== 'save') return;
      await new Promise((resolve) => setTimeout(resolve, 30));
      failures -= 1;
      if (failures >= 0) throw new Error('down');
    };
    await using place = await listening(store);
    const replies = await Promise.all([1, 2].map(() => ask(place.port, 'POST', AT, 'hello')));
    expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 500]);
    expect(store.files.size).toBe(1);
  });

  it('that stall are dropped', async () => {
    const store = new Store();
    await using place = await listening(store, { stallMs: 100 });
    const start = performance.now();
    expect(await talk(place.port, (socket) => void socket.write(`${head(AT, 5)}hell`))).not.toMatch(/ 200 /);
    expect(performance.now() - start).toBeLessThan(5000);
    expect(store.files.size).toBe(0);
  });

  it('that are slow but move are not', async () => {
    const store = new Store();
    await using place = await listening(store, { stallMs: 200 });
    const answer = await talk(place.port, async (socket) => {
      socket.write(head(AT, 5, 'Connection: close\r\n'));
      for (const letter of 'hello') {
        await new Promise((resolve) => setTimeout(resolve, 80));
        socket.write(letter);
      }
    });
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('memory', () => {
  /** Begins an upload and sends the first byte of it. */
  function begin(port: number, content: Buffer): Socket {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(head(`/data/${idOf(content)}`, content.length));
    socket.write(content.subarray(0, 1));
    return socket;
  }

  it('stays bounded with 64 slow uploads at once, and locks do not wait behind them', async () => {
    const store = new Store();
    await using place = await listening(store, { largestUpload: 4 * MIB, memory: 8 * MIB, stallMs: 10_000 });
    const contents = Array.from({ length: 64 }, (_, index) => Buffer.alloc(4 * MIB, index + 1));
    const before = process.memoryUsage();
    const sockets = contents.map((content) => begin(place.port, content));
    await until(() => store.calls.length === 64);
    // All but the last byte of each: who is not admitted keeps them on the line.
    for (const [index, socket] of sockets.entries()) socket.write(contents[index]!.subarray(1, -1));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await ask(place.port, 'POST', `/locks/${HELLO}`, 'hello')).status).toBe(200);
    const after = process.memoryUsage();
    // The test itself holds the bytes it could not send yet; its own buffers were there before.
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(64 * MIB);
    expect([...store.files.keys()]).toEqual([`lock/${HELLO}`]);
    for (const [index, socket] of sockets.entries()) socket.write(contents[index]!.subarray(-1));
    await until(() => store.files.size === 65);
    for (const socket of sockets) socket.destroy();
  });

  it('is waited for only so long', async () => {
    const store = new Store();
    await using place = await listening(store, { largestUpload: MIB, memory: MIB, stallMs: 300 });
    const sockets = [Buffer.alloc(MIB, 1)].map((content) => begin(place.port, content));
    await until(() => store.calls.length === 1);
    const keepAlive = setInterval(() => sockets[0]?.write('x'), 50);
    const content = Buffer.alloc(MIB, 2);
    const reply = await ask(place.port, 'POST', `/data/${idOf(content)}`, content);
    clearInterval(keepAlive);
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '5']);
    for (const socket of sockets) socket.destroy();
  });

  it('is given back by who leaves the line and by who fails', async () => {
    const store = new Store();
    await using place = await listening(store, { largestUpload: MIB, memory: MIB });
    const first = begin(place.port, Buffer.alloc(MIB, 1));
    await until(() => store.calls.length === 1);
    const second = begin(place.port, Buffer.alloc(MIB, 2));
    await until(() => store.calls.length === 2);
    const content = Buffer.alloc(MIB, 3);
    const third = ask(place.port, 'POST', `/data/${idOf(content)}`, content);
    await until(() => store.calls.length === 3);
    second.destroy();
    first.destroy();
    expect((await third).status).toBe(200);
    const wrong = await ask(place.port, 'POST', AT, content);
    expect(wrong.status).toBe(400);
    expect((await ask(place.port, 'POST', `/keys/${idOf(content)}`, content)).status).toBe(200);
  });
});

describe('downloads', () => {
  it('stop when the client goes, and hold nothing', async () => {
    const store = new Store();
    store.files.set(`data/${HELLO}`, Buffer.alloc(64 * MIB));
    const records: RequestRecord[] = [];
    await using place = await listening(store, {
      memory: 8 * MIB,
      largestUpload: MIB,
      onRequest: (r) => records.push(r),
    });
    for (let round = 0; round < 3; round++) {
      await talk(place.port, async (socket) => {
        socket.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`);
        socket.once('data', () => socket.destroy());
      });
    }
    await until(() => records.length === 3);
    expect(store.calls.filter((call) => call === 'load data').length).toBeLessThan(12);
    // The memory is free again: otherwise this would wait.
    expect((await ask(place.port, 'GET', AT)).text).toHaveLength(64 * MIB);
  });

  it('that nobody takes are cut off', async () => {
    const store = new Store();
    store.files.set(`data/${HELLO}`, Buffer.alloc(64 * MIB));
    const records: RequestRecord[] = [];
    await using place = await listening(store, { stallMs: 200, onRequest: (record) => records.push(record) });
    const socket = connect(place.port, '127.0.0.1').pause();
    socket.on('error', () => undefined);
    socket.write(`GET ${AT} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await until(() => records.length === 1);
    expect(records[0]?.bytesSent).toBeLessThan(64 * MIB);
    expect(String(records[0]?.error)).toMatch(/takes nothing|aborted/);
    socket.destroy();
  });

  it('whose rest cannot be read are cut off rather than ended', async () => {
    const store = new Store();
    store.files.set(`data/${HELLO}`, Buffer.alloc(20 * MIB));
    let loads = 0;
    store.before = (operation) => {
      if (operation === 'load' && ++loads === 2) throw new Error('down');
    };
    await using place = await listening(store);
    await expect(ask(place.port, 'GET', AT)).rejects.toThrow(/aborted|hang up|reset/);
  });
});
