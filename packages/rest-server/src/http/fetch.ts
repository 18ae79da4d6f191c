/** Requests of the Fetch standard. */
import type { Answer, Message } from '../message.ts';

/** The target is what the standard has made of the path: dots are resolved already. */
export function messageOfRequest(request: Request): Message {
  const { pathname, search } = new URL(request.url);
  const broken = new AbortController();
  return {
    method: request.method,
    target: `${pathname}${search}`,
    header: (name) => request.headers.get(name) ?? undefined,
    body: bodyOf(request, broken.signal),
    cancel: (reason) => broken.abort(reason),
    signal: request.signal,
  };
}

async function* bodyOf(request: Request, broken: AbortSignal): AsyncGenerator<Uint8Array> {
  if (request.body === null) return;
  const reader = request.body.getReader();
  const cancel = (): void => void reader.cancel(broken.reason).catch(() => undefined);
  broken.addEventListener('abort', cancel);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      broken.throwIfAborted();
      if (done) return;
      yield value;
    }
  } finally {
    broken.removeEventListener('abort', cancel);
    reader.releaseLock();
  }
}

export function responseOf({ status, headers, body }: Answer, method: string): Response {
  if (typeof body !== 'string') return new Response(ReadableStream.from(body), { status, headers });
  return new Response(method === 'HEAD' ? null : body, { status, headers });
}
