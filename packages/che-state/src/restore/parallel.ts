/** Doing the same with many things, some at a time. */

/** Things done at a time: what an API server takes from one client without asking it to slow down. */
const AT_ONCE = 8;

/** Calls `work` with each item. After a failure no other is begun, and the failure is told when all have ended. */
export async function eachOf<T>(
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<void>,
  atOnce: number = AT_ONCE,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for await (const item of items) {
    const one = work(item)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => running.delete(one));
    running.add(one);
    if (running.size >= atOnce) await Promise.race(running);
    if (failures.length > 0) break;
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
