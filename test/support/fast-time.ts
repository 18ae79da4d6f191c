import type { Time } from '@restic-engine/backends';

/** A clock on which sleeping takes no time, but counts. */
export interface FastTime extends Time {
  /** Milliseconds slept, each time. */
  readonly sleeps: readonly number[];
}

/** `meanwhile` is done in every sleep. */
export function fastTime(meanwhile: () => Promise<void> | void = () => undefined): FastTime {
  const sleeps: number[] = [];
  let now = 0;
  return {
    sleeps,
    now: () => now,
    random: () => 0.5,
    async sleep(ms) {
      sleeps.push(ms);
      now += ms;
      await meanwhile();
    },
  };
}
