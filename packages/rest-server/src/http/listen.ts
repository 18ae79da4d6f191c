/** Sockets to listen at. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server, ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** What a server shows to prove who it is. TLS 1.2 and later. */
export interface TlsOptions {
  /** PEM */
  readonly key: string;
  /** PEM, the server's certificate first, then those between it and a trusted one. */
  readonly cert: string;
  /** PEM. Clients must show a certificate signed by one of these. Default: they need none. */
  readonly clientCa?: string;
}

/** A port of this machine, or the path of a unix socket. */
export type ListenAt =
  | {
      /** Default `127.0.0.1`; '' stands for all addresses of this machine. */
      readonly host?: string;
      /** Default 0: one that is free. */
      readonly port?: number;
      readonly socketPath?: never;
    }
  | { readonly socketPath: string; readonly host?: never; readonly port?: never };

/** Where a server listens. */
export interface ListeningAt {
  /** As restic wants it after `rest:` — `http://127.0.0.1:8000/`, `http+unix:///run/rest.sock:/`. */
  readonly url: string;
  /** 0 for a unix socket. */
  readonly port: number;
}

/** Headers must arrive within this time, in milliseconds. */
const HEADERS_MS = 30_000;
/** Connections are kept longer than clients keep them, so that none is closed while a request is on its way. */
const KEEP_ALIVE_MS = 150_000;

/** A server at its place. */
export interface Listener {
  readonly at: ListeningAt;
  /** Takes no more connections, and closes those on which nothing is going on. */
  stop(): void;
  /** Closes the connections that are left; resolves when they are gone. */
  cut(): Promise<void>;
}

export async function listen(handler: RequestListener, at: ListenAt, tls: TlsOptions | undefined): Promise<Listener> {
  const options: ServerOptions = {
    headersTimeout: HEADERS_MS,
    // Large files over slow lines take their time; progress is watched where the bodies are.
    requestTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  const server =
    tls === undefined ? createServer(options, handler) : createTlsServer(tlsOptions(options, tls), handler);
  if (at.socketPath === undefined) server.listen(at.port ?? 0, at.host === '' ? undefined : (at.host ?? '127.0.0.1'));
  else {
    await removeDeadSocket(at.socketPath);
    server.listen(at.socketPath);
  }
  // Rejects with what the system says instead, for one that the port is in use.
  await once(server, 'listening');
  // Node counts only those that have sent a request or had an answer, and that is not all.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const closed = new Promise<void>((resolve) => server.once('close', () => resolve()));
  return {
    at: listeningAt(server, tls !== undefined),
    stop: () => void server.close(),
    cut() {
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}

function tlsOptions(
  options: ServerOptions,
  { key, cert, clientCa }: TlsOptions,
): Parameters<typeof createTlsServer>[0] {
  const proof = { ...options, key, cert, minVersion: 'TLSv1.2' } as const;
  return clientCa === undefined ? proof : { ...proof, ca: clientCa, requestCert: true, rejectUnauthorized: true };
}

function listeningAt(server: Server, tls: boolean): ListeningAt {
  const scheme = tls ? 'https' : 'http';
  const address = server.address();
  if (address === null || typeof address === 'string') return { url: `${scheme}+unix://${address ?? ''}:/`, port: 0 };
  return { url: `${scheme}://${hostOf(address)}:${address.port}/`, port: address.port };
}

function hostOf({ address, family }: AddressInfo): string {
  return family === 'IPv6' ? `[${address}]` : address;
}

/** A socket that a process left behind when it was killed. One that answers, or no socket, is left alone. */
async function removeDeadSocket(path: string): Promise<void> {
  try {
    if (!(await lstat(path)).isSocket()) return;
  } catch (error) {
    if (isSystem(error, 'ENOENT')) return;
    throw error;
  }
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch (error) {
    if (isSystem(error, 'ECONNREFUSED')) await unlink(path);
  } finally {
    socket.destroy();
  }
}

function isSystem(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
