/** What a client is told of an error. Its status, and nothing of the store behind it. */
import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';
import { plain, Refusal } from './message.ts';
import type { Answer } from './message.ts';

/** code → status; every other code is 500: what went wrong is none of the client's business. */
const STATUSES: ReadonlyMap<Code, number> = new Map([
  ['not-found', 404],
  ['already-exists', 403],
  ['denied', 403],
  ['out-of-range', 416],
  ['too-large', 413],
  ['no-space', 507],
  ['throttled', 503],
]);

/** Seconds after which to come back, where the store does not say. */
const RETRY_AFTER = 5;

export function answerFailure(error: unknown): Answer {
  if (error instanceof Refusal) return plain(error.status, error.headers);
  if (!EngineError.is(error)) return plain(500);
  const status = STATUSES.get(error.code) ?? 500;
  if (status !== 503) return plain(status);
  const wait = error.context['retryAfterMs'];
  const seconds = typeof wait === 'number' ? Math.max(1, Math.ceil(wait / 1000)) : RETRY_AFTER;
  return plain(status, { 'retry-after': String(seconds) });
}
