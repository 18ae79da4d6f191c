/** Waiting that a signal ends. */
import { setTimeout as delay } from 'node:timers/promises';
import { EngineError } from 'restic-engine';

/** What a call rejects with whose `signal` fired. */
export function abortedError(signal: AbortSignal): EngineError {
  return new EngineError('aborted', 'the operation was aborted', {}, { cause: signal.reason });
}

/** Throws `aborted` when `signal` has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}

/** Resolves after `ms` milliseconds; rejects with `aborted` as soon as `signal` fires. */
export async function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  throwIfAborted(signal);
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    throwIfAborted(signal);
    throw error;
  }
}
