/** Upkeep as programs call it. What does the work is loaded at the first call: few processes ever ask. */
import type { IndexedRepository } from '../indexed.ts';
import type { Repository } from '../repository.ts';
import type { CheckOptions, CheckResult } from './check.ts';
import type { TreeCopier } from './copy-trees.ts';
import type { PruneOptions, PruneResult } from './prune.ts';
import type { RepairIndexOptions, RepairIndexResult } from './repair-index.ts';

/**
 * Checks the index, that all packs are there, that snapshots and trees can be read and all content is known, and with
 * `readData` the content itself. Damage is in the result. When the index is damaged the rest is left out, because all
 * of it depends on the index.
 *
 * Rejects with `locked`, `bad-request` for an impossible subset, `aborted`, and what the store says when it cannot be
 * listed.
 *
 * @example
 * ```ts
 * const { errors } = await check(repository, { readData: { percent: 5 } });
 * ```
 */
export async function check(repository: Repository, options: CheckOptions = {}): Promise<CheckResult> {
  const inner = await import('./check.ts');
  return inner.check(repository, options);
}

/**
 * Removes packs and parts of packs that no snapshot needs, as far as the limits say. At every moment each snapshot can
 * be restored: packs are copied and indexed before the old ones leave the index, and they leave it before they are
 * removed. Run again after an interruption, it removes what the other run left.
 *
 * Rejects with `corrupt`, before anything is changed, when a snapshot or tree cannot be read or something that is needed
 * is missing; with `locked`, `bad-request`, `aborted`, and what the store says.
 *
 * @example
 * ```ts
 * const { stats } = await prune(repository, { maxUnused: '10%', dryRun: true });
 * ```
 */
export async function prune(repository: Repository, options: PruneOptions = {}): Promise<PruneResult> {
  const inner = await import('./prune.ts');
  return inner.prune(repository, options);
}

/**
 * Writes a new index: entries of packs that are missing or have another size go, and packs that are in no index are
 * read and named. Packs are not changed. Ended at any moment, it leaves an index that names what the old one did.
 *
 * Rejects with `locked`, `aborted`, and what the store says.
 */
export async function repairIndex(
  repository: Repository,
  options: RepairIndexOptions = {},
): Promise<RepairIndexResult> {
  const inner = await import('./repair-index.ts');
  return inner.repairIndex(repository, options);
}

/** What copies trees from one repository to uploads of another. */
export async function treeCopier(from: IndexedRepository, to: Repository): Promise<TreeCopier> {
  const inner = await import('./copy-trees.ts');
  return new inner.TreeCopier(from, to);
}
