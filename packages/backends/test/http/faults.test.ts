import { inspect } from 'node:util';
import { EngineError } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { codeOf, filled, open, send } from './requests.ts';
import { freePort, startHttp, startTcp, until } from './servers.ts';

describe('aborting', () => {
  it('ends a request that has not begun, waits for an answer, or is read', async () => {
    await using server = await startHttp((request, response) => {
      if (request.url === '/silent') return;
      response.writeHead(200, { 'content-length': 100 });
      response.write('some');
    });
    await using client = await open();
    const reason = new Error('enough');
    const before = send(client, server.url, { signal: AbortSignal.abort(reason) });
    await expect(before).rejects.toMatchObject({ code: 'aborted', cause: reason });
    const waiting = new AbortController();
    const silent = send(client, `${server.url}silent`, { signal: waiting.signal });
    await until(() => server.sockets.length === 1);
    waiting.abort(reason);
    await expect(silent).rejects.toMatchObject({ code: 'aborted', cause: reason });
    const reading = new AbortController();
    const { body } = await send(client, server.url, { signal: reading.signal });
    const read = body.read(100);
    reading.abort(reason);
    await expect(read).rejects.toMatchObject({ code: 'aborted', cause: reason });
    await until(() => server.sockets.every((socket) => socket.destroyed));
  });

  it('ends everything when the client is disposed of', async () => {
    await using server = await startHttp(() => undefined);
    const client = await open({ connections: 1 });
    const running = Array.from({ length: 8 }, () => codeOf(send(client, server.url)));
    await until(() => server.sockets.length > 0);
    await client[Symbol.asyncDispose]();
    await client[Symbol.asyncDispose]();
    expect(new Set(await Promise.all(running))).toEqual(new Set(['aborted']));
    expect(await codeOf(send(client, server.url))).toBe('aborted');
  });
});

describe('servers that stall', () => {
  it('are given up without an answer, in the middle of one, and when they do not read', async () => {
    await using server = await startTcp((socket) => {
      socket.once('data', (chunk) => {
        if (chunk.includes('/half')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf');
        socket.pause();
      });
    });
    await using client = await open({ stuckRequestMs: 300 });
    const start = performance.now();
    const [silent, upload, half] = await Promise.all([
      codeOf(send(client, server.url)),
      codeOf(send(client, server.url, { method: 'POST', body: [filled(50_000_000, 1)] })),
      send(client, `${server.url}half`).then(({ body }) => codeOf(body.read(10))),
    ]);
    expect([silent, upload, half]).toEqual(['io', 'io', 'io']);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  it('are not given up while bytes pass, however slowly', async () => {
    await using server = await startTcp((socket) => {
      let bytes = 0;
      socket.on('data', (chunk: Buffer) => {
        if (bytes === 0 && chunk.includes('GET')) {
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n');
          let count = 0;
          const timer = setInterval(() => {
            count += 1;
            socket.write('x');
            if (count === 12) clearInterval(timer);
          }, 150);
          return;
        }
        bytes += chunk.length;
        if (bytes > 24_000_000) return void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        socket.pause();
        setTimeout(() => socket.resume(), 5);
      });
    });
    const stuckRequestMs = 800;
    await using client = await open({ stuckRequestMs });
    const start = performance.now();
    const upload = send(client, server.url, { method: 'POST', body: [filled(24_000_000, 1)] });
    const { body } = await send(client, server.url);
    expect((await body.read(12)).length).toBe(12);
    expect((await upload).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThan(2 * stuckRequestMs);
  });
});

describe('what goes wrong', () => {
  it('says io when nobody listens, a name is not known, or a connection is reset', async () => {
    await using client = await open();
    expect(await codeOf(send(client, `http://127.0.0.1:${await freePort()}/`))).toBe('io');
    expect(await codeOf(send(client, 'http://no-such-host.invalid/'))).toBe('io');
    await using upload = await startTcp((socket) => void socket.once('data', () => socket.resetAndDestroy()));
    expect(await codeOf(send(client, upload.url, { method: 'POST', body: [filled(10_000_000, 1)] }))).toBe('io');
    await using download = await startTcp((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nsome');
        setTimeout(() => socket.resetAndDestroy(), 20);
      });
    });
    const { body } = await send(client, download.url);
    expect(await codeOf(body.read(1_000_000))).toBe('io');
  });

  it('says corrupt of what is no HTTP', async () => {
    for (const answer of ['SSH-2.0-OpenSSH_9.2\r\n', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`]) {
      await using server = await startTcp((socket) => void socket.once('data', () => socket.write(answer)));
      await using client = await open();
      expect(await codeOf(send(client, server.url))).toBe('corrupt');
    }
  });

  it('says bad-request of a header that cannot be sent, without its value', async () => {
    await using client = await open();
    const sending = send(client, 'http://127.0.0.1:1/', { headers: { authorization: 'secret\r\nx: y' } });
    const error: unknown = await sending.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'bad-request' });
    expect(inspect(error, { depth: null, showHidden: true })).not.toContain('secret');
  });

  it('tells nothing of what was sent', async () => {
    await using cut = await startTcp((socket) => void socket.once('data', (head) => socket.end(head)));
    await using reset = await startTcp((socket) => void socket.once('data', () => socket.resetAndDestroy()));
    await using stalled = await startTcp(() => undefined);
    await using client = await open({ stuckRequestMs: 100 });
    const refused = `http://127.0.0.1:${await freePort()}/`;
    for (const url of [cut.url, reset.url, stalled.url, refused, 'http://no-such-host.invalid/']) {
      const secrets = { headers: { authorization: 'Basic c2VjcmV0' } };
      const error: unknown = await send(client, `${url}?signature=secret`, secrets).catch((reason: unknown) => reason);
      expect(EngineError.is(error), url).toBe(true);
      const told = inspect(error, { depth: null, showHidden: true });
      expect(told).not.toMatch(/secret|c2VjcmV0/);
    }
  });
});
