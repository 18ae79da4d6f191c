import { getEventListeners, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import type { ExecOptions, RunningCommand } from '../../src/cluster/cluster.ts';
import {
  answer,
  exitStatus,
  frame,
  message,
  type ServerSocket,
  startStandIn,
  statusOf,
  type Upgrade,
} from './stand-in.ts';

const V4 = 'v4.channel.k8s.io';
const V5 = 'v5.channel.k8s.io';
const MIB = 1024 * 1024;

const start = (upgrade: Upgrade) => startStandIn((_, response) => answer(response, 404, {}), { upgrade });

const command: ExecOptions = { namespace: 'che', pod: 'postgres-0', command: ['pg_dump', '-d', 'che & co'] };

async function read(running: RunningCommand): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of running.stdout) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

/** What both ways of learning the outcome say: codes of errors, or the text and the exit. */
async function outcome(running: RunningCommand): Promise<unknown> {
  const text = await read(running).catch((error: unknown) => (error as EngineError).code);
  const end = await running.ended.catch((error: unknown) => (error as EngineError).code);
  return [text, typeof end === 'string' ? end : `${end.exitCode} ${end.stderr}`];
}

/** Says `pieces` and leaves. */
const says =
  (...pieces: readonly Uint8Array[]): Upgrade =>
  async (client) => {
    client.accept(V4);
    for (const piece of pieces) await client.write(piece);
    client.socket.end();
  };

