import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type Outcome, WorkQueue } from '../../src/operator/queue.ts';

const DONE: Outcome = { again: 'no' };

async function running(
  queue: WorkQueue,
  work: (key: string) => Promise<Outcome>,
  use: () => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const run = queue.run(work, stop.signal);
  try {
    await use();
  } finally {
    stop.abort();
    await run;
  }
}

it('works on each key once, also what came before it ran', async () => {
  const queue = new WorkQueue({ firstMs: 10, longestMs: 20 });
  const seen: string[] = [];
  queue.add('a');
  queue.add('a');
  queue.add('b');
  expect(queue.depth).toBe(2);
  await running(
    queue,
    async (key) => (seen.push(key), DONE),
    () => expect.poll(() => seen).toEqual(['a', 'b']),
  );
  expect(queue.depth).toBe(0);
});

it('never works on a key twice at the same time, and looks again at what came meanwhile', async () => {
  const queue = new WorkQueue({ firstMs: 10, longestMs: 20 });
  let active = 0;
  let most = 0;
  let count = 0;
  const work = async (): Promise<Outcome> => {
    most = Math.max(most, ++active);
    count++;
    await sleep(5);
    active--;
    return DONE;
  };
  await running(queue, work, async () => {
    for (let n = 0; n < 20; n++) {
      queue.add('key');
      await sleep(1);
    }
    await expect.poll(() => queue.depth).toBe(0);
  });
  expect(most).toBe(1);
  expect(count).toBeGreaterThan(1);
  expect(count).toBeLessThan(20);
});

it('waits longer after each failure, whatever happens meanwhile, and forgets them after a success', async () => {
  const queue = new WorkQueue({ firstMs: 20, longestMs: 80 });
  const times: number[] = [];
  const work = async (): Promise<Outcome> => {
    times.push(performance.now());
    return times.length < 5 ? { again: 'later' } : DONE;
  };
  queue.add('key');
  await running(queue, work, async () => {
    while (times.length < 5) {
      queue.add('key');
      await sleep(1);
    }
  });
  const pauses = times.slice(1).map((time, at) => time - times[at]!);
  for (const [at, least] of [20, 40, 80, 80].entries()) expect(pauses[at]).toBeGreaterThanOrEqual(least - 2);
  expect(queue.failures('key')).toBe(0);
});

it('comes back when it is asked to', async () => {
  const queue = new WorkQueue({ firstMs: 1000, longestMs: 1000 });
  let count = 0;
  queue.add('key');
  await running(
    queue,
    async () => (++count < 3 ? { again: 'at', ms: 5 } : DONE),
    () => expect.poll(() => count).toBe(3),
  );
});

it('lets what was begun end before it ends', async () => {
  const queue = new WorkQueue({ firstMs: 100_000, longestMs: 100_000 });
  const log: string[] = [];
  const work = async (): Promise<Outcome> => {
    log.push('begun');
    await sleep(100);
    log.push('ended');
    return { again: 'later' };
  };
  queue.add('key');
  await running(queue, work, () => expect.poll(() => log).toContain('begun'));
  expect(log).toEqual(['begun', 'ended']);
});
