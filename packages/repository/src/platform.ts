/** What the engine learns from the machine it runs on, in one place that tests and embedders can replace. */
import type { TimeZone } from '@restic-engine/repo-format';

/** A point in time: seconds since 1970 (may be negative) and 0…999,999,999 nanoseconds after them. */
export interface Instant {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/**
 * What the engine asks of the machine: time, names, processes. The default is this machine; tests and reproducible runs
 * give one of their own to `initRepository` and `openRepository`.
 */
export interface Platform {
  now(): Instant;
  /** The zone that times are written in; restic uses the local one. */
  readonly zone: TimeZone;
  readonly hostname: string;
  readonly username: string;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** Does a process with this number exist on this machine? */
  isAlive(pid: number): boolean;
  /**
   * Lets the signal SIGHUP do nothing until the returned function is called. `restic unlock` sends it to the holder of
   * a lock to find out whether there is one, and by default it ends a process.
   */
  ignoreHangups(): () => void;
}
