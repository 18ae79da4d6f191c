/** A small REST server over a Map, as honest as restic's own. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bodyOf, startHttp } from '../http/servers.ts';
import type { TestServer } from '../http/servers.ts';

export interface RestServer extends TestServer {
  /** By path below the server: `/repo/keys/3f2a…`. */
  readonly files: Map<string, Buffer>;
  /** `GET /repo/keys/`, in order. */
  readonly requests: string[];
}

export interface RestServerOptions {
  /** `user:password`. */
  readonly credentials?: string;
  readonly appendOnly?: boolean;
  /** Answers every listing with version 1 of the protocol. */
  readonly version1?: boolean;
  /** Looks at each request first; true: it has answered it. */
  readonly first?: (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;
}

const PATH = /^\/[^?]*?\/(?:config|(data|keys|locks|snapshots|index)\/([0-9a-f]{64})?)$/;
const V2 = 'application/vnd.x.restic.rest.v2';

export async function startRest(options: RestServerOptions = {}): Promise<RestServer> {
  const files = new Map<string, Buffer>();
  const requests: string[] = [];
  const authorization = `Basic ${Buffer.from(options.credentials ?? '').toString('base64')}`;
  const server = await startHttp(async (request, response) => {
    const url = request.url ?? '';
    requests.push(`${request.method} ${url}`);
    if (await options.first?.(request, response)) return;
    if (options.credentials !== undefined && request.headers.authorization !== authorization) {
      response.writeHead(401).end();
    } else if (request.method === 'POST' && url.endsWith('/?create=true')) response.end();
    else await answer(files, options, request, response);
  });
  return { ...server, files, requests };
}

async function answer(
  files: Map<string, Buffer>,
  options: RestServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url ?? '';
  const [match, type, name] = PATH.exec(path) ?? [];
  if (match === undefined) return void response.writeHead(404).end();
  if (type !== undefined && name === undefined) return list(files, options, path, request, response);
  const found = files.get(path);
  if (request.method === 'POST') return save(files, path, name, request, response);
  if (request.method === 'DELETE') {
    if (options.appendOnly && type !== 'locks') return void response.writeHead(403).end();
    files.delete(path);
    return void response.end();
  }
  if (found === undefined) return void response.writeHead(404).end();
  send(found, request, response);
}

async function save(
  files: Map<string, Buffer>,
  path: string,
  name: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (files.has(path)) return void response.writeHead(403, { connection: 'close' }).end();
  if (request.headers['content-length'] === undefined) return void response.writeHead(411).end();
  const body = await bodyOf(request);
  const sound = name === undefined || createHash('sha256').update(body).digest('hex') === name;
  if (!sound) return void response.writeHead(400).end();
  // Two may have begun to send it.
  if (files.has(path)) return void response.writeHead(403).end();
  files.set(path, body);
  response.end();
}

function send(bytes: Buffer, request: IncomingMessage, response: ServerResponse): void {
  const [, first, last] = /^bytes=(\d+)-(\d+)?$/.exec(request.headers.range ?? '') ?? [];
  if (first === undefined) {
    response.setHeader('content-length', bytes.length);
    return void response.end(request.method === 'HEAD' ? undefined : bytes);
  }
  if (Number(first) >= bytes.length) return void response.writeHead(416).end();
  const end = Math.min(Number(last ?? bytes.length) + 1, bytes.length);
  const range = `bytes ${first}-${end - 1}/${bytes.length}`;
  response.writeHead(206, { 'content-length': end - Number(first), 'content-range': range });
  response.end(bytes.subarray(Number(first), end));
}

function list(
  files: Map<string, Buffer>,
  options: RestServerOptions,
  folder: string,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const entries = [...files].filter(([path]) => path.startsWith(folder));
  const named = entries.map(([path, bytes]) => ({ name: path.slice(folder.length), size: bytes.length }));
  const version2 = request.headers.accept === V2 && !options.version1;
  response.setHeader('content-type', version2 ? V2 : 'application/vnd.x.restic.rest.v1');
  response.end(JSON.stringify(version2 ? named : named.map(({ name }) => name)));
}
