import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { RepairSnapshotsResult, SnapshotRepair, TreeChange } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, Incomplete } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { findNamed } from '../named.ts';
import { withRepository } from '../open.ts';
import { describeSnapshot } from '../render/snapshot.ts';
import { createPhaseReport } from '../render/phases.ts';
import type { Ui } from '../ui.ts';
import { addFilterFlags, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';

interface Flags extends FilterFlags {
  readonly dryRun?: true | undefined;
  readonly forget?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Say what would be done', words: '-r /srv/backups repair snapshots --dry-run' },
    { purpose: 'Put sound snapshots in the place of broken ones', words: '-r /srv/backups repair snapshots --forget' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineRepairSnapshots(repair: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(repair.command('snapshots'), MANUAL)
    .summary('Repair snapshots')
    .description(
      'Make new snapshots of those that are broken, without damaged folders and parts of files. The command depends on a correct index: run "repair index" first! Where the contents are still available, "backup" heals existing snapshots, which is better.',
    )
    .argument('[snapshotID...]')
    .option('-n, --dry-run', 'do not do anything, just print what would be done')
    .option('--forget', 'remove original snapshots after creating new ones');
  addFilterFlags(command);
  return command.action((ids: readonly string[], flags: Flags) => repairSnapshots(start(), ids, flags));
}

async function repairSnapshots(context: Context, ids: readonly string[], flags: Flags): Promise<void> {
  const { env, globals, signal, ui } = context;
  const { dryRun = false, forget = false } = flags;
  if (!globals.lock && !dryRun) ui.warn('repair snapshots always locks the repository, --no-lock has no effect');
  const filter = snapshotFilter(flags, env);
  await withRepository(context, async (repository, engine) => {
    const named = ids.length === 0 ? undefined : await findNamed(context, repository, engine, { ids, filter, signal });
    if (named?.length === 0) {
      tellSummary(ui, [], dryRun);
      return;
    }
    using report = createPhaseReport(ui, { trees: { counts: 'snapshots' } });
    const result = await engine.repairSnapshots(repository, {
      ids: named?.map(({ id }) => id),
      filter,
      forget,
      dryRun,
      lock: globals.lock || !dryRun,
      retryLockMs: globals.retryLockMs,
      signal,
      onProgress: (progress) => report.onProgress({ phase: 'trees', ...progress }),
    });
    report[Symbol.dispose]();
    tell(ui, result, { dryRun, forget });
  });
}

function tell(
  ui: Ui,
  { snapshots, broken, failed, problems }: RepairSnapshotsResult,
  { dryRun, forget }: { readonly dryRun: boolean; readonly forget: boolean },
): void {
  for (const { id, error, removed } of broken) {
    ui.warn(removed ? `removed broken snapshot ${id}: ${error.message}` : `Ignoring "${id}": ${error.message}`);
  }
  for (const repair of snapshots) {
    ui.say(`\nsnapshot ${describeSnapshot(repair.snapshot)}`);
    for (const change of repair.changes) ui.say(`  ${describeChange(change)}`);
    for (const line of dryRun ? plannedLines(repair, forget) : doneLines(repair)) ui.say(line);
    if (ui.json && repair.state !== 'sound' && !dryRun) ui.line(changedJson(repair));
  }
  tellSummary(ui, snapshots, dryRun);
  for (const problem of problems) ui.warn(problem);
  for (const { id, error } of failed) ui.warn(`unable to repair snapshot ${id}: ${error.message}`);
  if (failed.length > 0) throw new Incomplete(1, 'failed to repair one or more snapshots');
  if (broken.some(({ removed }) => !removed)) {
    ui.say(
      'What snapshots that cannot be read had in them, `restic-engine recover` looks for; --forget removes their files.',
    );
  }
}

function describeChange({ path, kind, type = '' }: TreeChange): string {
  const name = JSON.stringify(path.toWellFormed());
  switch (kind) {
    case 'content-removed':
      return `file ${name}: removed missing content`;
    case 'size-fixed':
      return `file ${name}: fixed incorrect size`;
    case 'folder-emptied':
      return `dir ${name}: replaced with empty directory`;
    case 'node-removed':
      return `file ${name}: removed node with invalid type ${JSON.stringify(type)}`;
    default:
      throw new Fatal(`unknown change ${String(kind)}`);
  }
}

function plannedLines({ state }: SnapshotRepair, forget: boolean): string[] {
  if (state === 'sound') return [];
  if (state === 'lost') return ['  dir "/": not readable', 'would delete empty snapshot'];
  return ['would save new snapshot', ...(forget ? ['would remove old snapshot'] : [])];
}

function doneLines({ state, snapshot, replacement = '', existed, removed }: SnapshotRepair): string[] {
  if (state === 'sound') return [];
  const id = snapshot.id.slice(0, 8);
  if (state === 'lost') return ['  dir "/": not readable', ...(removed ? [`removed empty snapshot ${id}`] : [])];
  const saved = existed ? 'was repaired before, as' : 'saved new';
  return [`${saved} snapshot ${replacement.slice(0, 8)}`, ...(removed ? [`removed old snapshot ${id}`] : [])];
}

function changedJson({ snapshot, replacement, removed }: SnapshotRepair): string {
  return JSON.stringify({
    message_type: 'changed',
    old_snapshot_id: snapshot.id,
    new_snapshot_id: replacement ?? null,
    old_snapshot_removed: removed,
  });
}

function tellSummary(ui: Ui, snapshots: readonly SnapshotRepair[], dryRun: boolean): void {
  const changed = snapshots.filter(({ state, existed, removed }) => state !== 'sound' && (!existed || removed)).length;
  if (ui.json) ui.line(JSON.stringify({ message_type: 'summary', changed_snapshots: changed }));
  if (changed === 0) ui.say('\nno snapshots were modified');
  else ui.say(dryRun ? `\nwould modify ${changed} snapshots` : `\nmodified ${changed} snapshots`);
}
