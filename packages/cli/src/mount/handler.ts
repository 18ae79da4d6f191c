/** Answers requests of WebDAV clients (RFC 4918, class 1, without anything that changes something). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isUnchanged, partOf } from './conditions.ts';
import type { Part } from './conditions.ts';
import { pathOf } from './href.ts';
import { multistatus } from './multistatus.ts';
import { parsePropfind } from './propfind.ts';
import { resourceAt, resourcesIn } from './resources.ts';
import type { Resource, Tree } from './resources.ts';

export interface HandlerOptions extends Tree {
  /** What clients may call this server, `host:port`. A page whose name was made to lead here has another one. */
  readonly hosts: ReadonlySet<string>;
  /** Told of what fails because of the repository. */
  readonly onFailure: (target: string, error: unknown) => void;
}

type Headers = Readonly<Record<string, string>>;

interface Exchange extends Tree {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  /** Fires when the client has gone. */
  readonly signal: AbortSignal;
}

const READING = 'OPTIONS, GET, HEAD, PROPFIND';
const WRITING = new Set('PUT POST PATCH DELETE MKCOL COPY MOVE PROPPATCH LOCK UNLOCK'.split(' '));
const MAX_BODY = 1 << 16;
/** Contents are of no kind, and no page in a backup may do anything in the name of this server. */
const INERT: Headers = {
  'content-type': 'application/octet-stream',
  'content-security-policy': "default-src 'none'; sandbox",
  'x-content-type-options': 'nosniff',
};

/** Never rejects. */
export async function handle(
  options: HandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  try {
    await answer(options, request, response, gone.signal);
  } catch (error) {
    if (gone.signal.aborted) return;
    options.onFailure(request.url ?? '', error);
    // After the headers only cutting the line is left to say that this is not all.
    if (response.headersSent) response.destroy();
    else say(response, 500, error instanceof Error ? error.message : String(error));
  }
}

async function answer(
  options: HandlerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  signal: AbortSignal,
): Promise<void> {
  const { method = '', url = '', headers } = request;
  if (!options.hosts.has(headers.host?.toLowerCase() ?? '')) return say(response, 403, 'this is not my name');
  if (method === 'OPTIONS') {
    response.writeHead(200, { allow: READING, dav: '1', 'ms-author-via': 'DAV', 'content-length': '0' }).end();
    return undefined;
  }
  const path = pathOf(options.engine, options.prefix, url);
  if (path === undefined) return say(response, 404, 'there is nothing here');
  const exchange = { ...options, request, response, path, signal };
  if (method === 'PROPFIND') return propfind(exchange);
  if (method === 'GET' || method === 'HEAD') return get(exchange);
  if (WRITING.has(method)) return say(response, 403, 'snapshots cannot be changed');
  return say(response, 405, 'unknown method', { allow: READING });
}

async function propfind(exchange: Exchange): Promise<void> {
  const { request, response, path, signal } = exchange;
  const depth = request.headers['depth'] ?? 'infinity';
  if (depth !== '0' && depth !== '1') return say(response, 403, FINITE, { 'content-type': 'application/xml' });
  const body = await readBody(request);
  if (body === undefined) return say(response, 413, 'too long a question');
  const wanted = parsePropfind(body);
  if (wanted === undefined) return say(response, 400, 'not a PROPFIND');
  const self = await resourceAt(exchange, path, { signal });
  if (self === undefined) return say(response, 404, 'there is nothing here');
  const below = self.stats.isDirectory() && depth === '1' ? resourcesIn(exchange, path, { signal }) : none();
  const pieces = multistatus(joined(self, below), wanted);
  // The folder is read for the third: what fails until then can still be said.
  let first = '';
  for (let piece = 0; piece < 3; piece++) first += (await pieces.next()).value ?? '';
  response.writeHead(207, { 'content-type': 'application/xml; charset=utf-8' });
  response.write(first);
  await pipeline(Readable.from(pieces), response);
  return undefined;
}

const FINITE = '<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n';

async function* joined(first: Resource, others: AsyncIterable<Resource>): AsyncGenerator<Resource> {
  yield first;
  yield* others;
}

async function* none(): AsyncGenerator<Resource> {}

async function get(exchange: Exchange): Promise<void> {
  const { request, response, path, signal } = exchange;
  const resource = await resourceAt(exchange, path, { signal });
  if (resource === undefined) return say(response, 404, 'there is nothing here');
  const { stats, etag } = resource;
  if (etag === undefined) return say(response, 405, 'a folder: ask with PROPFIND', { allow: 'OPTIONS, PROPFIND' });
  const common = { etag, 'last-modified': stats.mtime.toUTCString(), 'accept-ranges': 'bytes' };
  if (isUnchanged(request.headers, etag, stats.mtime)) {
    response.writeHead(304, common).end();
    return undefined;
  }
  const part = partOf(request.headers, stats.size, etag, stats.mtime);
  if (part === 'none') return say(response, 416, 'no such bytes', { 'content-range': `bytes */${stats.size}` });
  if (part === 'whole') return sendPart(exchange, { start: 0, end: stats.size - 1 }, 200, common);
  const range = { 'content-range': `bytes ${part.start}-${part.end}/${stats.size}` };
  return sendPart(exchange, part, 206, { ...common, ...range });
}

async function sendPart(exchange: Exchange, part: Part, status: 200 | 206, headers: Headers): Promise<void> {
  const { request, response, path, signal, fs } = exchange;
  const length = part.end - part.start + 1;
  const all = { ...INERT, ...headers, 'content-length': String(length) };
  if (request.method === 'HEAD' || length === 0) {
    response.writeHead(status, all).end();
    return;
  }
  const chunks = (await fs.createReadStream(path, { ...part, signal })).values();
  // What fails at once can still be said.
  const first = await chunks.next();
  response.writeHead(status, all);
  if (!first.done) response.write(first.value);
  await pipeline(Readable.from(chunks), response);
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function say(response: ServerResponse, status: number, text: string, headers: Headers = {}): void {
  const body = Buffer.from(`${text.trimEnd()}\n`);
  // A body that nobody reads would be taken for the next request.
  const close = response.req.complete ? {} : { connection: 'close' };
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': body.length,
    ...close,
    ...headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
