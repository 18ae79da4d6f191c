/** What the statuses of a REST server mean. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';
import type { HttpResponse } from '../http/client.ts';
import { redirectRefused, retryAfterMs } from '../http/refusal.ts';

const CODES_OF_STATUS = new Map<number, Code>([
  [400, 'bad-request'],
  [401, 'unauthorized'],
  [403, 'denied'],
  [404, 'not-found'],
  [405, 'unsupported'],
  [408, 'io'],
  [409, 'io'],
  [413, 'too-large'],
  [416, 'out-of-range'],
  [423, 'io'],
  [425, 'io'],
  [429, 'throttled'],
  [501, 'unsupported'],
  [507, 'no-space'],
]);

const WORDS = new Map<Code, string>([
  ['bad-request', 'the server does not understand it; if it speaks TLS, its URL begins with https:'],
  ['corrupt', 'that is not what a REST server answers'],
  ['denied', 'the server refuses it'],
  ['not-found', 'it does not exist'],
  ['no-space', 'the server has no space or quota left'],
  ['out-of-range', 'it is shorter than expected'],
  ['throttled', 'the server asks for fewer requests'],
  ['too-large', 'the server takes no uploads of this size'],
  ['unsupported', 'the server knows no such request'],
  ['unauthorized', 'the server does not accept the user name and password, or not for this path'],
]);

/** To a request without a name. */
const NO_NAME = 'the server asks for a user name and password: set RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD';
const NO_PLACE = 'the server keeps no repositories at such a path';

/** What was asked for, and of whom. */
export interface Asked {
  readonly operation: string;
  readonly path: string;
  readonly url: URL;
  /** With a name and a password. */
  readonly named: boolean;
}

/** The error for an answer that is no success. Its body is given up. */
export async function refusal(response: HttpResponse, { operation, path, url, named }: Asked): Promise<EngineError> {
  const { status, headers, body } = response;
  await body.discard();
  const redirect = redirectRefused(status, headers, url);
  if (redirect) return redirect;
  const wait = retryAfterMs(headers);
  // restic's rest-server says 400 for an upload that arrived damaged or cut: worth another try.
  const code = status === 400 && operation === 'save' ? 'io' : codeOf(status, wait);
  const words = wordsOf(code, operation, named);
  const context = { operation, file: path, status, ...(wait !== undefined && { retryAfterMs: wait }) };
  return new EngineError(code, `${operation} ${path}: ${words} (HTTP ${status})`, context);
}

function wordsOf(code: Code, operation: string, named: boolean): string {
  if (code === 'not-found' && operation === 'create') return NO_PLACE;
  if (code === 'unauthorized' && !named) return NO_NAME;
  return WORDS.get(code) ?? 'the server fails';
}

function codeOf(status: number, retryAfter: number | undefined): Code {
  const code = CODES_OF_STATUS.get(status);
  if (code !== undefined) return code;
  if (status === 503 && retryAfter !== undefined) return 'throttled';
  if (status >= 500) return 'io';
  return status >= 400 ? 'denied' : 'corrupt';
}

/** An answer that breaks the protocol. */
export function brokenAnswer(path: string, what: string): EngineError {
  return new EngineError('corrupt', `the server's answer for ${path} is not that of a REST server: ${what}`, {
    file: path,
  });
}
