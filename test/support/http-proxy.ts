/** A proxy that understands plain HTTP: counts requests and spoils chosen answers. */
import { once } from 'node:events';
import { Agent, createServer, request as startRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What becomes of a request. */
export type HttpEffect =
  /** Answered in place of the server, which never hears of it. */
  | Answer
  /** The server does it, but the connection breaks before its answer. */
  | { readonly loseAnswer: true }
  /** The headers and this many bytes of the body arrive, then the connection breaks. */
  | { readonly truncate: number }
  /** The headers and this many bytes of the body arrive, then nothing more. */
  | { readonly stall: number }
  /** Nothing ever happens. */
  | { readonly silence: true };

interface Answer {
  readonly answer: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface HttpFault {
  readonly method?: string;
  /** Matched against path and query. */
  readonly path?: RegExp;
  /** Which of the matching requests, counted from when the fault was armed; default 1. */
  readonly nth?: number;
  /** How many from there on; default 1. */
  readonly times?: number;
  readonly effect: HttpEffect;
}

export interface PassedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
}

export interface HttpProxy extends AsyncDisposable {
  readonly port: number;
  /** All requests so far, spoiled ones too. */
  readonly requests: readonly PassedRequest[];
  arm(fault: HttpFault): { readonly happened: number };
}

interface Armed {
  readonly fault: HttpFault;
  seen: number;
  happened: number;
}

/** `target` is the port of a server on 127.0.0.1. The `Host` header stays as the client sent it: it may be signed. */
export async function startHttpProxy({ target }: { readonly target: number }): Promise<HttpProxy> {
  const requests: PassedRequest[] = [];
  const faults: Armed[] = [];
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const server = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
    const { method = '', url: path = '' } = request;
    requests.push({ method, path });
    const effect = effectOn(faults, method, path);
    if (effect !== undefined && 'answer' in effect) answer(request, response, effect);
    else if (effect === undefined || !('silence' in effect)) pass(request, response, { target, agent, effect });
    else request.resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    requests,
    arm(fault) {
      const armed = { fault, seen: 0, happened: 0 };
      faults.push(armed);
      return armed;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
}

/** Every matching fault counts the request; the first that is due happens. */
function effectOn(faults: readonly Armed[], method: string, path: string): HttpEffect | undefined {
  let effect: HttpEffect | undefined;
  for (const armed of faults) {
    const { fault } = armed;
    if ((fault.method !== undefined && fault.method !== method) || fault.path?.test(path) === false) continue;
    armed.seen += 1;
    const { nth = 1, times = 1 } = fault;
    if (effect !== undefined || armed.seen < nth || armed.happened >= times) continue;
    armed.happened += 1;
    ({ effect } = fault);
  }
  return effect;
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { answer: status, headers = {}, body = '' }: Answer,
): void {
  request.resume();
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers });
  response.end(request.method === 'HEAD' ? undefined : body);
}

interface Passage {
  readonly target: number;
  readonly agent: Agent;
  readonly effect: Exclude<HttpEffect, Answer | { silence: true }> | undefined;
}

function pass(request: IncomingMessage, response: ServerResponse, { target, agent, effect }: Passage): void {
  const { expect: _, ...headers } = request.headers;
  const upstream = startRequest({ agent, port: target, method: request.method, path: request.url, headers });
  upstream.once('response', (answered) => reply(answered, response, effect));
  upstream.once('error', () => response.destroy());
  response.once('close', () => {
    if (!response.writableFinished) upstream.destroy();
  });
  send(request, upstream);
}

function send(request: IncomingMessage, upstream: ClientRequest): void {
  request.once('close', () => {
    if (!request.complete) upstream.destroy();
  });
  request.pipe(upstream);
}

function reply(answered: IncomingMessage, response: ServerResponse, effect: Passage['effect']): void {
  answered.once('error', () => response.destroy());
  if (effect !== undefined && 'loseAnswer' in effect) {
    answered.resume();
    answered.once('end', () => response.destroy());
    return;
  }
  const { connection: _, 'keep-alive': _too, ...headers } = answered.headers;
  response.writeHead(answered.statusCode ?? 502, headers);
  response.flushHeaders();
  if (effect === undefined) {
    answered.pipe(response);
    return;
  }
  let left = 'truncate' in effect ? effect.truncate : effect.stall;
  answered.on('data', (chunk: Buffer) => {
    response.write(chunk.subarray(0, left));
    left -= Math.min(left, chunk.length);
  });
  answered.once('end', () => {
    // What was let through arrives first.
    if ('truncate' in effect) response.write('', () => response.destroy());
  });
}