describe.concurrent('a command in a pod', () => {
  it('gives its output, its errors and its exit status', async () => {
    await using server = await start(async (client) => {
      client.accept(V5, Buffer.concat([message(1, ''), message(1, 'one ')]));
      await client.send(2, 'warning');
      await client.send(1, 'two');
      await client.exit(3);
    });
    const { signal } = new AbortController();
    const running = await server.cluster.exec({ ...command, container: 'db', signal });
    expect(await outcome(running)).toEqual(['one two', '3 warning']);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(server.requests).toEqual([
      'GET /api/v1/namespaces/che/pods/postgres-0/exec?stdout=true&stderr=true&container=db&command=pg_dump&command=-d&command=che+%26+co',
    ]);
  });

  it('reads frames however they are cut, fragmented and mixed with pings', async () => {
    const sent = Buffer.concat([
      frame(2, Buffer.from('\u0001ab'), false),
      frame(9, Buffer.from('ping')),
      frame(0, Buffer.from('cd'), false),
      frame(0, Buffer.from('ef')),
      message(1, 'x'.repeat(70_000)),
      message(1, 'y'.repeat(200)),
      message(3, JSON.stringify(exitStatus(0))),
      frame(8, Buffer.alloc(0)),
    ]);
    for (const step of [1, 997, 65_536, sent.length]) {
      await using server = await start(async (client) => {
        client.accept(V4);
        // One byte at a time would take long in the middle of the large message.
        const whole = step === 1 ? sent.subarray(40, -400) : sent.subarray(0, 0);
        const parts = step === 1 ? [...sent.subarray(0, 40)].map((byte) => Buffer.from([byte])) : [];
        parts.push(whole);
        const rest = step === 1 ? sent.subarray(-400) : sent;
        for (let at = 0; at < rest.length; at += step) parts.push(rest.subarray(at, at + step));
        for (const part of parts) {
          client.socket.write(part);
          await new Promise(setImmediate);
        }
      });
      const running = await server.cluster.exec(command);
      expect(await outcome(running)).toEqual([`abcdef${'x'.repeat(70_000)}${'y'.repeat(200)}`, '0 ']);
    }
  });

  it('keeps the end of what it says on standard error', async () => {
    await using server = await start(async (client) => {
      client.accept(V4);
      for (let i = 0; i < 10; i++) await client.send(2, `${i}`.repeat(4000));
      await client.exit(1);
    });
    const running = await server.cluster.exec(command);
    await read(running);
    const { stderr } = await running.ended;
    expect(stderr).toBe('5'.repeat(384) + ['6', '7', '8', '9'].map((digit) => digit.repeat(4000)).join(''));
  });

  it('has not ended when the connection has, whatever it said before', async () => {
    const dump = message(1, 'half a dump');
    // Whoever does not keep to the rules is not believed afterwards.
    const good = [message(3, JSON.stringify(exitStatus(0))), frame(8, Buffer.alloc(0))];
    const cases: Readonly<Record<string, readonly Uint8Array[]>> = {
      'without a word': [dump],
      'with a goodbye': [dump, frame(8, Buffer.from([0x03, 0xe8]))],
      'in the middle of a message': [dump, message(1, 'more').subarray(0, 3)],
      'with a status that is none': [dump, message(3, '{"status":')],
      'with a status that tells no exit': [
        dump,
        message(3, JSON.stringify(statusOf(500, 'InternalError', 'oh "secret"'))),
      ],
      'with a frame of no kind': [dump, Buffer.from([0x83, 0x00]), ...good],
      'with compression': [dump, Buffer.from([0xc2, 0x01, 0x00]), ...good],
      'with a continuation of nothing': [dump, frame(0, Buffer.from('x')), ...good],
      'with a new message in a fragmented one': [frame(2, Buffer.from('\u0001ab'), false), dump, ...good],
    };
    for (const [how, pieces] of Object.entries(cases)) {
      await using server = await start(says(...pieces));
      const running = await server.cluster.exec(command);
      expect(await outcome(running), how).toEqual(['io', 'io']);
      await running.ended.catch((error: Error) => expect(error.message).not.toContain('secret'));
    }
  });

  it('is given up when a message is too long to be held', async () => {
    const head = Buffer.alloc(10);
    head.set([0x82, 127]);
    head.writeBigUInt64BE(1n << 40n, 2);
    await using server = await start(says(head));
    expect(await outcome(await server.cluster.exec(command))).toEqual(['too-large', 'too-large']);
  });

  it('has ended when its status is known and nothing more is said', async () => {
    await using server = await start(async (client) => {
      client.accept(V4);
      await client.send(1, 'all');
      await client.send(3, JSON.stringify(exitStatus(0)));
    });
    expect(await outcome(await server.cluster.exec(command))).toEqual(['all', '0 ']);
  });

  it('loses nothing of its output to a slow reader, even after its status', async () => {
    const pieces = 40;
    await using server = await start(async (client) => {
      client.accept(V4);
      // A command may think for as long as it likes before it has ended.
      await sleep(2500);
      await client.send(3, JSON.stringify(exitStatus(0)));
      for (let i = 0; i < pieces; i++) await client.send(1, Buffer.alloc(64 * 1024, i));
      client.socket.end(frame(8, Buffer.alloc(0)));
    });
    const running = await server.cluster.exec(command);
    let size = 0;
    for await (const piece of running.stdout) {
      if (size === 0) await sleep(2500);
      size += piece.length;
    }
    expect(size).toBe(pieces * 64 * 1024);
    expect((await running.ended).exitCode).toBe(0);
  });

  it('waits for its reader', async () => {
    let sent = 0;
    await using server = await start(async (client) => {
      client.accept(V4);
      for (; sent < 64; sent++) await client.send(1, Buffer.alloc(MIB));
      await client.exit(0);
    });
    const running = await server.cluster.exec(command);
    const output = running.stdout[Symbol.asyncIterator]();
    let size = (await output.next()).value?.length ?? 0;
    await sleep(500);
    // Buffers of the kernel on both sides hold some of it.
    expect(sent).toBeLessThan(32);
    for (let next = await output.next(); !next.done; next = await output.next()) size += next.value.length;
    expect(size).toBe(64 * MIB);
  });

  it('is left when its reader leaves', async () => {
    await using server = await start(async (client) => {
      client.accept(V4);
      for (;;) await client.send(1, Buffer.alloc(MIB));
    });
    const running = await server.cluster.exec(command);
    for await (const _ of running.stdout) break;
    await expect(running.ended).rejects.toMatchObject({ code: 'aborted' });
  });

  it('is left when the signal fires, before and while its output is read', async () => {
    for (const first of [false, true]) {
      let gone: Promise<unknown> = Promise.resolve();
      await using server = await start(async (client) => {
        gone = Promise.race([once(client.socket, 'end'), once(client.socket, 'close')]);
        client.socket.resume();
        client.accept(V4);
        await client.send(1, 'x');
      });
      const abort = new AbortController();
      const running = await server.cluster.exec({ ...command, signal: abort.signal });
      const output = running.stdout[Symbol.asyncIterator]();
      if (first) await output.next();
      const next = first ? output.next() : undefined;
      abort.abort();
      await expect(running.ended).rejects.toMatchObject({ code: 'aborted' });
      await expect(next ?? output.next()).rejects.toMatchObject({ code: 'aborted' });
      await gone;
    }
  });

  it('is not begun when the API refuses, and the refusal is told', async () => {
    await using server = await start((client) => {
      const body = JSON.stringify(statusOf(403, 'Forbidden', 'pods "x" is forbidden'));
      client.socket.end(`HTTP/1.1 403 Forbidden\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    await expect(server.cluster.exec(command)).rejects.toMatchObject({ code: 'denied' });
  });

  it('is not begun over a protocol that cannot tell how it ends', async () => {
    await using server = await start((client) => client.accept('channel.k8s.io'));
    await expect(server.cluster.exec(command)).rejects.toMatchObject({ code: 'unsupported' });
    // Nor with something that only repeats what it is told.
    await using echo = await start((client) => {
      const head = ['HTTP/1.1 101 Yes', 'Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Protocol: ${V4}`];
      client.socket.write([...head, 'Sec-WebSocket-Accept: x', '', ''].join('\r\n'));
    });
    await expect(echo.cluster.exec(command)).rejects.toMatchObject({ code: 'unsupported' });
  });
});

