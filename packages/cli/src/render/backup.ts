/** What `backup` tells while it works and at the end, as text and as restic's JSON. */
import type { BackupItem, BackupProgress, BackupResult, ItemError, SnapshotEntry } from 'restic-engine';
import type { Ui } from '../ui.ts';
import { formatBytes, formatDuration, formatPercent } from './bytes.ts';
import { toJson, withoutZero } from './json.ts';
import { quoteName } from './quote.ts';
import { createTicker, etaText, remainingMs } from './ticker.ts';

export interface BackupReport extends Disposable {
  onParent(parent: SnapshotEntry | undefined): void;
  onProgress(progress: BackupProgress): void;
  /** Absent where nobody is to see items. */
  readonly onItem: ((item: BackupItem) => void) | undefined;
  onError(error: ItemError): void;
  finish(result: BackupResult): void;
}

export interface BackupReportOptions {
  readonly dryRun: boolean;
  readonly force: boolean;
  /** A stream, which never has a parent. */
  readonly stream: boolean;
  /** Paths as given by the person. */
  readonly targets: readonly string[];
}

export function createBackupReport(ui: Ui, options: BackupReportOptions): BackupReport {
  const ticker = createTicker<BackupProgress>(ui.intervalMs, (progress, elapsedMs) => {
    if (ui.json) ui.line(toJson(statusJson(progress, elapsedMs)));
    else ui.status([statusText(progress, elapsedMs), ...progress.currentFiles.map(quoteName)]);
  });
  const tellScanOnce = scanTeller(ui);
  return {
    onParent: (parent) => tellParent(ui, parent, options),
    onProgress(progress) {
      tellScanOnce(progress);
      ticker.update(progress);
    },
    onItem: ui.verbosity >= (ui.json ? 2 : 3) ? (item) => tellItem(ui, item) : undefined,
    onError: (error) => tellError(ui, error, options.targets),
    finish: (result) => tellResult(ui, result, options),
    [Symbol.dispose]() {
      ticker[Symbol.dispose]();
      ui.clearStatus();
    },
  };
}

/** Tells of the first progress that knows how much there is. */
function scanTeller(ui: Ui): (progress: BackupProgress) => void {
  const started = performance.now();
  let isTold = ui.verbosity < 2;
  return ({ filesTotal, bytesTotal = 0 }) => {
    if (isTold || filesTotal === undefined) return;
    isTold = true;
    const durationMs = performance.now() - started;
    const seconds = (durationMs / 1000).toFixed(3);
    if (ui.json) ui.line(toJson(scanJson(durationMs, filesTotal, bytesTotal)));
    else ui.line(`scan finished in ${seconds}s: ${filesTotal} files, ${formatBytes(bytesTotal)}`);
  };
}

function statusText(progress: BackupProgress, elapsedMs: number): string {
  const { filesDone, filesTotal, bytesDone, bytesTotal, errors } = progress;
  const left = remainingMs(elapsedMs, bytesDone, bytesTotal);
  const percent = bytesTotal === undefined ? '' : `${formatPercent(bytesDone, bytesTotal)}  `;
  const total = filesTotal === undefined ? '' : `total ${filesTotal} files ${formatBytes(bytesTotal ?? 0)}, `;
  return `[${formatDuration(elapsedMs)}] ${percent}${filesDone} files ${formatBytes(bytesDone)}, ${total}${errors} errors${etaText(left)}`;
}

/** The members of restic's status message; those that are 0 are left out. */
export function statusJson(progress: BackupProgress, elapsedMs: number): Record<string, unknown> {
  const { filesDone, filesTotal, bytesDone, bytesTotal, errors, currentFiles } = progress;
  const seconds = (ms: number | undefined): number => Math.floor((ms ?? 0) / 1000);
  return {
    message_type: 'status',
    ...withoutZero({
      seconds_elapsed: seconds(elapsedMs),
      seconds_remaining: seconds(remainingMs(elapsedMs, bytesDone, bytesTotal)),
    }),
    percent_done: bytesTotal ? Math.min(1, bytesDone / bytesTotal) : 0,
    ...withoutZero({
      total_files: filesTotal,
      files_done: filesDone,
      total_bytes: bytesTotal,
      bytes_done: bytesDone,
      error_count: errors,
      current_files: currentFiles,
    }),
  };
}

/** Links, devices and pipes go without saying, as in restic. */
function tellItem(ui: Ui, item: BackupItem): void {
  if (item.kind === 'other') return;
  const path = item.kind === 'dir' ? `${item.path}/` : item.path;
  const action = item.action === 'changed' ? 'modified' : item.action;
  if (ui.json) ui.line(toJson(itemJson(item, path, action)));
  else ui.line(action === 'unchanged' ? `unchanged ${quoteName(path)}` : itemText(item, quoteName(path), action));
}

function itemText(item: BackupItem, path: string, action: string): string {
  const { kind, dataSize, dataSizeInRepo, metadataSize, durationMs } = item;
  const metadata = kind === 'dir' ? `, ${formatBytes(metadataSize)} metadata` : '';
  const sizes = `${formatBytes(dataSize)} added, ${formatBytes(dataSizeInRepo)} stored${metadata}`;
  return `${action.padEnd(9)} ${path}, saved in ${(durationMs / 1000).toFixed(3)}s (${sizes})`;
}

