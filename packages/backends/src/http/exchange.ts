import { abortedError } from '@restic-engine/repo-format';
import type { EngineError } from '@restic-engine/repo-format';
import type { Dispatcher } from 'undici';
import type { Bandwidth } from '../bandwidth.ts';
import { ReceivedBody } from './body.ts';
import type { HttpResponse } from './client.ts';
import { answeredTooEarly, connectionCut, transportError } from './errors.ts';
import type { Upload } from './upload.ts';

/** One request and its response, as undici tells of them. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #url: URL;
  readonly #upload: Upload;
  readonly #bandwidth: Bandwidth | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #outcome = Promise.withResolvers<HttpResponse>();
  #controller: Dispatcher.DispatchController | undefined;
  #response: { readonly status: number; readonly headers: Readonly<Record<string, string>> } | undefined;
  #body: ReceivedBody | undefined;
  /** No byte of the request's body is in use any more. */
  #sent = false;
  #over = false;
  #aborted: EngineError | undefined;

  constructor(url: URL, upload: Upload, bandwidth: Bandwidth | undefined, signal: AbortSignal | undefined) {
    this.#url = url;
    this.#upload = upload;
    this.#bandwidth = bandwidth;
    this.#signal = signal;
  }

  async run(dispatch: (handler: Dispatcher.DispatchHandler) => void): Promise<HttpResponse> {
    this.#signal?.addEventListener('abort', this.#abort);
    try {
      dispatch(this);
    } catch (error) {
      this.onResponseError(undefined, error);
    }
    return this.#outcome.promise;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It was aborted while it waited for a connection.
    if (this.#over) controller.abort(connectionCut());
  }

  onRequestSent(): void {
    this.#sent = true;
    this.#settle();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (status < 200) return;
    this.#response = { status, headers: joined(headers) };
    this.#body = new ReceivedBody(announcedLength(this.#response.headers), controller, this.#bandwidth, this.#signal);
    this.#settle();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#body?.push(chunk);
    // An early answer that nobody reads yet would keep the rest of the upload waiting for ever.
    if (!this.#sent && this.#body?.full) controller.abort(connectionCut());
  }

  onResponseEnd(): void {
    // A connection that was answered too early is closed: nothing more of the request is sent.
    this.#sent = true;
    this.#finish();
    this.#settle();
    // Nothing, where that has resolved.
    this.#outcome.reject(answeredTooEarly(this.#url));
    // In the turn after the one in which undici takes the connection for free again: the next request of a reader who
    // goes on at once would otherwise open another one.
    queueMicrotask(() => setImmediate(() => this.#body?.end()));
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, cause: unknown): void {
    if (this.#over) return;
    this.#sent = true;
    this.#finish();
    this.#upload.cancel();
    const error = this.#aborted ?? transportError(cause, this.#url);
    this.#body?.fail(error);
    // The status of a response counts even where its body was cut off.
    if (this.#aborted === undefined) this.#settle();
    this.#outcome.reject(error);
  }

  /** Called by the signal. */
  readonly #abort = (): void => {
    if (!this.#signal) return;
    this.#aborted = abortedError(this.#signal);
    // Closes the connection in this very turn, and comes back with onResponseError.
    if (this.#controller) this.#controller.abort(this.#aborted);
    // Still in a queue, or already closed by the body.
    this.onResponseError(undefined, this.#aborted);
  };

  /** Who has not got all of a request may refuse it, but cannot have done what it asks for. */
  #settle(): void {
    if (!this.#response || !this.#body || !this.#sent) return;
    if (this.#response.status < 300 && this.#upload.left() > 0) return;
    this.#outcome.resolve({ ...this.#response, body: this.#body });
  }

  #finish(): void {
    this.#over = true;
    this.#signal?.removeEventListener('abort', this.#abort);
  }
}

function joined(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) result[name] = typeof value === 'string' ? value : value.join(', ');
  }
  return result;
}

function announcedLength(headers: Readonly<Record<string, string>>): number | undefined {
  const text = headers['content-length'];
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  const length = Number(text);
  return Number.isSafeInteger(length) ? length : undefined;
}
