/** The way of the AWS SDK's requests: through the HTTP client that all backends share. */
import { Readable } from 'node:stream';
import { EngineError } from '@restic-engine/repo-format';
import type { HttpHandlerOptions, HttpRequest as SdkRequest, HttpResponse as SdkResponse } from '@smithy/types';
import type { HttpClient, HttpRequest, HttpResponse } from '../http/client.ts';
import { holdsError, Passed, S3Refusal } from './errors.ts';

/** Far more than the answers that the SDK itself reads have. */
const MAX_ANSWER = 2 ** 20;

/** What a call adds to the options of the AWS SDK. */
export interface CallOptions extends HttpHandlerOptions {
  /** Not the SDK's own, which would end the call with an error that says nothing. */
  readonly signal: AbortSignal | undefined;
  /** Takes the body of a success, or discards it; the SDK then sees none. */
  readonly receive?: (response: HttpResponse) => Promise<void>;
}

/** The body of a request in parts, which the SDK passes on as it is. */
export class Segments {
  readonly parts: readonly Uint8Array[];

  constructor(parts: readonly Uint8Array[]) {
    this.parts = parts;
  }
}

/** Sends a request of the SDK, and resolves with what `read` makes of its answer. */
export async function receiving<T>(
  read: (response: HttpResponse) => Promise<T>,
  options: CallOptions,
  send: (options: CallOptions) => Promise<unknown>,
): Promise<T> {
  let answer: { readonly value: T } | undefined;
  const receive = async (response: HttpResponse): Promise<void> => {
    answer = { value: await read(response) };
  };
  await send({ ...options, receive });
  if (answer === undefined) throw new TypeError('the AWS SDK sends no request');
  return answer.value;
}

export class SharedHandler {
  readonly metadata: { readonly handlerProtocol: string } = { handlerProtocol: 'http/1.1' };
  readonly #http: HttpClient;

  constructor(http: HttpClient) {
    this.#http = http;
  }

  /** Rejects with {@link S3Refusal} for whatever is no success, and with {@link Passed}. */
  async handle(
    request: SdkRequest,
    options: CallOptions | HttpHandlerOptions = {},
  ): Promise<{ response: SdkResponse }> {
    try {
      return await ('signal' in options ? this.#ask(request, options) : this.#askForKeys(request));
    } catch (error) {
      throw EngineError.is(error) ? new Passed(error) : error;
    }
  }

  async #ask(request: SdkRequest, options: CallOptions): Promise<{ response: SdkResponse }> {
    const response = await this.#http.request(toHttp(request, options.signal));
    const { status, headers, body } = response;
    if (status >= 300 || status < 200) throw await refusalOf(response);
    if (options.receive !== undefined) {
      await options.receive(response);
      return { response: { statusCode: status, headers: { ...headers }, body: nothing() } };
    }
    const bytes = request.method === 'HEAD' ? new Uint8Array() : await body.read(MAX_ANSWER);
    if (request.method === 'HEAD') await body.discard();
    const text = textOf(bytes.subarray(0, 4096));
    if (holdsError(text)) throw new S3Refusal(response, text);
    return { response: { statusCode: status, headers: { ...headers }, body: bytes } };
  }

  /** The credential chain comes along here as well, without options of ours, and understands refusals itself. */
  async #askForKeys(request: SdkRequest): Promise<{ response: SdkResponse }> {
    const { status, headers, body } = await this.#http.request(toHttp(request, undefined));
    return { response: { statusCode: status, headers: { ...headers }, body: await body.read(MAX_ANSWER) } };
  }

  /** Nothing of the SDK's settings applies: the client is set up by its owner, who also closes it. */
  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): Record<string, never> {
    return {};
  }
}

/** The SDK insists on a stream, and this is the cheapest: there is one for each request. */
function nothing(): Readable {
  return new Readable({
    read() {
      this.push(null);
    },
  });
}

/** As much of an error as is worth reading. */
const MAX_ERROR = 64 * 1024;

async function refusalOf(response: HttpResponse): Promise<S3Refusal> {
  let text = '';
  try {
    text = textOf(await response.body.read(MAX_ERROR));
  } catch {
    // The status alone has to do: the rest was cut off, or is no error message.
    await response.body.discard();
  }
  return new S3Refusal(response, text);
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'] as const;

function toHttp(request: SdkRequest, signal: AbortSignal | undefined): HttpRequest {
  const method = METHODS.find((each) => each === request.method);
  if (method === undefined) throw new TypeError(`the AWS SDK sends ${request.method}`);
  const body = partsOf(request.body);
  return { method, url: urlOf(request), headers: headersOf(request.headers), signal, ...(body && { body }) };
}

function partsOf(body: unknown): readonly Uint8Array[] | undefined {
  if (body === undefined || body === null || body === '') return undefined;
  if (body instanceof Segments) return body.parts;
  if (body instanceof Uint8Array) return [body];
  if (typeof body === 'string') return [new TextEncoder().encode(body)];
  throw new TypeError('the AWS SDK sends a body of another kind');
}

function urlOf({ protocol, hostname, port, path, query }: SdkRequest): URL {
  const words = Object.entries(query ?? {}).flatMap(([name, value]) => {
    if (value === null || value === undefined) return [escape(name)];
    return [value].flat().map((each) => `${escape(name)}=${escape(each)}`);
  });
  const search = words.length === 0 ? '' : `?${words.join('&')}`;
  return new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}${search}`);
}

/** RFC 3986, unreserved characters: what the signature is made of. */
function escape(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** The SDK's `User-Agent` is left out, which is not signed: all backends have the same. */
function headersOf(headers: Readonly<Record<string, string>>): Record<string, string> {
  const lower = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(lower.filter(([name]) => name !== 'user-agent'));
}
