/** Copying snapshots, as programs call it. What does the work is loaded at the first call. */
import type { Repository } from '@restic-engine/repository';
import type { CopyOptions, CopyResult } from './copy-snapshots.ts';

/**
 * Copies snapshots with all that is in them to another repository. Blobs stay as they are cut and are sealed with the
 * other key; what the target has already is neither read nor written, and a snapshot that was copied before is left out.
 * Each copy names in `original` the first of its line. Snapshots are written when everything in them is durable; after
 * an interruption the next call goes on.
 *
 * Rejects with `locked`, `not-found` and `ambiguous` for names, `not-found` and `corrupt` when something that a snapshot
 * needs is missing or damaged, `aborted`, and what the stores say.
 *
 * @example
 * ```ts
 * const { copied, skipped } = await copy(source, target, { filter: { hosts: ['vm'] } });
 * ```
 */
export async function copy(source: Repository, target: Repository, options: CopyOptions = {}): Promise<CopyResult> {
  const inner = await import('./copy-snapshots.ts');
  return inner.copySnapshots(source, target, options);
}
