/** Requests to the API: repeated where that may help, answered with JSON or an error that tells no secrets. */
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { EngineError } from 'restic-engine';
import type { Access } from './access.ts';
import { connectionError, readStatus, refusal, type Status } from './refusal.ts';
import { abortedError, throwIfAborted, wait } from './wait.ts';

/** Between the tries of a call, in milliseconds: those that fail do so after some eight seconds. */
const PAUSES_MS = [250, 500, 1000, 2000, 4000];
/** No further try after this long, and no waiting for a server that asks for more. */
const PATIENCE_MS = 60_000;
/** A connection on which nothing moves for this long is broken. */
const STALLED_MS = 60_000;
/** Bytes of an answer, unless more are asked for. */
const MAX_ANSWER = 16 * 1024 * 1024;
const MAX_REFUSAL = 1024 * 1024;

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From the server's root, with the query. */
  readonly path: string;
  /** For people: what is done, such as `apply Secret che/che-tls`. */
  readonly subject: string;
  readonly body?: unknown;
  /** @default 'application/json' */
  readonly contentType?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** May it be sent again when nobody knows whether the API has done it? @default true */
  readonly repeatable?: boolean | undefined;
  /** Most bytes of an answer. @default 16 MiB */
  readonly maxBytes?: number | undefined;
  /** Nothing is heard for this long only when the connection is broken, in milliseconds. @default 60000 */
  readonly stalledMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What the API has said. */
export interface Answer {
  readonly httpStatus: number;
  readonly json: unknown;
  /** Of a 404 or 410: what it says. */
  readonly status: Status | undefined;
  /** An earlier try may have been done, though its answer got lost. */
  readonly repeated: boolean;
}

/** A failure of one try. */
class Failed extends Error {
  readonly error: EngineError;
  /** The API certainly has not done what was asked for. */
  readonly undone: boolean;
  readonly retryAfterMs: number;

  constructor(error: EngineError, undone: boolean, retryAfterMs = 0) {
    super(error.message);
    this.error = error;
    this.undone = undone;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A user whom the API is asked to take this one for. */
export interface Impersonated {
  readonly name: string;
  /** What webhooks take the user for; servers before 1.22 know none. */
  readonly uid?: string | undefined;
  readonly groups?: readonly string[] | undefined;
}

/** The API as one user. */
export class Api {
  readonly access: Access;
  readonly #user: Impersonated | undefined;

  constructor(access: Access, user?: Impersonated) {
    this.access = access;
    this.#user = user;
  }

  as(user: Impersonated): Api {
    return new Api(this.access, user);
  }

  /** Answers with what has been done; other answers than those and `accepted` ones are errors. */
  async call(request: ApiRequest, accepted: readonly number[] = []): Promise<Answer> {
    return this.#repeatedly(request, async (repeated) => {
      const response = await this.#send(request);
      const httpStatus = response.statusCode ?? 0;
      const good = httpStatus >= 200 && httpStatus < 300;
      const json = await readJson(response, request, good);
      if (good) return { httpStatus, json, status: undefined, repeated };
      if (accepted.includes(httpStatus)) return { httpStatus, json, status: readStatus(json), repeated };
      throw failed(request, response, json);
    });
  }

