/** Rewriting snapshots, as programs call it. What does the work is loaded at the first call. */
import type { Repository } from '@restic-engine/repository';
import type { RewriteOptions, RewriteResult } from './rewrite-snapshots.ts';

/**
 * Makes snapshots anew: without what is excluded, or with only what is included, with another host or time, or with a
 * summary of what is in them. Each new snapshot names in `original` the one it was made from and has the tag `rewrite`;
 * with `forget` it takes the place of that one instead. Snapshots that would stay the same are left alone, and so are
 * those for which there is such a new one already. A snapshot is removed only when the new one is durable; their data
 * stays until it is pruned.
 *
 * Rejects with `bad-request` when there is nothing to do or patterns contradict each other, and with `locked`,
 * `not-found` and `ambiguous` for names, `aborted`, and what the store says.
 *
 * @example
 * ```ts
 * const { changed } = await rewrite(repository, { exclude: ['*.iso'], forget: true });
 * ```
 */
export async function rewrite(repository: Repository, options: RewriteOptions): Promise<RewriteResult> {
  const inner = await import('./rewrite-snapshots.ts');
  return inner.rewriteSnapshots(repository, options);
}
