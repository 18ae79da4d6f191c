import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOfRequest, responseOf } from './http/fetch.ts';
import { listen } from './http/listen.ts';
import type { ListenAt, Listener, ListeningAt, TlsOptions } from './http/listen.ts';
import { messageOf, send, whenGone } from './http/node.ts';
import type { Sent } from './http/node.ts';
import { ending } from './message.ts';
import type { Answer, Findings, Message } from './message.ts';
import { resolveOptions } from './options.ts';
import type { RestServerOptions, Settings } from './options.ts';
import { Protocol } from './protocol.ts';

/** How long requests in progress may take when a server closes, by default, in milliseconds. */
const GRACE_MS = 30_000;

/** A server of restic's REST protocol. */
export interface RestServer extends AsyncDisposable {
  /** For a server of node:http that the caller has; mount it where `request.url` starts at the root of the server. */
  readonly handler: (request: IncomingMessage, response: ServerResponse) => void;
  /** For everything that speaks the Fetch standard. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** Listens; may be called several times. Rejects with the system's error, such as `EADDRINUSE`. */
  listen(at: ListenAt, options?: { readonly tls?: TlsOptions }): Promise<ListeningAt>;
  /**
   * Takes no more connections, waits until the requests in progress are answered, at most `graceMs` (default 30,000
   * milliseconds), cuts those that are left, and closes the repositories that `open` gave.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/**
 * Serves repositories to restic, and to everything that speaks its REST protocol. Nothing listens until `listen` is
 * called or `handler` or `fetch` is put to use.
 */
export function createRestServer(options: RestServerOptions): RestServer {
  const server = new NodeRestServer(resolveOptions(options));
  return {
    handler: (request, response) => server.handle(request, response),
    fetch: (request) => server.fetch(request),
    listen: (at, { tls } = {}) => server.listen(at, tls),
    close: ({ graceMs = GRACE_MS } = {}) => server.close(graceMs),
    [Symbol.asyncDispose]: () => server.close(GRACE_MS),
  };
}

/** A request under way, for its record. */
interface Visit {
  readonly message: Message;
  readonly findings: Findings;
  readonly remote: string | undefined;
  readonly start: number;
}

class NodeRestServer {
  readonly #settings: Settings;
  readonly #protocol: Protocol;
  readonly #listeners = new Set<Listener>();
  readonly #visits = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#protocol = new Protocol(settings);
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const visit = this.#handle(request, response);
    this.#visits.add(visit);
    void visit.then(() => this.#visits.delete(visit));
  }

  /** Resolves when the client has the answer, or has gone. Never rejects. */
  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const closed = new Promise<void>((resolve) => response.once('close', () => resolve()));
    const message = messageOf(request, whenGone(response));
    const visit = visitOf(message, request.socket.remoteAddress);
    const answer = await this.#protocol.answer(message, visit.findings);
    if (this.#closing !== undefined) response.shouldKeepAlive = false;
    this.#record(visit, await send(answer, response, message.method, this.#settings.stallMs));
    await closed;
  }

  async fetch(request: Request): Promise<Response> {
    const message = messageOfRequest(request);
    const visit = visitOf(message, undefined);
    const answer = await this.#protocol.answer(message, visit.findings);
    return responseOf(this.#recorded(visit, answer), message.method);
  }

  async listen(at: ListenAt, tls: TlsOptions | undefined): Promise<ListeningAt> {
    if (this.#closing !== undefined) throw new TypeError('the server is closed');
    const listener = await listen((request, response) => this.handle(request, response), at, tls);
    this.#listeners.add(listener);
    return listener.at;
  }

  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    for (const listener of this.#listeners) listener.stop();
    await settledWithin([...this.#visits], graceMs);
    await Promise.all([...this.#listeners].map((listener) => listener.cut()));
    await this.#protocol.close();
  }

  /** The answer of a fetch is over when its body is. */
  #recorded(visit: Visit, answer: Answer): Answer {
    const { status, body } = answer;
    if (typeof body === 'string') {
      this.#record(visit, { status, bytes: Buffer.byteLength(body) });
      return answer;
    }
    return { ...answer, body: ending(body, async (bytes) => this.#record(visit, { status, bytes })) };
  }

  #record({ message, findings, remote, start }: Visit, { status, bytes, error }: Sent): void {
    this.#settings.onRequest?.({
      method: message.method,
      target: message.target,
      user: findings.user,
      repository: findings.repository,
      status,
      bytesSent: bytes,
      durationMs: performance.now() - start,
      remote,
      userAgent: message.header('user-agent'),
      referrer: message.header('referer'),
      error: findings.error ?? error,
    });
  }
}

function visitOf(message: Message, remote: string | undefined): Visit {
  const findings = { user: '', repository: undefined, error: undefined };
  return { message, findings, remote, start: performance.now() };
}

async function settledWithin(work: readonly Promise<void>[], ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  await Promise.race([Promise.allSettled(work), late]);
  clearTimeout(timer);
}