function itemJson(item: BackupItem, path: string, action: string): Record<string, unknown> {
  return {
    message_type: 'verbose_status',
    action,
    item: path,
    duration: exactSeconds(item.durationMs),
    data_size: item.dataSize,
    data_size_in_repo: item.dataSizeInRepo,
    metadata_size: item.metadataSize,
    metadata_size_in_repo: 0,
    total_files: 0,
  };
}

function scanJson(durationMs: number, files: number, bytes: number): Record<string, unknown> {
  return {
    message_type: 'verbose_status',
    action: 'scan_finished',
    item: '',
    duration: exactSeconds(durationMs),
    data_size: bytes,
    data_size_in_repo: 0,
    metadata_size: 0,
    metadata_size_in_repo: 0,
    total_files: files,
  };
}

/** To the nanosecond, without the digits that binary fractions add. */
function exactSeconds(ms: number): number {
  return Math.round(ms * 1e6) / 1e9;
}

function tellError(ui: Ui, { path, during, error }: ItemError, targets: readonly string[]): void {
  if (ui.json) {
    ui.errorLine(toJson({ message_type: 'error', error: { message: error.message }, during, item: path }));
    return;
  }
  const missing = error.code === 'not-found' && targets.includes(path);
  ui.warn(missing ? `${path} does not exist, skipping` : `error: ${error.message}`);
}

function tellParent(ui: Ui, parent: SnapshotEntry | undefined, { force, stream }: BackupReportOptions): void {
  if (ui.json) return;
  if (parent !== undefined && !force) ui.say(`using parent snapshot ${parent.id.slice(0, 8)}`);
  else if (!stream) ui.say('no parent snapshot found, will read all files');
}

function tellResult(ui: Ui, result: BackupResult, { dryRun }: BackupReportOptions): void {
  const { problems, snapshotId } = result;
  for (const problem of problems) {
    if (ui.json) ui.errorLine(toJson({ message_type: 'warning', message: problem }));
    else if (ui.verbosity > 0) ui.warn(`Warning: ${problem}`);
  }
  if (ui.json) {
    ui.line(toJson(summaryJson(result, dryRun)));
    return;
  }
  for (const line of summaryText(result, dryRun, ui.verbosity > 1)) ui.say(line);
  if (snapshotId !== undefined) ui.say(`snapshot ${snapshotId.slice(0, 8)} saved`);
  else if (!dryRun) ui.say('skipped creating snapshot');
}

function summaryText({ summary, durationMs }: BackupResult, dryRun: boolean, verbose: boolean): string[] {
  const row = (title: string, added: number, changed: number, same: number): string =>
    `${title.padEnd(12)} ${String(added).padStart(5)} new, ${String(changed).padStart(5)} changed, ${String(same).padStart(5)} unmodified`;
  const count = (title: string, value: number): string => `${title.padEnd(12)} ${String(value).padStart(5)} new`;
  const added = `${formatBytes(summary.dataAdded).padEnd(5)} (${formatBytes(summary.dataAddedPacked).padEnd(5)} stored)`;
  const processed = `${summary.totalFilesProcessed} files, ${formatBytes(summary.totalBytesProcessed)}`;
  return [
    '',
    row('Files:', summary.filesNew, summary.filesChanged, summary.filesUnmodified),
    row('Dirs:', summary.dirsNew, summary.dirsChanged, summary.dirsUnmodified),
    ...(verbose ? [count('Data Blobs:', summary.dataBlobs), count('Tree Blobs:', summary.treeBlobs)] : []),
    `${dryRun ? 'Would add' : 'Added'} to the repository: ${added}`,
    '',
    `processed ${processed} in ${formatDuration(durationMs)}`,
  ];
}

/** restic's summary message. */
export function summaryJson(
  { summary, snapshotId, durationMs }: BackupResult,
  dryRun: boolean,
): Record<string, unknown> {
  return {
    message_type: 'summary',
    files_new: summary.filesNew,
    files_changed: summary.filesChanged,
    files_unmodified: summary.filesUnmodified,
    dirs_new: summary.dirsNew,
    dirs_changed: summary.dirsChanged,
    dirs_unmodified: summary.dirsUnmodified,
    data_blobs: summary.dataBlobs,
    tree_blobs: summary.treeBlobs,
    data_added: summary.dataAdded,
    data_added_packed: summary.dataAddedPacked,
    total_files_processed: summary.totalFilesProcessed,
    total_bytes_processed: summary.totalBytesProcessed,
    total_duration: exactSeconds(durationMs),
    backup_start: summary.backupStart,
    backup_end: summary.backupEnd,
    ...withoutZero({ snapshot_id: snapshotId, dry_run: dryRun }),
  };
}

/** One of several sources. */
export interface SourceTitle {
  readonly name: string;
  /** Counts from 1. */
  readonly number: number;
  readonly total: number;
}

/** What follows is about this source. */
export function tellSource(ui: Ui, { name, number, total }: SourceTitle): void {
  if (ui.json) ui.line(toJson({ message_type: 'source', source: name, number, total }));
  else ui.say(`${number > 1 ? '\n' : ''}source ${number} of ${total}: ${name}`);
}

export function tellSourceFailure(
  ui: Ui,
  { name, exit, message }: { readonly name: string; readonly exit: number; readonly message: string },
): void {
  if (ui.json) ui.errorLine(toJson({ message_type: 'source_error', source: name, code: exit, message }));
  else ui.warn(`${name}: ${message}`);
}
