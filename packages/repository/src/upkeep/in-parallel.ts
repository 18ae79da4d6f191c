/** Doing the same to many things, a few at a time. */
import { throwIfAborted } from '@restic-engine/repo-format';

export interface InParallelOptions {
  /** How many at a time. */
  readonly places: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` on every item, which are asked for when there is room for them. After a failure none is started, and the
 * first one rejects as soon as nothing is running any more.
 */
export async function inParallel<T>(
  items: Iterable<T>,
  { places, signal }: InParallelOptions,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  let failure: { readonly reason: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (let next = rest.next(); next.done !== true && failure === undefined; next = rest.next()) {
      try {
        throwIfAborted(signal);
        await work(next.value);
      } catch (reason) {
        failure ??= { reason };
      }
    }
  };
  await Promise.all(Array.from({ length: places }, worker));
  if (failure !== undefined) throw failure.reason;
}