/** Everything that comes on standard input. */
async function stdinOf(client: ServerSocket): Promise<{ text: string; closed: boolean }> {
  let text = '';
  for (;;) {
    const received = await client.receive();
    if (received === undefined) return { text, closed: false };
    if (received[0] === 255) return { text, closed: received[1] === 0 };
    expect(received[0]).toBe(0);
    text += received.subarray(1).toString();
    if (text.endsWith('\\q\n')) return { text, closed: false };
  }
}

describe('the standard input of a command', () => {
  it('is closed after all of it where that is possible', async () => {
    let got: unknown;
    await using server = await start(async (client) => {
      client.accept(V5);
      got = await stdinOf(client);
      await client.exit(0);
    });
    const text = 'a'.repeat(100_000);
    const stdin = (async function* () {
      yield Buffer.from(text);
      yield Buffer.from('');
      yield Buffer.from('end');
    })();
    const running = await server.cluster.exec({ ...command, stdin });
    expect(await outcome(running)).toEqual(['', '0 ']);
    expect(got).toEqual({ text: `${text}end`, closed: true });
    expect(server.requests[0]).toContain('stdin=true');
  });

  it('is left open where it cannot be closed, for the command to find its end', async () => {
    let got: unknown;
    let more: unknown;
    await using server = await start(async (client) => {
      client.accept(V4);
      got = await stdinOf(client);
      more = await Promise.race([client.receive(), sleep(300, 'nothing')]);
      await client.exit(0);
    });
    const stdin = (async function* () {
      yield Buffer.from('select 1;\n\\q\n');
    })();
    expect(await outcome(await server.cluster.exec({ ...command, stdin }))).toEqual(['', '0 ']);
    expect(got).toEqual({ text: 'select 1;\n\\q\n', closed: false });
    expect(more).toBe('nothing');
  });

  it('waits for the command', async () => {
    const waits = Promise.withResolvers<void>();
    let given = 0;
    let taken = 0;
    await using server = await start(async (client) => {
      client.accept(V5);
      await waits.promise;
      for (let got = await client.receive(); got?.[0] === 0; got = await client.receive()) taken += got.length - 1;
      await client.exit(0);
    });
    const stdin = (async function* () {
      for (; given < 48; given++) yield Buffer.alloc(MIB, given);
    })();
    const running = await server.cluster.exec({ ...command, stdin });
    const ended = outcome(running);
    await sleep(500);
    expect(given).toBeLessThan(32);
    waits.resolve();
    expect(await ended).toEqual(['', '0 ']);
    expect(taken).toBe(48 * MIB);
  });

  it('fails the command with its own error', async () => {
    await using server = await start(async (client) => {
      client.accept(V5);
      await stdinOf(client);
    });
    const stdin = (async function* () {
      yield Buffer.from('half');
      throw new EngineError('corrupt', 'the dump is damaged');
    })();
    expect(await outcome(await server.cluster.exec({ ...command, stdin }))).toEqual(['corrupt', 'corrupt']);
  });

  it('need not be read to its end by a command that has failed', async () => {
    await using server = await start(async (client) => {
      client.accept(V5);
      await client.receive();
      await client.send(2, 'ERROR: no such table');
      await client.exit(3);
    });
    let left = false;
    const stdin = (async function* () {
      try {
        for (;;) yield Buffer.alloc(MIB);
      } finally {
        left = true;
      }
    })();
    expect(await outcome(await server.cluster.exec({ ...command, stdin }))).toEqual(['', '3 ERROR: no such table']);
    for (let i = 0; i < 100 && !left; i++) await sleep(20);
    expect(left).toBe(true);
  });

  it('breaks off with the connection', async () => {
    await using server = await start(async (client) => {
      client.accept(V5);
      await client.receive();
      client.socket.destroy();
    });
    const stdin = (async function* () {
      for (;;) yield Buffer.alloc(MIB);
    })();
    expect(await outcome(await server.cluster.exec({ ...command, stdin }))).toEqual(['io', 'io']);
  });
});
