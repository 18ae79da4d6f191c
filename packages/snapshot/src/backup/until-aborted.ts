/** Reading what a program hands over, for as long as nobody has given up. */
import { throwIfAborted } from '@restic-engine/repo-format';
import { orAborted } from '@restic-engine/repository';

/** The items of `source`. A source that keeps us waiting is left as soon as `signal` fires, with `aborted`. */
export async function* untilAborted<T>(
  source: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const iterator = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  let isAtItem = false;
  try {
    for (;;) {
      isAtItem = false;
      throwIfAborted(signal);
      const item = await orAborted(Promise.resolve(iterator.next()), signal);
      if (item.done === true) return;
      isAtItem = true;
      yield item.value;
    }
  } finally {
    if (isAtItem) await iterator.return?.();
    // One that is still busy with its next item would keep us waiting here too.
    else if (signal.aborted) Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
