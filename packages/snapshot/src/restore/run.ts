/** What all parts of one restore share. */
import { setImmediate } from 'node:timers/promises';
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import type { RestoreReport } from './report.ts';
import type { Selector } from './select.ts';
import type { SinkSpec } from './sink-fs/session.ts';
import type { Overwrite } from './types.ts';

export interface RestoreRun {
  readonly indexed: IndexedRepository;
  readonly sink: SinkSpec;
  readonly selector: Selector;
  readonly overwrite: Overwrite;
  readonly verify: boolean;
  readonly dryRun: boolean;
  /** Cleared when the tree turns out not to be trusted to say what may be deleted. */
  deleting: boolean;
  readonly report: RestoreReport;
  /** Fires when the caller gives up or a part of the restore fails. */
  readonly signal: AbortSignal;
}

/** Lets timers, messages and requests of others have their turn; rejects with `aborted`. */
export async function breathe(run: RestoreRun): Promise<void> {
  await setImmediate();
  throwIfAborted(run.signal);
}

/** Items may fail, but not with these: then the restore as a whole has failed. */
export function rethrowFatal(error: unknown): void {
  if (!EngineError.is(error) || error.code === 'aborted') throw error;
}
