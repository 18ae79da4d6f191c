/** What answers of servers have in common, whatever is asked of them. */
import { EngineError } from '@restic-engine/repo-format';

type Headers = Readonly<Record<string, string>>;

/** Milliseconds that `Retry-After` asks to wait (RFC 9110 §10.2.3: seconds, or a date); undefined where it says nothing. */
export function retryAfterMs(headers: Headers, now: number = Date.now()): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = /^[A-Z][a-z]+, /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

/**
 * The refusal to follow a redirect, which could hand credentials to another server; undefined for any other answer. Only
 * the origin of the target is told.
 */
export function redirectRefused(status: number, headers: Headers, url: URL): EngineError | undefined {
  if (status < 300 || status > 399 || status === 304) return undefined;
  const location = headers['location'];
  const target =
    location !== undefined && URL.canParse(location, url.href) ? new URL(location, url).origin : 'elsewhere';
  const message = `${url.host} sends requests on to ${target}; redirects are not followed, so name the right place`;
  return new EngineError('bad-request', message, { host: url.host, target, status });
}
