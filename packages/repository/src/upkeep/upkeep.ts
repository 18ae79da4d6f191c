/** Upkeep as programs call it. What does the work is loaded at the first call: few processes ever ask. */
import type { Call, Id } from '@restic-engine/repo-format';
import type { IndexedRepository } from '../indexed.ts';
import type { RepositoryLock } from '../lock.ts';
import type { Repository } from '../repository.ts';
import type { CheckOptions, CheckResult } from './check.ts';
import type { TreeCopier } from './copy-trees.ts';
import type { PruneOptions, PruneResult } from './prune.ts';
import type { MigrateOptions, MigrateResult, Migration, MigrationName } from './migrate.ts';
import type { RecoverOptions, RecoverResult } from './recover.ts';
import type { RepairIndexOptions, RepairIndexResult } from './repair-index.ts';
import type { RepairPacksOptions, RepairPacksResult } from './repair-packs.ts';

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
 * removed. Run again after an interruption, it removes what the other run left, and copies only what that had not.
 *
 * Rejects with `corrupt`, before anything is changed, when a snapshot or tree cannot be read or something that is needed
 * is missing; with `locked`, `bad-request`, `aborted`, and what the store says.
 *
 * @example
 * ```ts
 * const { stats } = await prune(repository, { maxUnused: '10%', dryRun: true });
 * ```
 *
 * With `lockFree` it goes on beside backups and restores: what is not needed leaves the index and is marked, and is
 * deleted by a later run when nobody can count on it any more. Rejects with `denied`, before anything is changed, when
 * the store removes nothing, and with `locked` beside another prune of this kind.
 *
 * @example
 * ```ts
 * const { lockFree } = await prune(repository, { lockFree: true });
 * ```
 */
export async function prune(repository: Repository, options: PruneOptions = {}): Promise<PruneResult> {
  if (options.lockFree === true) {
    const lockFree = await import('./lock-free/prune-lock-free.ts');
    return lockFree.pruneLockFree(repository, options);
  }
  const inner = await import('./prune.ts');
  return inner.prune(repository, options);
}

/** For those who prune under a lock of their own: rejects what cannot be asked for, with `bad-request`. */
export async function checkPruneOptions(repository: Repository, options: PruneOptions): Promise<void> {
  const inner = await import('./prune.ts');
  inner.checkPruneOptions(repository, options);
}

/** `prune` under an exclusive lock that is held already, with options that were checked. Only a dry run needs none. */
export async function pruneLocked(
  repository: Repository,
  options: PruneOptions,
  lock: RepositoryLock | undefined,
): Promise<PruneResult> {
  const inner = await import('./prune.ts');
  return inner.pruneLocked(repository, options, lock);
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

/**
 * Stores what is sound in damaged packs in new ones, names these in the index instead of the damaged ones, and removes
 * the damaged ones last. Blobs are moved as they are. Ended at any moment, it has lost nothing that could be read, and
 * the next run does the rest. What is lost then is missing in the index: `repairSnapshots` takes it out of snapshots.
 *
 * @param packs full ids, 64 hex digits
 * Rejects with `bad-request` without packs, `not-found` for one that is neither stored nor in the index, `corrupt` when
 * the index must be repaired first, `locked`, `aborted`, and what the store and `keepCopy` say.
 *
 * @example
 * ```ts
 * const { damagedPacks } = await check(repository, { readData: true });
 * const keepCopy = (pack: string, bytes: Uint8Array) => writeFile(`pack-${pack}`, bytes);
 * const { lostBlobs } = await repairPacks(repository, damagedPacks, { keepCopy });
 * ```
 */
export async function repairPacks(
  repository: Repository,
  packs: readonly Id[],
  options: RepairPacksOptions,
): Promise<RepairPacksResult> {
  const inner = await import('./repair-packs.ts');
  return inner.repairPacks(repository, packs, options);
}

/**
 * Repairs the index, looks for trees to which no tree and no snapshot refers, and makes a snapshot of all of them, a
 * folder each: after a snapshot was removed by mistake, or its file was damaged. Nothing is removed. Data that was
 * pruned is gone.
 *
 * Rejects with `locked`, `aborted`, and what the store says.
 *
 * @example
 * ```ts
 * const { snapshot, roots } = await recover(repository);
 * ```
 */
export async function recover(repository: Repository, options: RecoverOptions = {}): Promise<RecoverResult> {
  const inner = await import('./recover.ts');
  return inner.recover(repository, options);
}

/** What can be changed of a repository as a whole, and what stands in the way. */
export async function listMigrations(repository: Repository): Promise<readonly Migration[]> {
  const inner = await import('./migrate.ts');
  return inner.listMigrations(repository);
}

/**
 * Checks a repository and changes it as a whole. `upgrade_repo_v2` turns version 1 into version 2, which compresses;
 * what is stored stays as it is until `prune` with `repackUncompressed`. When the config cannot be written, the old one
 * comes back. Open the repository again afterwards.
 *
 * Rejects with `corrupt` for a damaged repository, `bad-request` where there is nothing to do, `locked`, `aborted`, and
 * what the store and `keepConfig` say.
 *
 * @example
 * ```ts
 * await migrate(repository, 'upgrade_repo_v2', { keepConfig: (bytes) => writeFile('config.bak', bytes) });
 * ```
 */
export async function migrate(
  repository: Repository,
  name: MigrationName,
  options: MigrateOptions,
): Promise<MigrateResult> {
  const inner = await import('./migrate.ts');
  return inner.migrate(repository, name, options);
}

/** What copies trees from one repository to uploads of another. */
export async function treeCopier(from: IndexedRepository, to: Repository): Promise<TreeCopier> {
  const inner = await import('./copy-trees.ts');
  return new inner.TreeCopier(from, to);
}

/**
 * To be called while the lock is held under which snapshots with these root trees were stored: a lock-free prune may
 * have taken packs out of the index meanwhile that `indexed` had, and that the snapshots count on. Puts these back and
 * resolves with their number. Where there was no prune, this is one listing.
 */
export async function returnNeeded(indexed: IndexedRepository, roots: readonly Id[], call: Call): Promise<number> {
  const files: Id[] = [];
  for await (const { name } of indexed.repository.list('index', call)) files.push(name);
  if (files.every((file) => indexed.indexFiles.has(file))) return 0;
  const inner = await import('./lock-free/return-packs.ts');
  return inner.returnNeeded(indexed, roots, call);
}
