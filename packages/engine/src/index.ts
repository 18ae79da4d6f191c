/**
 * Encrypted, deduplicated snapshots in restic repositories, as a library.
 *
 * Everything an embedding program needs comes from here; nothing here does anything itself.
 *
 * @example
 * ```ts
 * import { backup, initRepository, localBackend, objects, openRepository } from 'restic-engine';
 *
 * const backend = localBackend('/srv/backups/app');
 * await initRepository({ backend, password });
 * const repository = await openRepository({ backend, password });
 * await backup(repository, { source: objects([{ path: 'app/state.json', content: '{}' }]) });
 * await repository[Symbol.asyncDispose]();
 * ```
 * @packageDocumentation
 */
// repositories
export { initRepository } from '@restic-engine/snapshot';
export { nodePlatform, openRepository } from '@restic-engine/repository';
export type { InitOptions } from '@restic-engine/snapshot';
export type {
  IndexedRepository,
  InitResult,
  Instant,
  LoadIndexOptions,
  LoadRangeOptions,
  LockOptions,
  OpenOptions,
  Platform,
  Repository,
  RepositoryLock,
} from '@restic-engine/repository';
export type { TimeZone } from '@restic-engine/repo-format';
// where they live
export {
  bandwidth,
  checkBackend,
  extendedOptions,
  isLocalLocation,
  localBackend,
  locationBelow,
  memoryBackend,
  openBackend,
  restBackend,
  s3Backend,
  sftpBackend,
} from '@restic-engine/backends';
export type {
  Bandwidth,
  BandwidthOptions,
  CheckBackendOptions,
  Environment,
  ExtendedOption,
  HttpOptions,
  LocalOptions,
  MemoryOptions,
  OpenBackendOptions,
  RestOptions,
  S3Credentials,
  S3Options,
  SftpOptions,
} from '@restic-engine/backends';
export {
  BACKEND_CHANNEL,
  withBandwidth,
  withFaults,
  withLimit,
  withObserve,
  withReadonly,
  withRetry,
  wrap,
} from '@restic-engine/backends';
export type { BackendEvent, BackendVerdict, RetryOptions, Wrapper } from '@restic-engine/backends';
export {
  cacheSize,
  defaultCacheFolder,
  diskCache,
  listCaches,
  oldCaches,
  removeCache,
} from '@restic-engine/backends';
export type { CacheEntry, DiskCacheOptions } from '@restic-engine/backends';
export type {
  Backend,
  BackendTraits,
  ByteRange,
  CachedBackend,
  Call,
  FileHandle,
  FileType,
  ListedFile,
  RepositoryCache,
} from '@restic-engine/repo-format';
// back up
export { backup, files, objects, stream } from '@restic-engine/snapshot';
export type {
  BackupItem,
  BackupOptions,
  BackupProgress,
  BackupResult,
  FilesOptions,
  HeldIndex,
  ItemError,
  ObjectEntry,
  Source,
  StreamOptions,
} from '@restic-engine/snapshot';
export type { FastCdcOptions } from '@restic-engine/chunker';
// restore
export { restore } from '@restic-engine/snapshot';
export type {
  Overwrite,
  RestoredItem,
  RestoreItemError,
  RestoreOptions,
  RestoreProgress,
  RestoreResult,
} from '@restic-engine/snapshot';
// look
export {
  findLatest,
  findNode,
  findSnapshot,
  findTree,
  listSnapshots,
  loadSnapshot,
  readFile,
  walk,
} from '@restic-engine/snapshot';
export type {
  FindSnapshotOptions,
  GroupBy,
  ListSnapshotsOptions,
  ReadFileOptions,
  SnapshotEntry,
  SnapshotFilter,
  WalkedNode,
  WalkOptions,
} from '@restic-engine/snapshot';
export type {
  ExtendedAttribute,
  Id,
  Node,
  NodeType,
  Snapshot,
  SnapshotSummary,
  Timestamp,
  Uint64,
} from '@restic-engine/repo-format';
export { groupSnapshots } from '@restic-engine/snapshot';
export type { GroupKey, SnapshotGroup } from '@restic-engine/snapshot';
export { diffTrees, searchBlobs, searchNodes, stats } from '@restic-engine/snapshot';
export type {
  CompressionStats,
  DiffChange,
  DiffModifier,
  DiffOptions,
  DiffResult,
  DiffTotals,
  FoundBlob,
  SearchBlobsOptions,
  SearchOptions,
  Stats,
  StatsMode,
  StatsOptions,
} from '@restic-engine/snapshot';
export { packTar, packZip } from '@restic-engine/snapshot';
export type { PackOptions } from '@restic-engine/snapshot';
export { snapshotFs } from '@restic-engine/snapshot';
export type {
  HandleReadOptions,
  ReaddirOptions,
  ReadStreamOptions,
  SnapshotDirent,
  SnapshotFileHandle,
  SnapshotFs,
  SnapshotFsOptions,
  SnapshotStats,
} from '@restic-engine/snapshot';
// change
export { applyPolicy, copy, forget, rewrite, tag } from '@restic-engine/snapshot';
export type {
  CopiedSnapshot,
  CopyEvent,
  CopyOptions,
  CopyProgress,
  CopyResult,
  ForgetByIdOptions,
  ForgetByPolicyOptions,
  ForgetGroup,
  ForgetOptions,
  ForgetPruneOptions,
  ForgetResult,
  KeepCount,
  KeepPolicy,
  KeptSnapshot,
  PolicyResult,
  ReplacedSnapshot,
  RewriteEvent,
  RewriteOptions,
  RewriteResult,
  RewrittenItem,
  RewrittenSnapshot,
  SnapshotFailure,
  TagOptions,
  TagResult,
} from '@restic-engine/snapshot';
// keys and locks
export { addKey, changePassword, listKeys, listLocks, removeKey, removeStaleLocks } from '@restic-engine/repository';
export type { AddKeyOptions, FoundLock, KeyInfo } from '@restic-engine/repository';
export type { Compression, Lock, MasterKey, ScryptParams } from '@restic-engine/repo-format';
// upkeep
export {
  check,
  listMigrations,
  migrate,
  prune,
  recover,
  repairIndex,
  repairPacks,
} from '@restic-engine/repository';
export type {
  CheckOptions,
  CheckProblem,
  CheckProblemKind,
  CheckProgress,
  CheckResult,
  LockFreeResult,
  LostBlob,
  MigrateOptions,
  MigrateResult,
  Migration,
  MigrationName,
  MissingBlobs,
  PackSubset,
  PruneLimits,
  PruneOptions,
  PrunePlan,
  PruneProgress,
  PruneResult,
  PruneStats,
  RecoverOptions,
  RecoverProgress,
  RecoverResult,
  Repair,
  RepairIndexOptions,
  RepairIndexProgress,
  RepairIndexResult,
  RepairPacksOptions,
  RepairPacksProgress,
  RepairPacksResult,
  UploadTotals,
} from '@restic-engine/repository';
export { repairSnapshots } from '@restic-engine/snapshot';
export type {
  BrokenSnapshot,
  RepairSnapshotsOptions,
  RepairSnapshotsProgress,
  RepairSnapshotsResult,
  SnapshotRepair,
  TreeChange,
  TreeChangeKind,
} from '@restic-engine/snapshot';
// patterns
export { compilePatterns, parsePatternFile } from '@restic-engine/snapshot';
export type { PatternList, PatternMatch, PatternOptions } from '@restic-engine/snapshot';
// names, times and modes as they are recorded
export {
  compareNames,
  compareTimestamps,
  encodeSnapshot,
  isId,
  parseTimestamp,
  pathFromBytes,
  pathToBytes,
  permissionBits,
} from '@restic-engine/repo-format';
// errors
export { CODES, EngineError } from '@restic-engine/repo-format';
export type { Code, ErrorContext } from '@restic-engine/repo-format';
