import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bandwidth } from '../../src/bandwidth.ts';
import { codeOf, filled, later, open, send } from './requests.ts';
import { bodyOf, startHttp, startTcp, until } from './servers.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('sending', () => {
  it('sends segments of all lengths as one body of an announced length', async () => {
    await using server = await startHttp(async (request, response) => {
      const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
      const body = await bodyOf(request);
      response.end(`${length} ${encoding} ${sha256(body)}`);
    });
    await using client = await open();
    const lengths = fc.array(fc.oneof(fc.nat(300), fc.integer({ min: 65_000, max: 66_000 }), fc.nat(2_000_000)), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(lengths, fc.nat(), async (sizes, seed) => {
        const segments = sizes.map((size, index) => filled(size, (seed + index) % 251));
        const whole = Buffer.concat(segments);
        const response = await send(client, server.url, { method: 'POST', body: segments });
        const answer = Buffer.from(await response.body.read(1000)).toString();
        expect(answer).toBe(`${whole.length} undefined ${sha256(whole)}`);
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('sends its own user agent, another one, and headers as given', async () => {
    await using server = await startHttp((request, response) => {
      response.end([request.headers['user-agent'], request.headers['x-some']].join(' '));
    });
    for (const [options, name] of [
      [{}, 'restic-engine'],
      [{ userAgent: 'other/1' }, 'other/1'],
    ] as const) {
      await using client = await open(options);
      const response = await send(client, server.url, { headers: { 'x-some': 'thing' } });
      expect(Buffer.from(await response.body.read(100)).toString()).toBe(`${name} thing`);
    }
  });

  it('keeps its connections, after HEAD and errors too', async () => {
    await using server = await startHttp((request, response) => {
      response.writeHead(request.url === '/missing' ? 404 : 200, { 'content-length': 3 });
      response.end(request.method === 'HEAD' ? undefined : 'yes');
    });
    await using client = await open();
    for (let count = 0; count < 20; count += 1) {
      const method = count % 2 === 0 ? 'HEAD' : 'GET';
      const response = await send(client, `${server.url}${count % 3 === 0 ? 'missing' : 'there'}`, { method });
      expect(response.body.announced).toBe(3);
      await response.body.discard();
    }
    expect(server.sockets).toHaveLength(1);
  });

  it('opens few connections, whatever is asked for at once', async () => {
    await using server = await startHttp((_, response) => void setTimeout(() => response.end('x'), 5));
    await using client = await open({ connections: 3 });
    const bodies = Array.from({ length: 40 }, async () => (await send(client, server.url)).body.read(1));
    expect((await Promise.all(bodies)).length).toBe(40);
    expect(server.sockets.length).toBeLessThanOrEqual(3 + 4);
  });

  it('takes any number of requests with one signal', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on('warning', note);
    await using server = await startHttp((_, response) => void response.end('x'));
    await using client = await open();
    const { signal } = new AbortController();
    await Promise.all(
      Array.from({ length: 40 }, async () => (await send(client, server.url, { signal })).body.read(1)),
    );
    await later(0);
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

describe('the memory of a body', () => {
  /** Answers as soon as the head of a request has come, and reads the rest only when told to. */
  async function hastyServer(answer: string) {
    const seen = { bytes: 0, foreign: 0 };
    const server = await startTcp((socket) => {
      let head = Buffer.alloc(0);
      let answered = false;
      socket.on('data', (chunk: Buffer) => {
        let body = chunk;
        if (!answered) {
          head = Buffer.concat([head, chunk]);
          const end = head.indexOf('\r\n\r\n');
          if (end < 0) return;
          answered = true;
          socket.pause();
          socket.write(answer);
          body = head.subarray(end + 4);
        }
        seen.bytes += body.length;
        for (const byte of body) if (byte !== 1) seen.foreign += 1;
      });
    });
    return { server, seen, readOn: () => server.sockets.forEach((socket) => socket.resume()) };
  }

  it('is not read any more once an early answer has come', async () => {
    const { server, seen, readOn } = await hastyServer('HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno');
    await using _ = server;
    await using client = await open();
    const segments = [filled(100, 1), filled(20_000_000, 1), filled(100, 1)];
    const response = await send(client, server.url, { method: 'POST', body: segments });
    for (const segment of segments) segment.fill(2);
    expect(response.status).toBe(403);
    expect(Buffer.from(await response.body.read(10)).toString()).toBe('no');
    readOn();
    await until(() => server.sockets.every((socket) => socket.destroyed));
    expect(seen.bytes).toBeLessThan(20_000_000);
    expect(seen.foreign).toBe(0);
  });

  for (const [what, answer] of [
    ['', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    ['that ends with the connection', 'HTTP/1.1 201 Created\r\n\r\nok'],
  ] as const) {
    it(`is not stored by who answers before it has come: such a success ${what} is none`, async () => {
      const { server, seen, readOn } = await hastyServer(answer);
      await using _ = server;
      await using client = await open();
      const segment = filled(20_000_000, 1);
      const sending = codeOf(send(client, server.url, { method: 'POST', body: [segment] }));
      if (what !== '') {
        await until(() => seen.bytes > 0);
        server.sockets.forEach((socket) => socket.destroy());
      }
      expect(await sending).toBe('io');
      segment.fill(2);
      readOn();
      await until(() => server.sockets.every((socket) => socket.destroyed));
      expect(seen.foreign).toBe(0);
    });
  }

  it('is not read any more once an abort has been told', async () => {
    const { server, seen, readOn } = await hastyServer('');
    await using _ = server;
    await using client = await open();
    const controller = new AbortController();
    const segment = filled(20_000_000, 1);
    const sending = send(client, server.url, { method: 'POST', body: [segment], signal: controller.signal });
    await until(() => seen.bytes > 0);
    controller.abort();
    expect(await codeOf(sending)).toBe('aborted');
    segment.fill(2);
    readOn();
    await until(() => server.sockets.every((socket) => socket.destroyed));
    expect(seen.foreign).toBe(0);
  });

  it('may be handed on at once when the request has waited for a connection in vain', async () => {
    await using server = await startHttp(() => undefined);
    await using client = await open({ connections: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const busy = Array.from({ length: 5 }, () => codeOf(send(client, server.url, { signal })));
    await until(() => server.sockets.length === 5);
    const segment = filled(1_000_000, 1);
    const waiting = new AbortController();
    const sending = send(client, server.url, { method: 'POST', body: [segment], signal: waiting.signal });
    waiting.abort();
    expect(await codeOf(sending)).toBe('aborted');
    structuredClone(segment.buffer, { transfer: [segment.buffer] });
    controller.abort();
    expect(await Promise.all(busy)).toEqual(Array.from({ length: 5 }, () => 'aborted'));
  });

  it('is sent to the end where an early answer is not finished before', async () => {
    await using server = await startHttp(async (request, response) => {
      response.writeHead(200);
      response.write('so far: ');
      const { length } = await bodyOf(request);
      response.end(String(length));
    });
    await using client = await open();
    const response = await send(client, server.url, { method: 'POST', body: [filled(5_000_000, 1)] });
    expect(Buffer.from(await response.body.read(100)).toString()).toBe('so far: 5000000');
  });

  it('gives up an upload whose early answer has no end', async () => {
    await using server = await startTcp((socket) => {
      socket.once('data', () => {
        socket.pause();
        socket.write('HTTP/1.1 500 Oh\r\n\r\n');
        const more = (): void => {
          while (socket.writable && socket.write(Buffer.alloc(65_536)));
        };
        socket.on('drain', more);
        more();
      });
    });
    await using client = await open();
    const response = await send(client, server.url, { method: 'POST', body: [filled(20_000_000, 1)] });
    expect(response.status).toBe(500);
    expect(await codeOf(response.body.read(1e9))).toBe('io');
  });
});

describe('reading', () => {
  const content = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => index % 253));
  const serve = (announce: boolean) =>
    startHttp((_, response) => {
      if (announce) response.setHeader('content-length', content.length);
      response.write(content.subarray(0, 1000));
      response.end(content.subarray(1000));
    });

  for (const announce of [true, false]) {
    it(`reads a body ${announce ? 'of announced length' : 'in chunks'} whole, into place, and as it comes`, async () => {
      await using server = await serve(announce);
      await using client = await open();
      const body = async () => (await send(client, server.url)).body;
      expect(Buffer.compare(await (await body()).read(content.length), content)).toBe(0);
      const target = new Uint8Array(content.length + 10);
      expect(await (await body()).readInto(target)).toBe(content.length);
      expect(Buffer.compare(target.subarray(0, content.length), content)).toBe(0);
      const chunks: Uint8Array[] = [];
      for await (const chunk of await body()) chunks.push(new Uint8Array(chunk));
      expect(Buffer.compare(Buffer.concat(chunks), content)).toBe(0);
      expect(server.sockets.length).toBeLessThanOrEqual(2);
    });

    it(`says too-large of a body ${announce ? 'of announced length' : 'in chunks'}`, async () => {
      await using server = await serve(announce);
      await using client = await open();
      const body = async () => (await send(client, server.url)).body;
      expect(await codeOf((await body()).read(content.length - 1))).toBe('too-large');
      expect(await codeOf((await body()).readInto(new Uint8Array(content.length - 1)))).toBe('too-large');
      expect((await (await body()).read(content.length)).length).toBe(content.length);
    });
  }

  it('makes the server wait for a slow reader', async () => {
    let sent = 0;
    await using server = await startHttp((_, response) => {
      const more = (): void => {
        while (sent < 64_000_000 && !response.destroyed) {
          sent += 64_000;
          if (!response.write(Buffer.alloc(64_000))) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    await using client = await open();
    const { body } = await send(client, server.url);
    const reader = body[Symbol.asyncIterator]();
    await reader.next();
    await later(100);
    // What the buffers of two sockets hold, and the queue.
    expect(sent).toBeLessThan(32_000_000);
    await reader.return?.();
    await until(() => server.sockets.every((socket) => socket.destroyed));
  });

  it('takes no more memory than the bytes do where each is a chunk of its own', async () => {
    const count = 2 ** 21;
    let peak = 0;
    await using server = await startTcp((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        const piece = Buffer.from('1\r\nx\r\n'.repeat(2 ** 15));
        let left = count;
        const more = (): void => {
          peak = Math.max(peak, process.memoryUsage().heapUsed);
          for (; left > 0; left -= 2 ** 15) if (!socket.write(piece)) break;
          if (left > 0) left -= 2 ** 15;
          else socket.end('0\r\n\r\n');
        };
        socket.on('drain', more);
        more();
      });
    });
    await using client = await open();
    const { body } = await send(client, server.url);
    const before = process.memoryUsage().heapUsed;
    const bytes = await body.read(2 * count);
    expect([bytes.length, bytes.byteOffset, bytes.buffer.byteLength]).toEqual([count, 0, count]);
    expect(bytes.every((byte) => byte === 0x78)).toBe(true);
    expect(peak - before).toBeLessThan(80_000_000);
  });

  it('stops an endless body at the limit', async () => {
    let sent = 0;
    await using server = await startHttp((_, response) => {
      const more = (): void => {
        do sent += 65_536;
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    });
    await using client = await open();
    for (const read of ['read', 'readInto', 'discard'] as const) {
      const { body } = await send(client, server.url);
      if (read === 'read') expect(await codeOf(body.read(1_000_000))).toBe('too-large');
      else if (read === 'readInto') expect(await codeOf(body.readInto(new Uint8Array(1_000_000)))).toBe('too-large');
      else await body.discard();
      await until(() => server.sockets.every((socket) => socket.destroyed));
    }
    expect(sent).toBeLessThan(100_000_000);
  });

  it('does not wait long for what is discarded', async () => {
    await using server = await startHttp((_, response) => {
      response.writeHead(500, { 'content-length': 10 });
      response.write('never');
    });
    await using client = await open();
    const { body } = await send(client, server.url);
    const start = performance.now();
    await body.discard();
    expect(performance.now() - start).toBeLessThan(3000);
  });

  it('says io of a body that is shorter than announced, and hands over no more than announced', async () => {
    for (const [answer, expected] of [
      ['HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort', 'io'],
      ['HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlong, too long', 'long'],
      ['HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort', 'io'],
    ] as const) {
      await using server = await startTcp((socket) => void socket.once('data', () => socket.end(answer)));
      await using client = await open();
      const { body } = await send(client, server.url);
      if (expected === 'io') expect(await codeOf(body.read(100))).toBe('io');
      else expect(Buffer.from(await body.read(100)).toString()).toBe(expected);
    }
  });

  it('paces what comes in and goes out', async () => {
    await using server = await startHttp(async (request, response) => {
      await bodyOf(request);
      response.end(Buffer.alloc(request.method === 'GET' ? 200_000 : 0));
    });
    await using client = await open({ bandwidth: bandwidth({ upload: 500_000, download: 500_000 }) });
    const start = performance.now();
    await (await send(client, server.url, { method: 'POST', body: [filled(200_000, 1)] })).body.discard();
    const uploaded = performance.now();
    const bytes = await (await send(client, server.url)).body.read(200_000);
    const end = performance.now();
    expect(bytes.length).toBe(200_000);
    // The first and the last piece need not be waited for.
    for (const time of [uploaded - start, end - uploaded]) {
      expect(time).toBeGreaterThan(200);
      expect(time).toBeLessThan(8000);
    }
  });
});
