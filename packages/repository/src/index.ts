/**
 * An open restic repository over any backend: its keys, locks, blobs and worker threads.
 * @packageDocumentation
 */
// open
export { createRepository, openRepository } from './open.ts';
export type { InitOptions, InitResult, OpenOptions } from './open.ts';
export type { Repository, UnpackedType } from './repository.ts';
export type { IndexedRepository, LoadRangeOptions } from './indexed.ts';
export type { LoadIndexOptions } from './index/load-index.ts';
// keys and locks
export { addKey, changePassword, listKeys, removeKey } from './keys.ts';
export type { AddKeyOptions, KeyInfo } from './keys.ts';
export { withLock, withPreparedLock } from './lock.ts';
export type { LockOptions, RepositoryLock, WithLockOptions } from './lock.ts';
export { listLocks, removeStaleLocks } from './lock-files.ts';
export type { FoundLock } from './lock-files.ts';
// blobs
export { BlobTable } from './index/blob-table.ts';
export type { BlobLocation } from './index/blob-table.ts';
export type { BlobRange } from './load/ranges.ts';
export { withUpload } from './store/upload.ts';
export type { Upload, UploadOptions, UploadTotals } from './store/upload.ts';
export { sealedBatch, sealingRoom } from './store/sealed-batch.ts';
export type { SealedBatch } from './store/sealed-batch.ts';
// upkeep
export {
  check,
  checkPruneOptions,
  listMigrations,
  migrate,
  prune,
  pruneLocked,
  recover,
  repairIndex,
  repairPacks,
  returnNeeded,
  treeCopier,
} from './upkeep/upkeep.ts';
export type { CheckOptions, CheckProgress, CheckResult } from './upkeep/check.ts';
export type { PackSubset } from './upkeep/check-data.ts';
export type { CheckProblem, CheckProblemKind } from './upkeep/problems.ts';
export type { MissingBlobs, TreeCopier } from './upkeep/copy-trees.ts';
export { inParallel } from './upkeep/in-parallel.ts';
export type { InParallelOptions } from './upkeep/in-parallel.ts';
export type { MigrateOptions, MigrateResult, Migration, MigrationName } from './upkeep/migrate.ts';
export type { LockFreeResult, PruneOptions, PruneProgress, PruneResult } from './upkeep/prune.ts';
export type { PruneLimits, PrunePlan, PruneStats } from './upkeep/prune-plan.ts';
export type { RecoverOptions, RecoverProgress, RecoverResult } from './upkeep/recover.ts';
export type { Repair } from './upkeep/suggest-repairs.ts';
export type { RepairIndexOptions, RepairIndexProgress, RepairIndexResult } from './upkeep/repair-index.ts';
export type {
  LostBlob,
  RepairPacksOptions,
  RepairPacksProgress,
  RepairPacksResult,
} from './upkeep/repair-packs.ts';
// waiting
export { orAborted } from './abort.ts';
// workers
export { codecFor } from './codec.ts';
export type { CodecSpec } from './codec.ts';
export { task } from './pool/task.ts';
export type { Outcome, Task, TaskContext } from './pool/task.ts';
export type { Pool, RunOptions } from './pool/pool.ts';
export { inlinePool } from './pool/pool.ts';
export { threadPool } from './pool/threads.ts';
// platform
export { nodePlatform } from './node-platform.ts';
export { formatInstant } from './time.ts';
export type { Instant, Platform } from './platform.ts';
