import { abortedError, throwIfAborted } from '@restic-engine/repo-format';
import type { Time } from '../../src/index.ts';

/** A clock that jumps: sleeping takes no time but counts. */
export interface FakeTime extends Time {
  readonly sleeps: number[];
  advance(ms: number): void;
}

export function fakeTime(random = 0.5): FakeTime {
  let now = 0;
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => now,
    random: () => random,
    advance: (ms) => {
      now += ms;
    },
    async sleep(ms, signal) {
      throwIfAborted(signal);
      sleeps.push(ms);
      now += ms;
    },
  };
}

/** A clock that moves on only in `run`, when nothing else is left to do: to the end of the earliest sleep. */
export interface VirtualTime extends Pick<Time, 'now' | 'sleep'> {
  /** Lets time pass until `work` settles. */
  run<T>(work: Promise<T>): Promise<T>;
}

export function virtualTime(): VirtualTime {
  let now = 0;
  const sleepers: { readonly at: number; wake(): void }[] = [];
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) reject(abortedError(signal));
        signal?.addEventListener('abort', () => reject(abortedError(signal)), { once: true });
        sleepers.push({ at: now + ms, wake: resolve });
      }),
    async run(work) {
      let settled = false;
      const end = (): void => void (settled = true);
      work.then(end, end);
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve));
        if (settled) return work;
        const next = sleepers.sort((a, b) => a.at - b.at).shift();
        if (next === undefined) throw new Error('nobody sleeps, and the work does not end');
        now = next.at;
        next.wake();
      }
    },
  };
}
