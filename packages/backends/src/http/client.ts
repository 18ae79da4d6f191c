/** One way to speak HTTP for every backend that does: connections, trust, proxies, limits and errors exist once, here. */
import process from 'node:process';
import { throwIfAborted } from '@restic-engine/repo-format';
import type { Bandwidth } from '../bandwidth.ts';
import type { Environment } from '../scheme.ts';
import type { HttpBody } from './body.ts';
import { openDispatchers } from './dispatcher.ts';
import type { Dispatchers } from './dispatcher.ts';
import { Exchange } from './exchange.ts';
import type { HttpOptions } from './options.ts';
import { uploadOf } from './upload.ts';

export interface HttpClientOptions extends HttpOptions {
  /** Requests that large files may keep busy at once; each origin has four more sockets, for locks and listings. */
  readonly connections: number;
  /** The unix socket every request goes to, whatever host its URL names. */
  readonly socketPath?: string;
  readonly bandwidth?: Bandwidth | undefined;
  /** Where the proxies are named. Default: the environment of this process. */
  readonly env?: Environment;
}

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Without credentials: those belong in a header. */
  readonly url: URL;
  /** `content-length` is added from the body. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sent one after the other. Not touched any more once `request` has settled, whatever the outcome. */
  readonly body?: readonly Uint8Array[];
  /** Ends the request, and the response while its body is being read, with `aborted`. */
  readonly signal?: AbortSignal | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** By lower-case name; what is given several times is joined with `, `. */
  readonly headers: Readonly<Record<string, string>>;
  /** Must be read to its end or discarded: it holds a connection. */
  readonly body: HttpBody;
}

/** Speaks HTTP/1.1 over connections that are kept; follows no redirects and repeats nothing. */
export interface HttpClient extends AsyncDisposable {
  /**
   * Sends one request; resolves when its body is sent and the head of the response is there, whatever its status. Only a
   * refusal may come before all of the body is sent.
   *
   * Rejects with `io`, `untrusted`, `unauthorized` (the server does not accept the client's certificate), `corrupt`
   * (what answers does not speak HTTP), `bad-request` (a header or URL that cannot be sent) or `aborted`.
   */
  request(request: HttpRequest): Promise<HttpResponse>;
}

const DEFAULT_USER_AGENT = 'restic-engine';
const DEFAULT_STUCK_MS = 5 * 60_000;

/** Opens no connection yet. Rejects with `bad-request` for certificates, keys or proxies that cannot be used. */
export async function openHttpClient(options: HttpClientOptions): Promise<HttpClient> {
  const stuckMs = options.stuckRequestMs ?? DEFAULT_STUCK_MS;
  const dispatchers = await openDispatchers(options, stuckMs, options.env ?? process.env);
  return new Client(dispatchers, stuckMs, options.userAgent ?? DEFAULT_USER_AGENT, options.bandwidth);
}

class Client implements HttpClient {
  readonly #dispatchers: Dispatchers;
  readonly #stuckMs: number;
  readonly #userAgent: string;
  readonly #bandwidth: Bandwidth | undefined;

  constructor(dispatchers: Dispatchers, stuckMs: number, userAgent: string, bandwidth: Bandwidth | undefined) {
    this.#dispatchers = dispatchers;
    this.#stuckMs = stuckMs;
    this.#userAgent = userAgent;
    this.#bandwidth = bandwidth;
  }

  async request({ method, url, headers, body, signal }: HttpRequest): Promise<HttpResponse> {
    throwIfAborted(signal);
    const upload = uploadOf(body ?? [], this.#bandwidth, signal);
    const exchange = new Exchange(url, upload, this.#bandwidth, signal);
    const options = {
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method,
      headers: { 'user-agent': this.#userAgent, ...headers, ...upload.headers },
      body: upload.body,
      // The way through a SOCKS proxy has no limits of its own.
      headersTimeout: this.#stuckMs,
      bodyTimeout: this.#stuckMs,
      // Left alone, undici closes the connection after each HEAD.
      reset: false,
    };
    return exchange.run((handler) => this.#dispatchers.for(url).dispatch(options, handler));
  }

  /** Ends what is still running with `aborted`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatchers.close();
  }
}
