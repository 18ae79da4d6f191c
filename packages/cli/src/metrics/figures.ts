/** What a run has done, in numbers: every metric there is, and how results become values. */
import type { BackupResult, CheckResult, CopyResult, ForgetResult, PruneStats, RestoreResult } from 'restic-engine';

/** Metric → what it says. Documented in docs/metrics.md. */
export const METRICS = {
  run_timestamp_seconds: 'When the run began, in seconds since 1970.',
  run_duration_seconds: 'How long the run took.',
  run_exit_code: 'Exit status of the run, 0 when all went well.',
  last_success_timestamp_seconds: 'When a run last ended with exit status 0, in seconds since 1970.',
  backup_files: 'Files in the snapshot, by what they are beside the parent.',
  backup_directories: 'Directories in the snapshot, by what they are beside the parent.',
  backup_processed_bytes: 'Bytes of all files in the snapshot.',
  backup_added_bytes: 'Bytes that were new to the repository.',
  backup_stored_bytes: 'Bytes that were new to the repository, as stored.',
  backup_duration_seconds: 'How long the backup of the source took.',
  backup_errors: 'Files and directories that could not be read.',
  backup_source_exit_code: 'Exit status that a backup of the source alone would have had.',
  backup_snapshot_info: 'The snapshot that was made; the value is always 1.',
  restore_files: 'Files and directories that were restored.',
  restore_bytes: 'Bytes that were restored.',
  restore_errors: 'Files and directories that could not be restored.',
  forget_snapshots: 'Snapshots by what became of them.',
  prune_removed_blobs: 'Blobs that were removed.',
  prune_removed_bytes: 'Bytes that were removed, as stored.',
  prune_repacked_bytes: 'Bytes in packs that were written anew, as stored.',
  prune_remaining_bytes: 'Bytes in the repository afterwards, as stored.',
  prune_unused_bytes: 'Bytes that no snapshot needs in the repository afterwards, as stored.',
  check_errors: 'Errors that were found.',
  check_hints: 'Findings that are no damage.',
  check_damaged_packs: 'Packs that are damaged.',
  copy_snapshots: 'Snapshots by what became of them.',
  copy_blobs: 'Blobs that were copied.',
  copy_added_bytes: 'Bytes that were copied.',
  copy_stored_bytes: 'Bytes that were copied, as stored.',
} as const;

export type Metric = keyof typeof METRICS;

export interface Figure {
  readonly metric: Metric;
  readonly value: number;
  /** Beside those that all figures of a run have. */
  readonly labels?: Readonly<Record<string, string>>;
}

export function backupFigures(
  source: string,
  { summary, snapshot, snapshotId, errors, durationMs }: BackupResult,
): Figure[] {
  const labels = { source };
  const states = (metric: Metric, counts: Readonly<Record<string, number>>): Figure[] =>
    Object.entries(counts).map(([state, value]) => ({ metric, value, labels: { source, state } }));
  const figures: Figure[] = [
    ...states('backup_files', {
      new: summary.filesNew,
      changed: summary.filesChanged,
      unmodified: summary.filesUnmodified,
    }),
    ...states('backup_directories', {
      new: summary.dirsNew,
      changed: summary.dirsChanged,
      unmodified: summary.dirsUnmodified,
    }),
    { metric: 'backup_processed_bytes', value: summary.totalBytesProcessed, labels },
    { metric: 'backup_added_bytes', value: summary.dataAdded, labels },
    { metric: 'backup_stored_bytes', value: summary.dataAddedPacked, labels },
    { metric: 'backup_duration_seconds', value: durationMs / 1000, labels },
    { metric: 'backup_errors', value: errors.length, labels },
  ];
  if (snapshotId !== undefined) {
    const info = { source, snapshot_id: snapshotId, snapshot_host: snapshot.hostname ?? '' };
    figures.push({ metric: 'backup_snapshot_info', value: 1, labels: info });
  }
  return figures;
}

export function restoreFigures({ filesRestored, bytesRestored, errors }: RestoreResult): Figure[] {
  return [
    { metric: 'restore_files', value: filesRestored },
    { metric: 'restore_bytes', value: bytesRestored },
    { metric: 'restore_errors', value: errors.length },
  ];
}

export function forgetFigures({ groups, removed, failed }: ForgetResult): Figure[] {
  const counts: Record<string, number> = { removed: removed.length, failed: failed.length };
  // Where snapshots are named, nobody looks at the others.
  if (groups.length > 0) counts['kept'] = groups.reduce((sum, { keep }) => sum + keep.length, 0);
  return Object.entries(counts).map(([state, value]) => ({ metric: 'forget_snapshots', value, labels: { state } }));
}

export function pruneFigures({ blobs, bytes }: PruneStats): Figure[] {
  return [
    { metric: 'prune_removed_blobs', value: blobs.removeTotal },
    { metric: 'prune_removed_bytes', value: bytes.removeTotal },
    { metric: 'prune_repacked_bytes', value: bytes.repack },
    { metric: 'prune_remaining_bytes', value: bytes.remaining },
    { metric: 'prune_unused_bytes', value: bytes.remainingUnused },
  ];
}

export function checkFigures({ errors, hints, damagedPacks }: CheckResult): Figure[] {
  return [
    { metric: 'check_errors', value: errors.length },
    { metric: 'check_hints', value: hints.length },
    { metric: 'check_damaged_packs', value: damagedPacks.length },
  ];
}

export function copyFigures({ copied, skipped, totals }: CopyResult): Figure[] {
  return [
    { metric: 'copy_snapshots', value: copied.length, labels: { state: 'copied' } },
    { metric: 'copy_snapshots', value: skipped.length, labels: { state: 'skipped' } },
    { metric: 'copy_blobs', value: totals.dataBlobs, labels: { type: 'data' } },
    { metric: 'copy_blobs', value: totals.treeBlobs, labels: { type: 'tree' } },
    { metric: 'copy_added_bytes', value: totals.added },
    { metric: 'copy_stored_bytes', value: totals.stored },
  ];
}