  /** Opens an answer that goes on for as long as it likes. The caller reads or destroys it. */
  async open(request: ApiRequest): Promise<IncomingMessage> {
    return this.#repeatedly(request, async () => {
      const response = await this.#send(request);
      if (response.statusCode === 200) return response;
      throw failed(request, response, await readJson(response, request, false));
    });
  }

  /** Changes to another protocol. The caller owns the socket. */
  async upgrade(request: ApiRequest): Promise<{ readonly socket: Socket; readonly response: IncomingMessage }> {
    return this.#repeatedly(request, async () => {
      const response = await this.#send(request);
      if (response.statusCode === 101) return { socket: response.socket, response };
      throw failed(request, response, await readJson(response, request, false));
    });
  }

  async #repeatedly<T>(request: ApiRequest, attempt: (repeated: boolean) => Promise<T>): Promise<T> {
    const { signal, repeatable = true } = request;
    const started = performance.now();
    let lost = false;
    for (let tries = 0; ; tries++) {
      throwIfAborted(signal);
      try {
        return await attempt(lost);
      } catch (error) {
        throwIfAborted(signal);
        if (!(error instanceof Failed)) throw error;
        lost ||= !error.undone;
        const pause = Math.max(PAUSES_MS[tries] ?? Number.POSITIVE_INFINITY, error.retryAfterMs);
        const tooLate = performance.now() - started + pause > PATIENCE_MS;
        if (!error.error.retryable || tooLate || (!repeatable && !error.undone)) throw error.error;
        await wait(pause, signal);
      }
    }
  }

  async #send(request: ApiRequest): Promise<IncomingMessage> {
    const { method, path, subject, body, contentType = 'application/json', signal } = request;
    const options = await this.access.options();
    const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const headers = {
      Accept: 'application/json',
      'User-Agent': 'che-backup',
      ...options.headers,
      ...(sent === undefined ? {} : { 'Content-Type': contentType, 'Content-Length': sent.length }),
      ...(this.#user === undefined ? {} : { 'Impersonate-User': this.#user.name }),
      ...(this.#user?.uid === undefined ? {} : { 'Impersonate-Uid': this.#user.uid }),
      ...(this.#user?.groups?.length ? { 'Impersonate-Group': [...this.#user.groups] } : {}),
      ...request.headers,
    };
    const url = new URL(`${this.access.server}${path}`);
    const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const outgoing = start(url, { ...options, method, headers, signal });
    let connected = false;
    outgoing.on('socket', (socket) => {
      if (!socket.connecting) connected = true;
      else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => (connected = true));
    });
    outgoing.setTimeout(request.stalledMs ?? STALLED_MS, () => {
      outgoing.destroy(Object.assign(new Error('stalled'), { code: 'ETIMEDOUT' }));
    });
    outgoing.on('error', (error) => {
      if (signal?.aborted) reject(abortedError(signal));
      else reject(brokenConnection(subject, error, !connected));
    });
    outgoing.on('response', resolve);
    outgoing.on('upgrade', (response, socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(response);
    });
    outgoing.end(sent);
    return promise;
  }
}

function brokenConnection(subject: string, error: unknown, undone: boolean): Error {
  const known = connectionError(subject, error);
  // A name that nobody knows is a mistake more often than a disturbance.
  return known.code === 'io' && known.context['cause'] !== 'ENOTFOUND' ? new Failed(known, undone) : known;
}

function failed({ subject }: ApiRequest, response: IncomingMessage, json: unknown): Error {
  const httpStatus = response.statusCode ?? 0;
  const seconds = Number(response.headers['retry-after'] ?? 0);
  const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
  const known = refusal(subject, httpStatus, json);
  const error =
    known.code === 'throttled' && retryAfterMs > 0
      ? new EngineError('throttled', known.message, { ...known.context, retryAfterMs })
      : known;
  // 503 is the answer of those who cannot even begin.
  if (httpStatus !== 429 && (httpStatus < 500 || error.code !== 'io')) return error;
  return new Failed(error, httpStatus === 429 || httpStatus === 503, retryAfterMs);
}

/** Reads the whole body. A body that is no JSON is an error only where the answer is good. */
async function readJson(response: IncomingMessage, request: ApiRequest, good: boolean): Promise<unknown> {
  const maxBytes = good ? (request.maxBytes ?? MAX_ANSWER) : MAX_REFUSAL;
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response) {
      const bytes: Buffer = chunk;
      size += bytes.length;
      if (size > maxBytes) break;
      chunks.push(bytes);
    }
  } catch (error) {
    throwIfAborted(request.signal);
    throw brokenConnection(request.subject, error, false);
  }
  if (size > maxBytes) {
    throw new EngineError('too-large', `cannot ${request.subject}: the answer is too long`, { maxBytes });
  }
  try {
    const json: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    return json;
  } catch {
    if (!good) return undefined;
    throw new Failed(new EngineError('io', `cannot ${request.subject}: the answer is no JSON`), false);
  }
}
