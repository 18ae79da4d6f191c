/** What `restore` tells while it works and at the end, as text and as restic's JSON. */
import { join, resolve } from 'node:path';
import type { ItemError, RestoredItem, RestoreProgress, RestoreResult } from 'restic-engine';
import type { Ui } from '../ui.ts';
import { formatBytes, formatDuration, formatPercent } from './bytes.ts';
import { toJson, withoutZero } from './json.ts';
import { quoteName } from './quote.ts';
import { createTicker, etaText, remainingMs } from './ticker.ts';

export interface RestoreReport extends Disposable {
  onProgress(progress: RestoreProgress): void;
  onItem(item: RestoredItem): void;
  onError(error: ItemError): void;
  finish(result: RestoreResult): void;
}

/** The numbers that progress and result have in common; sizes in bytes. */
interface Counts {
  readonly filesTotal: number;
  readonly filesRestored: number;
  readonly filesSkipped: number;
  readonly filesDeleted: number;
  readonly bytesTotal: number;
  readonly bytesRestored: number;
  readonly bytesSkipped: number;
}

export function createRestoreReport(ui: Ui, target: string): RestoreReport {
  const ticker = createTicker<RestoreProgress>(ui.intervalMs, (progress, elapsedMs) => {
    const counts = { ...progress, filesRestored: progress.filesDone, bytesRestored: progress.bytesDone };
    if (ui.json) ui.line(toJson(statusJson(counts, elapsedMs)));
    else ui.status([statusText(counts, elapsedMs)]);
  });
  return {
    onProgress: (progress) => ticker.update(progress),
    onItem: (item) => tellItem(ui, item, target),
    onError: ({ path, during, error }) => {
      if (ui.json)
        ui.errorLine(toJson({ message_type: 'error', error: { message: error.message }, during, item: path }));
      else ui.warn(`ignoring error for ${quoteName(path)}: ${error.message}`);
    },
    finish: (result) => tellResult(ui, result, target),
    [Symbol.dispose]() {
      ticker[Symbol.dispose]();
      ui.clearStatus();
    },
  };
}

function statusText(counts: Counts, elapsedMs: number): string {
  const left = remainingMs(elapsedMs, counts.bytesRestored, counts.bytesTotal);
  const done = `${counts.filesRestored} files/dirs ${formatBytes(counts.bytesRestored)}`;
  const total = `total ${counts.filesTotal} files/dirs ${formatBytes(counts.bytesTotal)}`;
  return `[${formatDuration(elapsedMs)}] ${formatPercent(counts.bytesRestored, counts.bytesTotal)}  ${done}, ${total}${extras(counts)}${etaText(left)}`;
}

function extras({ filesSkipped, bytesSkipped, filesDeleted }: Counts): string {
  const skipped = filesSkipped > 0 ? `, skipped ${filesSkipped} files/dirs ${formatBytes(bytesSkipped)}` : '';
  return skipped + (filesDeleted > 0 ? `, deleted ${filesDeleted} files/dirs` : '');
}

/** restic's status message; members that are 0 are left out. */
export function statusJson(counts: Counts, elapsedMs: number): Record<string, unknown> {
  return {
    message_type: 'status',
    ...elapsedJson(elapsedMs),
    percent_done: counts.bytesTotal > 0 ? Math.min(1, counts.bytesRestored / counts.bytesTotal) : 0,
    ...countsJson(counts),
  };
}

/** restic's summary message; members that are 0 are left out. */
export function summaryJson(counts: Counts, elapsedMs: number): Record<string, unknown> {
  return { message_type: 'summary', ...elapsedJson(elapsedMs), ...countsJson(counts) };
}

function elapsedJson(elapsedMs: number): Record<string, unknown> {
  return withoutZero({ seconds_elapsed: Math.floor(elapsedMs / 1000) });
}

function countsJson(counts: Counts): Record<string, unknown> {
  return withoutZero({
    total_files: counts.filesTotal,
    files_restored: counts.filesRestored,
    files_skipped: counts.filesSkipped,
    files_deleted: counts.filesDeleted,
    total_bytes: counts.bytesTotal,
    bytes_restored: counts.bytesRestored,
    bytes_skipped: counts.bytesSkipped,
  });
}

/** What was deleted is named by where it was, as restic does: the snapshot does not have it. */
function tellItem(ui: Ui, { path, action, size }: RestoredItem, target: string): void {
  if (ui.verbosity < 3) return;
  const word = action === 'other' ? 'restored' : action;
  const item = action === 'deleted' ? join(resolve(target), path) : path;
  if (ui.json) ui.line(toJson({ message_type: 'verbose_status', action: word, item, size }));
  else ui.line(`${word.padEnd(9)} ${quoteName(item)}${size > 0 ? ` with size ${formatBytes(size)}` : ''}`);
}

function tellResult(ui: Ui, result: RestoreResult, target: string): void {
  for (const problem of result.problems) {
    if (ui.json) ui.errorLine(toJson({ message_type: 'warning', message: problem }));
    else if (ui.verbosity > 0) ui.warn(`Warning: ${problem}`);
  }
  if (ui.json) {
    ui.line(toJson(summaryJson(result, result.durationMs)));
    return;
  }
  const { filesRestored, filesTotal, bytesRestored, bytesTotal, durationMs, verified } = result;
  const whole = filesRestored === filesTotal && bytesRestored === bytesTotal;
  const done = whole
    ? `${filesTotal} files/dirs (${formatBytes(bytesTotal)})`
    : `${filesRestored} / ${filesTotal} files/dirs (${formatBytes(bytesRestored)} / ${formatBytes(bytesTotal)})`;
  ui.say(`Summary: Restored ${done} in ${formatDuration(durationMs)}${extras(result)}`);
  if (verified !== undefined) ui.say(`finished verifying ${verified} files in ${target}`);
}
