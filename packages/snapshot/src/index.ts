/**
 * Snapshots of files, objects and streams in a restic repository.
 * @packageDocumentation
 */
// make
export { initRepository } from './init.ts';
export type { InitOptions } from './init.ts';
// back up
export { backup, PROGRAM_VERSION } from './backup/backup.ts';
export type {
  BackupItem,
  BackupOptions,
  BackupProgress,
  BackupResult,
  HeldIndex,
  ItemError,
} from './backup/types.ts';
export { files } from './source/fs/files.ts';
export type { FilesOptions } from './source/fs/files.ts';
export { objects, stream } from './source/objects.ts';
export type { StreamOptions } from './source/objects.ts';
export type {
  ObjectEntry,
  ObjectSource,
  OpenedTree,
  Source,
  SourceContext,
  SourceCount,
  SourceDirectory,
  SourceEntry,
  TreeSource,
} from './source/source.ts';
// restore
export { restore } from './restore/restore.ts';
export type { RestoreOptions, RestoreResult } from './restore/restore.ts';
export type { Overwrite, RestoredItem, RestoreItemError, RestoreProgress } from './restore/types.ts';
// find and look
export { findLatest, findSnapshot, listSnapshots, loadSnapshot, matchesFilter } from './find.ts';
export type { FindSnapshotOptions, GroupBy, ListSnapshotsOptions, SnapshotEntry, SnapshotFilter } from './find.ts';
export { findNode, findTree, readFile, walk } from './walk.ts';
export type { ReadFileOptions, WalkedNode, WalkOptions } from './walk.ts';
export { groupSnapshots } from './group.ts';
export type { GroupKey, SnapshotGroup } from './group.ts';
export { diffTrees } from './diff.ts';
export type { DiffChange, DiffModifier, DiffOptions, DiffResult, DiffTotals } from './diff.ts';
export { searchBlobs, searchNodes } from './search.ts';
export type { FoundBlob, SearchBlobsOptions, SearchOptions } from './search.ts';
export { stats } from './stats.ts';
export type { CompressionStats, Stats, StatsMode, StatsOptions } from './stats.ts';
export { packTar } from './dump/tar.ts';
export { packZip } from './dump/zip.ts';
export type { PackOptions } from './dump/entries.ts';
export { snapshotFs } from './fs/snapshot-fs.ts';
export type { ReaddirOptions, SnapshotFs, SnapshotFsOptions } from './fs/snapshot-fs.ts';
export type { HandleReadOptions, ReadStreamOptions, SnapshotFileHandle } from './fs/file-handle.ts';
export type { SnapshotDirent, SnapshotStats } from './fs/stats.ts';
// change
export { forget } from './forget/forget.ts';
export type {
  ForgetByIdOptions,
  ForgetByPolicyOptions,
  ForgetGroup,
  ForgetOptions,
  ForgetPruneOptions,
  ForgetResult,
} from './forget/forget.ts';
export { applyPolicy } from './forget/policy.ts';
export type { KeepCount, KeepPolicy, KeptSnapshot, PolicyResult } from './forget/policy.ts';
export type { SnapshotFailure } from './forget/remove.ts';
export { tag } from './tag.ts';
export type { ReplacedSnapshot, TagOptions, TagResult } from './tag.ts';
export { copy } from './copy/copy.ts';
export type { CopiedSnapshot, CopyEvent, CopyOptions, CopyProgress, CopyResult } from './copy/copy-snapshots.ts';
export { rewrite } from './rewrite/rewrite.ts';
export type {
  RewriteEvent,
  RewriteOptions,
  RewriteResult,
  RewrittenSnapshot,
} from './rewrite/rewrite-snapshots.ts';
export type { RewrittenItem } from './rewrite/rewrite-tree.ts';
export { repairSnapshots } from './repair/repair-snapshots.ts';
export type {
  BrokenSnapshot,
  RepairSnapshotsOptions,
  RepairSnapshotsProgress,
  RepairSnapshotsResult,
  SnapshotRepair,
} from './repair/repair-snapshots.ts';
export type { TreeChange, TreeChangeKind } from './repair/repair-trees.ts';
// patterns
export { compilePatterns } from './filter/pattern.ts';
export type { PatternList, PatternMatch, PatternOptions } from './filter/pattern.ts';
export { parsePatternFile } from './filter/pattern-file.ts';
