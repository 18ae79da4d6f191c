/** Stand-ins for an API that does what no sound one does: each test says what it answers. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Cluster } from '../../src/cluster/cluster.ts';
import { connectCluster } from '../../src/cluster/connect.ts';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;
export type Upgrade = (socket: ServerSocket, request: IncomingMessage) => void | Promise<void>;

export interface StandIn extends AsyncDisposable {
  readonly url: string;
  /** Method and path of every request so far. */
  readonly requests: readonly string[];
  /** Connections so far. */
  readonly connections: number;
  readonly cluster: Cluster;
}

export interface StandInOptions {
  readonly tls?: ServerOptions;
  /** Parts of the kubeconfig. */
  readonly user?: Readonly<Record<string, unknown>>;
  readonly clusterOptions?: Readonly<Record<string, unknown>>;
  readonly upgrade?: Upgrade;
  /** Of the path of the server's URL. */
  readonly prefix?: string;
}

export async function startStandIn(handler: Handler, options: StandInOptions = {}): Promise<StandIn> {
  const { tls, upgrade, prefix = '' } = options;
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const handle: Handler = (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    handler(request, response);
  };
  const server = tls === undefined ? createHttpServer(handle) : createHttpsServer(tls, handle);
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
  });
  if (upgrade !== undefined) {
    server.on('upgrade', (request, socket) => {
      requests.push(`${request.method} ${request.url}`);
      void Promise.resolve(upgrade(new ServerSocket(socket as Socket, request), request)).catch(() => socket.destroy());
    });
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}${prefix}`;
  const folder = await mkdtemp(path.join(tmpdir(), 'che-stand-in-'));
  const file = path.join(folder, 'config');
  await writeFile(file, kubeconfig(url, options));
  const cluster = await connectCluster({ kubeconfig: file });
  return {
    url,
    requests,
    cluster,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true });
    },
  };
}

/** A kubeconfig, as JSON, which is YAML too. */
export function kubeconfig(url: string, { tls, user = {}, clusterOptions }: StandInOptions = {}): string {
  const cluster = {
    server: url,
    ...(tls === undefined ? { 'insecure-skip-tls-verify': true } : {}),
    ...clusterOptions,
  };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'che' } }],
  });
}

export function answer(response: ServerResponse, status: number, json: unknown, headers: object = {}): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(json));
}

/** What the API says when it refuses. */
export function statusOf(code: number, reason: string, message = '', more: object = {}): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code, ...more };
}

/** The server's end of a WebSocket, which can also break its rules. */
export class ServerSocket {
  readonly socket: Socket;
  readonly #request: IncomingMessage;
  #input: AsyncIterator<Buffer> | undefined;
  #held: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, request: IncomingMessage) {
    this.socket = socket;
    this.#request = request;
    socket.setNoDelay(true);
  }

  accept(protocol: string, first: Buffer = Buffer.alloc(0)): void {
    const key = `${this.#request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
    head.push(`Sec-WebSocket-Accept: ${accept}`, `Sec-WebSocket-Protocol: ${protocol}`, '', '');
    // What comes with the answer in one piece must not get lost.
    this.socket.write(Buffer.concat([Buffer.from(head.join('\r\n')), first]));
  }

  /** Resolves when the other end makes room. */
  async send(channel: number, content: string | Uint8Array): Promise<void> {
    await this.write(message(channel, content));
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (!this.socket.write(bytes)) await new Promise((resolve) => this.socket.once('drain', resolve));
  }

  async exit(code: number): Promise<void> {
    await this.send(3, JSON.stringify(exitStatus(code)));
    this.socket.end(frame(8, Buffer.from([0x03, 0xe8])));
  }

  /** The next message, or undefined at the goodbye. */
  async receive(): Promise<Buffer | undefined> {
    for (;;) {
      const head = await this.#read(2);
      const short = head[1]! & 0x7f;
      const length = short === 126 ? (await this.#read(2)).readUInt16BE() : short;
      const mask = await this.#read(4);
      const content = Buffer.from(await this.#read(length)).map((byte, i) => byte ^ mask[i & 3]!) as Buffer;
      const opcode = head[0]! & 0x0f;
      if (opcode === 8) return undefined;
      if (opcode === 2) return content;
    }
  }

  async #read(count: number): Promise<Buffer> {
    this.#input ??= this.socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    while (this.#held.length < count) {
      const { done, value } = await this.#input.next();
      if (done) throw new Error('the client has gone');
      this.#held = Buffer.concat([this.#held, value]);
    }
    const bytes = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return bytes;
  }
}

export function exitStatus(code: number): object {
  if (code === 0) return { kind: 'Status', metadata: {}, status: 'Success' };
  const causes = [{ reason: 'ExitCode', message: String(code) }];
  return statusOf(500, 'NonZeroExitCode', `command terminated with exit code ${code}`, { details: { causes } });
}

/** An unmasked frame. */
export function frame(opcode: number, payload: Uint8Array, final = true): Buffer {
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10);
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = head.length === 2 ? payload.length : head.length === 4 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(payload.length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(payload.length), 2);
  return Buffer.concat([head, payload]);
}

export function message(channel: number, content: string | Uint8Array): Buffer {
  return frame(2, Buffer.concat([Buffer.from([channel]), Buffer.from(content)]));
}
