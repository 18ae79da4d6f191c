/** What follows when the content of a window is in place: deletions, then links, devices and metadata. */
import { throwIfAborted } from '@restic-engine/repo-format';
import type { Cleanup, Finish } from './plan.ts';
import { breathe } from './run.ts';
import type { RestoreRun } from './run.ts';
import { finishEntries } from './sink-fs/finish-task.ts';
import type { Finished } from './sink-fs/finish-task.ts';
import { Folders } from './sink-fs/folders.ts';
import { listExisting, sweep } from './sink-fs/remove.ts';

/** Entries that one task finishes. */
const BATCH = 512;
/** Deletions between two rests. */
const REST = 64;

/** Removes what the snapshot does not have, as far as it is selected. */
export async function cleanUp(run: RestoreRun, cleanups: readonly Cleanup[]): Promise<void> {
  const folders = new Folders(run.sink.target);
  let deleted = 0;
  try {
    for (const cleanup of cleanups) {
      for (const path of deletions(run, folders, cleanup)) {
        run.report.deleted(path);
        if (++deleted % REST === 0) await breathe(run);
      }
    }
  } finally {
    folders.close();
  }
}

/** Deletes and yields the paths of what goes. */
function* deletions(run: RestoreRun, folders: Folders, { folder, keep }: Cleanup): Generator<string> {
  const kept = process.platform === 'win32' ? new Set([...keep].map((name) => name.toLowerCase())) : keep;
  let names: readonly string[] = [];
  try {
    names = listExisting(folders.base(folder));
  } catch (error) {
    run.report.failed(folder === '' ? '/' : folder, error);
  }
  for (const name of names) {
    if (kept.has(process.platform === 'win32' ? name.toLowerCase() : name)) continue;
    const path = `${folder}/${name}`;
    if (!run.selector.select(path).selected) continue;
    try {
      for (const below of sweep(folders.child(folder, name), !run.dryRun)) yield path + below;
    } catch (error) {
      run.report.failed(path, error);
    }
  }
}

/** Finishes entries in their order, which has directories after what they hold. */
export async function finishAll(run: RestoreRun, finishes: readonly Finish[]): Promise<void> {
  const { pool } = run.indexed.repository;
  for (let from = 0; from < finishes.length; from += BATCH) {
    const batch = finishes.slice(from, from + BATCH);
    throwIfAborted(run.signal);
    const result = run.dryRun
      ? { outcomes: [], errors: [], problems: [] }
      : await pool.run(finishEntries, { sink: run.sink, overwrite: run.overwrite, finishes: batch });
    throwIfAborted(run.signal);
    run.report.absorb(result);
    for (const [index, finish] of batch.entries()) tell(run, finish, result.outcomes[index]);
  }
}

/** Files were counted when their content was there. */
function tell(run: RestoreRun, { kind, folder, node }: Finish, outcome: Finished | undefined): void {
  if (kind === 'file' || outcome === 'failed') return;
  const path = `${folder}/${node.name}`;
  if (outcome === 'skipped') run.report.skipped(path, 0);
  else run.report.done(path, kind === 'leave' ? 'restored' : 'other', 0);
}
