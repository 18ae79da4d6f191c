/** The stages of long work, one a line. */
import type { RestoreProgress } from '@restic-engine/che-state';
import { formatBytes, formatDuration } from '../../render/bytes.ts';
import { toJson } from '../../render/json.ts';
import { createTicker } from '../../render/ticker.ts';
import type { Ui } from '../../ui.ts';

export interface Stage {
  /** What is being done. */
  readonly stage: string;
  /** More about it; '' for nothing. */
  readonly message: string;
}

export function tellStage(ui: Ui, { stage, message }: Stage): void {
  if (ui.verbosity === 0) return;
  if (ui.json) ui.line(toJson({ message_type: 'stage', stage, message }));
  else ui.line([stage, message].filter(Boolean).join(': '));
}

/** The stages of a restore, in words. */
const WORDS: Readonly<Record<RestoreProgress['stage'], string>> = {
  download: 'reading the backup',
  safety: 'backing up what is there',
  'request-deletion': 'deleting the CheCluster',
  cleanup: 'waiting until it is gone',
  objects: 'restoring what Che needs',
  cr: 'restoring the CheCluster',
  'wait-clean': 'waiting until Che is ready',
  namespaces: "restoring users' namespaces",
  workspaces: 'restoring workspaces',
  links: 'linking objects to their owners',
  database: 'loading databases',
  'wait-final': 'waiting until Che is ready with them',
  remove: 'removing what is not in the backup',
  verify: 'comparing everything with the backup',
};

export interface StageReport extends Disposable {
  onProgress(progress: RestoreProgress): void;
}

/** Tells each stage as it begins, and how far it is on terminals and with --json. */
export function createStageReport(ui: Ui): StageReport {
  let last: string | undefined;
  const ticker = createTicker<RestoreProgress>(ui.intervalMs, (progress, elapsedMs) => {
    ui.status([ui.json ? toJson(statusJson(progress)) : statusLine(progress, elapsedMs)]);
  });
  return {
    onProgress(progress) {
      if (progress.stage !== last)
        tellStage(ui, { stage: ui.json ? progress.stage : WORDS[progress.stage], message: '' });
      last = progress.stage;
      ticker.update(progress);
    },
    [Symbol.dispose]() {
      ticker[Symbol.dispose]();
      ui.clearStatus();
    },
  };
}

function statusLine({ objectsDone, objectsTotal, bytesDone, bytesTotal }: RestoreProgress, elapsedMs: number): string {
  const dumps = bytesTotal > 0 ? `, dumps ${formatBytes(bytesDone)} / ${formatBytes(bytesTotal)}` : '';
  return `[${formatDuration(elapsedMs)}] ${objectsDone} / ${objectsTotal} objects${dumps}`;
}

function statusJson(progress: RestoreProgress): Record<string, unknown> {
  return {
    message_type: 'status',
    stage: progress.stage,
    objects_done: progress.objectsDone,
    total_objects: progress.objectsTotal,
    objects_removed: progress.removed,
    databases_done: progress.databasesDone,
    total_databases: progress.databasesTotal,
    bytes_done: progress.bytesDone,
    total_bytes: progress.bytesTotal,
  };
}
