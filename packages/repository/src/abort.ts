/** Waiting that an `AbortSignal` ends, for promises that know nothing of the signal. */
import { abortedError } from '@restic-engine/repo-format';

/**
 * Settles as `promise` does, or rejects with `aborted` as soon as `signal` fires; then nobody waits for `promise` any
 * more, and its failure is nobody's.
 */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
