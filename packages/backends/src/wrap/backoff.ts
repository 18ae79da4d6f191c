import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import { SYSTEM_TIME } from './time.ts';
import type { Time } from './time.ts';

/** When to try again, with restic's numbers as defaults. */
export interface RetryOptions {
  /** Most attempts of one call, the first included. Default: no limit but the time. */
  readonly attempts?: number;
  /** Milliseconds from the start of a call after which it is given up. Default 15 minutes. */
  readonly maxElapsedMs?: number;
  /** Told before each wait. */
  readonly onRetry?: (retry: Retry) => void;
  /** Replaces the clock, for tests. */
  readonly time?: Time;
}

/** One failed attempt that will be repeated. */
export interface Retry {
  /** `save keys/3f2a…`, `list data`, `create`. */
  readonly operation: string;
  /** Attempts made so far. */
  readonly attempt: number;
  /** Milliseconds until the next one. */
  readonly delayMs: number;
  readonly error: EngineError;
}

const FIRST_DELAY_MS = 1000;
const FACTOR = 2;
const MAX_DELAY_MS = 60_000;
const MAX_ELAPSED_MS = 15 * 60_000;
/** What a timer can do. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The waits between the attempts of one call. */
export class Backoff {
  readonly #options: RetryOptions;
  readonly #operation: string;
  readonly #time: Time;
  readonly #start: number;
  #attempt = 0;
  #interval = FIRST_DELAY_MS;

  constructor(operation: string, options: RetryOptions) {
    this.#operation = operation;
    this.#options = options;
    this.#time = options.time ?? SYSTEM_TIME;
    this.#start = this.#time.now();
  }

  /** Waits for the next attempt after `error`; rejects with it when there is none. */
  async wait(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    if (!EngineError.is(error) || !error.retryable) throw error;
    throwIfAborted(signal);
    this.#attempt += 1;
    const demandedMs = retryAfter(error);
    const delayMs = Math.max(this.#interval * (0.5 + this.#time.random()), demandedMs);
    if (this.#exhausted(delayMs, demandedMs)) throw error;
    this.#interval = Math.min(this.#interval * FACTOR, MAX_DELAY_MS);
    this.#options.onRetry?.({ operation: this.#operation, attempt: this.#attempt, delayMs, error });
    await this.#time.sleep(delayMs, signal);
  }

  #exhausted(delayMs: number, demandedMs: number): boolean {
    const { attempts = Number.POSITIVE_INFINITY, maxElapsedMs = MAX_ELAPSED_MS } = this.#options;
    if (this.#attempt >= attempts || demandedMs > maxElapsedMs) return true;
    // The first retry always happens: one upload over a slow line may take longer than the whole allowance.
    return this.#attempt > 1 && this.#time.now() - this.#start + delayMs > maxElapsedMs;
  }
}

/** How long the store wants to be left alone: `Retry-After` of HTTP (RFC 9110 §10.2.3), in milliseconds. */
function retryAfter(error: EngineError): number {
  const { retryAfterMs } = error.context;
  return typeof retryAfterMs === 'number' && retryAfterMs > 0 ? Math.min(retryAfterMs, MAX_TIMER_MS) : 0;
}

/** Runs `attempt` (counting from 1) until it succeeds or `Backoff` gives up. */
export async function repeat<T>(
  operation: string,
  options: RetryOptions,
  signal: AbortSignal | undefined,
  attempt: (count: number) => Promise<T>,
): Promise<T> {
  const backoff = new Backoff(operation, options);
  for (let count = 1; ; count += 1) {
    try {
      return await attempt(count);
    } catch (error) {
      await backoff.wait(error, signal);
    }
  }
}
