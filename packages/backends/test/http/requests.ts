/** A client, and short ways to use it. */
import { inspect } from 'node:util';
import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';
import { openHttpClient } from '../../src/http/client.ts';
import type { HttpClient, HttpClientOptions, HttpRequest, HttpResponse } from '../../src/http/client.ts';

export const open = (options: Partial<HttpClientOptions> = {}): Promise<HttpClient> =>
  openHttpClient({ connections: 2, env: {}, ...options });

type Rest = Partial<Omit<HttpRequest, 'url'>>;

export const send = (client: HttpClient, url: string, rest: Rest = {}): Promise<HttpResponse> =>
  client.request({ method: 'GET', headers: {}, url: new URL(url), ...rest });

/** The code of what `work` rejects with. */
export async function codeOf(work: Promise<unknown>): Promise<Code> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!EngineError.is(error)) throw new Error(`expected an EngineError, got ${inspect(error)}`);
  return error.code;
}

export const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
export const filled = (length: number, value: number): Uint8Array<ArrayBuffer> => new Uint8Array(length).fill(value);
