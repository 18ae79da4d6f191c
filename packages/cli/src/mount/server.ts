/** A WebDAV server for this machine alone. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { isIP } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { SnapshotFs } from 'restic-engine';
import { Fatal } from '../failure.ts';
import type { Engine } from '../open.ts';
import { handle } from './handler.ts';

export interface DavOptions {
  readonly engine: Engine;
  readonly fs: SnapshotFs;
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
  readonly onFailure: (target: string, error: unknown) => void;
}

export interface DavServer extends AsyncDisposable {
  /** With a secret in it, and a `/` at the end. */
  readonly url: string;
}

const SECRET_BYTES = 16;
const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1)$/;

/** Starts to listen. Other users of the machine can connect too: they do not know the path. */
export async function startDav({ engine, fs, host, port, onFailure }: DavOptions): Promise<DavServer> {
  const address = host === 'localhost' || host === '' ? '127.0.0.1' : host;
  if (isIP(address) === 0 || !LOOPBACK.test(address)) {
    throw new Fatal(`mount serves this machine only: listen on 127.0.0.1, ::1 or localhost, not on ${host}`);
  }
  const prefix = `/${randomBytes(SECRET_BYTES).toString('base64url')}`;
  const hosts = new Set<string>();
  const options = { engine, fs, prefix, hosts, onFailure };
  const server = createServer((request, response) => void handle(options, request, response));
  server.listen(port, address);
  await once(server, 'listening');
  const at = portOf(server.address());
  const shown = address.includes(':') ? `[${address}]` : address;
  for (const name of [shown, 'localhost', '127.0.0.1', '[::1]']) {
    hosts.add(`${name}:${at}`);
    if (at === 80) hosts.add(name);
  }
  return {
    url: `http://${shown}:${at}${prefix}/`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}
