/** Servers that live as long as one test does. */
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server as TcpServer, Socket } from 'node:net';

export interface TestServer extends AsyncDisposable {
  /** Ends in a slash. */
  readonly url: string;
  readonly port: number;
  /** Every connection so far. */
  readonly sockets: readonly Socket[];
}

export type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export async function startHttp(handler: Handler, tls?: ServerOptions): Promise<TestServer> {
  const listener = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      await handler(request, response);
    } catch (error) {
      // The test has cut the connection.
      response.destroy(error instanceof Error ? error : undefined);
    }
  };
  const handle = (request: IncomingMessage, response: ServerResponse): void => void listener(request, response);
  const server = tls === undefined ? createHttpServer(handle) : createHttpsServer(tls, handle);
  return started(server, tls === undefined ? 'http' : 'https');
}

/** A server that speaks whatever `talk` makes of it. */
export async function startTcp(talk: (socket: Socket) => void): Promise<TestServer> {
  return started(createTcpServer(talk), 'http');
}

async function started(server: HttpServer | TcpServer, protocol: string): Promise<TestServer> {
  const sockets: Socket[] = [];
  server.on('connection', (socket: Socket) => {
    sockets.push(socket);
    // Tests cut connections on purpose.
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${protocol}://127.0.0.1:${port}/`,
    port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  await using server = await startTcp(() => undefined);
  return server.port;
}

/** The whole body of a request. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** One of the certificates in `fixtures/`, PEM. */
export function fixture(name: string): string {
  return readFileSync(new URL(`fixtures/${name}.pem`, import.meta.url), 'utf8');
}

/** Resolves when `test` holds; rejects after five seconds. */
export async function until(test: () => boolean): Promise<void> {
  const patience = performance.now() + 5000;
  while (!test()) {
    if (performance.now() > patience) throw new Error('it never came true');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
