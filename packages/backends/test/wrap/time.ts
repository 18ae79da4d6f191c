import { throwIfAborted } from '@restic-engine/repo-format';
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
