import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { startHttpProxy } from './http-proxy.ts';
import { startProxy } from './proxy.ts';
import type { LineFault } from './proxy.ts';

// The judges of what backends do on bad lines are judged here.

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Sends everything back. */
const startEcho = (): Promise<number> =>
  listening(createServer((socket) => socket.on('error', () => socket.destroy()).pipe(socket)));

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** Sends and resolves with what comes back until that many bytes are there, or the connection ends. */
async function echo(socket: Socket, bytes: Buffer): Promise<{ received: Buffer; error: string | undefined }> {
  const chunks: Buffer[] = [];
  let length = 0;
  let error: string | undefined;
  socket.on('error', (each: NodeJS.ErrnoException) => {
    error = each.code;
  });
  socket.write(bytes);
  await new Promise<void>((resolve) => {
    socket.on('close', () => resolve());
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length >= bytes.length) resolve();
    });
  });
  return { received: Buffer.concat(chunks), error };
}

it('takes its time for every byte, and loses none', async () => {
  await using proxy = await startProxy({ target: await startEcho(), delayMs: 25 });
  const socket = await dial(proxy.port);
  await echo(socket, Buffer.from('hands are shaken'));
  const sent = Buffer.alloc(8 << 20, 'some text');
  const start = performance.now();
  const { received } = await echo(socket, sent);
  const took = performance.now() - start;
  expect(received.equals(sent)).toBe(true);
  expect(took).toBeGreaterThanOrEqual(49);
  // 128 chunks of 64 KiB one after the other would take more than 6 seconds.
  expect(took).toBeLessThan(3000);
  expect(proxy.bytes).toEqual({ up: sent.length + 16, down: sent.length + 16 });
});

it.each([
  { direction: 'up', after: 0, effect: 'end' },
  { direction: 'up', after: 100_000, effect: 'end' },
  { direction: 'down', after: 70_000, effect: 'end' },
] satisfies LineFault[])('breaks a line after exactly as many bytes: %o', async (fault) => {
  await using proxy = await startProxy({ target: await startEcho() });
  const armed = proxy.arm(fault);
  const sent = Buffer.alloc(200_000, 'x');
  const { received } = await echo(await dial(proxy.port), sent);
  expect(proxy.bytes[fault.direction]).toBe(fault.after);
  expect(received.length).toBeLessThanOrEqual(fault.after);
  expect(armed.happened).toBe(1);
  expect((await echo(await dial(proxy.port), sent)).received.length).toBe(sent.length);
  expect(proxy.connections).toBe(2);
});

it('resets, refuses, and accepts again', async () => {
  await using proxy = await startProxy({ target: await startEcho() });
  proxy.arm({ direction: 'up', after: 10, effect: 'reset', times: 2 });
  for (let round = 0; round < 2; round++) {
    expect((await echo(await dial(proxy.port), Buffer.alloc(100))).error).toBe('ECONNRESET');
  }
  await proxy.refuse();
  await expect(dial(proxy.port)).rejects.toThrow('ECONNREFUSED');
  await proxy.accept();
  expect((await echo(await dial(proxy.port), Buffer.alloc(100))).received.length).toBe(100);
});

it('spoils the answers it is told to', async () => {
  const http = createHttpServer((request, response) => {
    request.resume();
    request.on('end', () => response.end('0123456789'));
  });
  await using proxy = await startHttpProxy({ target: await listening(http) });
  const url = `http://127.0.0.1:${proxy.port}`;
  const ask = async (path: string, method = 'GET'): Promise<string> => {
    const answer = await fetch(`${url}${path}`, { method, ...(method === 'POST' && { body: 'x'.repeat(1000) }) });
    return `${answer.status} ${answer.headers.get('retry-after') ?? ''}${await answer.text()}`;
  };
  proxy.arm({ path: /a/, nth: 2, effect: { answer: 503, headers: { 'retry-after': '7' } } });
  proxy.arm({ method: 'POST', effect: { loseAnswer: true } });
  const truncated = proxy.arm({ path: /t/, effect: { truncate: 4 } });
  expect(await ask('/a')).toBe('200 0123456789');
  expect(await ask('/a')).toBe('503 7');
  expect(await ask('/a')).toBe('200 0123456789');
  await expect(ask('/b', 'POST')).rejects.toThrow('fetch failed');
  expect(await ask('/b', 'POST')).toBe('200 0123456789');
  await expect(ask('/t')).rejects.toThrow('terminated');
  expect(truncated.happened).toBe(1);
  expect(proxy.requests.map(({ path }) => path).join()).toBe('/a,/a,/a,/b,/b,/t');
});
