/** Waiting for others, but not for ever. */
import { EngineError } from 'restic-engine';
import type { ClusterCall } from '../cluster/cluster.ts';
import { wait } from '../cluster/wait.ts';

/** Before it is looked again. */
const PAUSE_MS = 1000;

export class Deadline {
  readonly #at: number;
  readonly #call: ClusterCall;

  constructor(timeoutMs: number, call: ClusterCall) {
    this.#at = performance.now() + timeoutMs;
    this.#call = call;
  }

  /** Resolves when it is time to look again; rejects with `timeout` when there is no time left, and with `aborted`. */
  async pause(what: string): Promise<void> {
    const left = this.#at - performance.now();
    if (left <= 0) throw new EngineError('timeout', `waited too long for ${what}`);
    await wait(Math.min(PAUSE_MS, left), this.#call.signal);
  }
}
