/** Requests of node:http. */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Answer, Message } from '../message.ts';

/** How a request was answered. */
export interface Sent {
  readonly status: number;
  /** Bytes of the body. */
  readonly bytes: number;
  /** Why the answer broke off. */
  readonly error?: unknown;
}

/** `gone` fires when the client is not there any more. */
export function messageOf(request: IncomingMessage, gone: AbortSignal): Message {
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    header(name) {
      const value = request.headers[name];
      return typeof value === 'string' ? value : value?.join(', ');
    },
    body: request,
    cancel: (reason) => void request.destroy(reason),
    signal: gone,
  };
}

/** A signal for {@link messageOf}, and what ends the listening. */
export function whenGone(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort(new Error('the client has gone'));
  });
  return controller.signal;
}

/**
 * Writes an answer, as fast as the client takes it. Never rejects. The connection is cut when the body breaks off or
 * when nothing of it was taken for `stallMs`.
 */
export async function send(answer: Answer, response: ServerResponse, method: string, stallMs: number): Promise<Sent> {
  const { status, headers, body } = answer;
  try {
    if (typeof body === 'string') {
      // The length of what a HEAD would give is in the headers.
      const length = headers['content-length'] ?? String(Buffer.byteLength(body));
      response.writeHead(status, { ...headers, 'content-length': length });
      response.end(method === 'HEAD' ? undefined : body);
      return { status, bytes: method === 'HEAD' ? 0 : Buffer.byteLength(body) };
    }
    response.writeHead(status, headers);
    return await stream(body, response, status, stallMs);
  } catch (error) {
    response.destroy();
    return { status, bytes: 0, error };
  }
}

async function stream(
  body: AsyncIterableIterator<Uint8Array>,
  response: ServerResponse,
  status: number,
  stallMs: number,
): Promise<Sent> {
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (!response.write(chunk)) await drained(response, stallMs);
    }
    response.end();
    return { status, bytes };
  } catch (error) {
    // Cutting the connection is the only way left to say that this is not all.
    response.destroy();
    return { status, bytes, error };
  }
}

async function drained(response: ServerResponse, stallMs: number): Promise<void> {
  if (response.destroyed) throw new Error('the client has gone');
  const controller = new AbortController();
  const closed = (): void => controller.abort(new Error('the client has gone'));
  const timer = setTimeout(() => controller.abort(new Error('the client takes nothing')), stallMs);
  response.once('close', closed);
  try {
    await once(response, 'drain', { signal: controller.signal });
  } finally {
    clearTimeout(timer);
    response.off('close', closed);
  }
}
