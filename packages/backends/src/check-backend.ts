/** The suite of `conformance/` for people and programs that do not run tests. It is loaded when it is used. */
import type { Backend, Call } from '@restic-engine/repo-format';

/** One promise of a backend, and whether it was kept. */
export interface BackendVerdict {
  /** What it is about: `saving`, `listing` … */
  readonly group: string;
  /** What is promised: `gives back a file of 0 bytes`. */
  readonly name: string;
  readonly kept: boolean;
  /** Milliseconds. */
  readonly durationMs: number;
  /** What went wrong. */
  readonly error: Error | undefined;
}

export interface CheckBackendOptions extends Call {
  /** Passwords and keys; the backend's `location` must show none of them. */
  readonly secrets?: readonly string[];
  /** Milliseconds after which a promise counts as broken. Default 5 minutes. */
  readonly timeoutMs?: number;
  /** Also checks a place that removes nothing but locks, where all that is stored stays. Default false. */
  readonly leaveFiles?: boolean;
}

/**
 * Tests every promise of the contract on a real store, in a place that is not used for anything else. `open(0)` opens
 * that place, each time anew. It is emptied after each promise; at the end, also a bad one, nothing is left of it, folders
 * included where the backend can remove them. With `leaveFiles`, on an append-only place, `open(1)`, `open(2)` … open a
 * new one for each promise.
 *
 * Rejects with `denied` where nothing can be removed and `leaveFiles` is not set, before anything is stored; with
 * `aborted`; with what `open` and making the place reject with; and with `io` when something had to be left behind.
 */
export async function* checkBackend(
  open: (place: number) => Promise<Backend>,
  options: CheckBackendOptions = {},
): AsyncGenerator<BackendVerdict> {
  const { checkPlace } = await import('./conformance/check-place.ts');
  yield* checkPlace(open, options);
}
