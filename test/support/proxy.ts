/** A line between a program and a server on this machine: slow, or one that breaks. */
import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Server as Listener, Socket } from 'node:net';

/** `up` is towards the server. */
export type Direction = 'up' | 'down';

/** What happens to the connection over which the byte passes that is one too many. */
export interface LineFault {
  readonly direction: Direction;
  /** Bytes that still pass, over all connections together, counted from when the fault was armed. */
  readonly after: number;
  /** `end` closes both ends as a program that is done, `reset` as one that died; `stall` lets nothing more through. */
  readonly effect: 'end' | 'reset' | 'stall';
  /** How often, counting anew each time; default 1. */
  readonly times?: number;
}

/** A fault that waits to happen. */
export interface ArmedFault {
  /** How often it has happened. */
  readonly happened: number;
  /** Resolves when it happens first. */
  readonly begun: Promise<void>;
}

export interface Proxy extends AsyncDisposable {
  readonly port: number;
  /** What has passed so far. */
  readonly connections: number;
  readonly bytes: Readonly<Record<Direction, number>>;
  arm(fault: LineFault): ArmedFault;
  /** Ends all connections and refuses new ones until {@link accept}. */
  refuse(): Promise<void>;
  accept(): Promise<void>;
}

export interface ProxyOptions {
  /** The port of the server, on 127.0.0.1. */
  readonly target: number;
  /** Milliseconds that anything takes one way: half a round trip. As many bytes as ever may be under way. Default 0. */
  readonly delayMs?: number;
}

/** Bytes under way in one direction of one connection, more than any line of a test needs. */
const WINDOW = 32 << 20;

export async function startProxy({ target, delayMs = 0 }: ProxyOptions): Promise<Proxy> {
  const lines = new Lines();
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    lines.connections += 1;
    // The two ends shake hands first: what is sent first arrives three ways after it began.
    setTimeout(() => lines.join(client, target, delayMs), delayMs * 3);
    client.on('error', () => client.destroy());
  });
  const port = await listen(listener, 0);
  return {
    port,
    get connections() {
      return lines.connections;
    },
    bytes: lines.bytes,
    arm: (fault) => lines.arm(fault),
    async refuse() {
      await stop(listener, lines);
    },
    async accept() {
      await listen(listener, port);
    },
    async [Symbol.asyncDispose]() {
      if (listener.listening) await stop(listener, lines);
    },
  };
}

async function listen(listener: Listener, port: number): Promise<number> {
  listener.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  return (listener.address() as AddressInfo).port;
}

async function stop(listener: Listener, lines: Lines): Promise<void> {
  const closed = once(listener, 'close');
  listener.close();
  lines.closeAll();
  await closed;
}

interface Armed extends ArmedFault {
  readonly fault: LineFault;
  begin(): void;
  left: number;
  happened: number;
}

/** All connections of a proxy, and what is to happen to them. */
class Lines {
  connections = 0;
  readonly bytes = { up: 0, down: 0 };
  readonly #sockets = new Set<Socket>();
  readonly #armed: Armed[] = [];

  arm(fault: LineFault): ArmedFault {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const armed: Armed = { fault, left: fault.after, happened: 0, begun, begin };
    this.#armed.push(armed);
    return armed;
  }

  join(client: Socket, target: number, delayMs: number): void {
    if (client.destroyed) return;
    const server = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      const other = socket === client ? server : client;
      socket.on('error', () => other.resetAndDestroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (socket.errored) other.destroy();
      });
    }
    server.once('connect', () => {
      new OneWay(client, server, delayMs, (chunk) => this.#pass('up', chunk));
      new OneWay(server, client, delayMs, (chunk) => this.#pass('down', chunk));
    });
  }

  closeAll(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** How much of a chunk passes, and what happens then. */
  #pass(direction: Direction, chunk: Buffer): Passing {
    let passing: Passing = { bytes: chunk.length, effect: undefined };
    for (const armed of this.#armed) {
      const { fault } = armed;
      if (fault.direction !== direction || armed.happened >= (fault.times ?? 1)) continue;
      if (passing.effect === undefined && chunk.length > armed.left) {
        passing = { bytes: armed.left, effect: fault.effect };
        armed.happened += 1;
        armed.left = fault.after;
        armed.begin();
      } else {
        armed.left = Math.max(0, armed.left - passing.bytes);
      }
    }
    this.bytes[direction] += passing.bytes;
    return passing;
  }
}

interface Passing {
  readonly bytes: number;
  readonly effect: LineFault['effect'] | undefined;
}

/** One direction of one connection. Chunks are on their way side by side, so that waiting costs no throughput. */
class OneWay {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #delayMs: number;
  readonly #pass: (chunk: Buffer) => Passing;
  /** What is under way, in order; no chunk is the end. */
  readonly #queue: { readonly due: number; readonly chunk: Buffer | undefined }[] = [];
  #queued = 0;
  #timer: NodeJS.Timeout | undefined;
  #blocked = false;
  #stalled = false;

  constructor(from: Socket, to: Socket, delayMs: number, pass: (chunk: Buffer) => Passing) {
    this.#from = from;
    this.#to = to;
    this.#delayMs = delayMs;
    this.#pass = pass;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.once('end', () => this.#take(undefined));
    // Not of `from`: what it sent before it closed is still under way, and so is its end.
    to.once('close', () => clearTimeout(this.#timer));
    to.on('drain', () => {
      this.#blocked = false;
      this.#deliver();
    });
  }

  #take(chunk: Buffer | undefined): void {
    this.#queue.push({ due: performance.now() + this.#delayMs, chunk });
    this.#queued += chunk?.length ?? 0;
    if (this.#queued > WINDOW) this.#from.pause();
    if (this.#timer === undefined) this.#deliver();
  }

  #deliver(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (!this.#blocked && !this.#stalled && !this.#to.destroyed) {
      const [next] = this.#queue;
      if (next === undefined) return;
      const wait = next.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#deliver(), Math.ceil(wait));
        return;
      }
      this.#queue.shift();
      if (next.chunk === undefined) this.#to.end();
      else this.#send(next.chunk);
    }
  }

  #send(chunk: Buffer): void {
    this.#queued -= chunk.length;
    if (this.#queued <= WINDOW) this.#from.resume();
    const { bytes, effect } = this.#pass(chunk);
    if (bytes > 0) this.#blocked = !this.#to.write(chunk.subarray(0, bytes));
    if (effect !== undefined) this.#happen(effect);
  }

  #happen(effect: LineFault['effect']): void {
    this.#stalled = true;
    if (effect === 'stall') return;
    // What has passed arrives first.
    this.#to.write('', () => {
      for (const socket of [this.#from, this.#to]) {
        if (effect === 'reset') socket.resetAndDestroy();
        else socket.destroy();
      }
    });
  }
}
