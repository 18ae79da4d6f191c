import { setTimeout } from 'node:timers/promises';
import { throwIfAborted } from '@restic-engine/repo-format';

/** Where wrappers get time and chance from; tests bring their own. */
export interface Time {
  /** Milliseconds from any fixed point; never goes back. */
  now(): number;
  /** A number from 0 up to, not including, 1. */
  random(): number;
  /** Resolves after `ms` milliseconds; rejects with `aborted` as soon as `signal` fires. */
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

export const SYSTEM_TIME: Time = {
  now: () => performance.now(),
  random: () => Math.random(),
  async sleep(ms, signal) {
    try {
      await setTimeout(ms, undefined, { signal });
    } catch (error) {
      throwIfAborted(signal);
      throw error;
    }
  },
};
