import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { RewriteEvent, RewriteOptions, RewrittenItem, Snapshot, SnapshotEntry } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, Incomplete } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { findNamed, tellIgnored } from '../named.ts';
import { withRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { describeSnapshot } from '../render/snapshot.ts';
import { formatExactTime } from '../render/time.ts';
import type { Ui } from '../ui.ts';
import { addFilterFlags, collect, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';
import { readPatterns } from '../values/lists.ts';
import { parseTime } from '../values/time.ts';

interface Flags extends FilterFlags {
  readonly dryRun?: true | undefined;
  readonly exclude?: readonly string[] | undefined;
  readonly excludeFile?: readonly string[] | undefined;
  readonly iexclude?: readonly string[] | undefined;
  readonly iexcludeFile?: readonly string[] | undefined;
  readonly include?: readonly string[] | undefined;
  readonly includeFile?: readonly string[] | undefined;
  readonly iinclude?: readonly string[] | undefined;
  readonly iincludeFile?: readonly string[] | undefined;
  readonly forget?: true | undefined;
  readonly newHost?: string | undefined;
  readonly newTime?: Date | undefined;
  readonly snapshotSummary?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    {
      purpose: 'Say what would become of the snapshots without some files',
      words: "-r /srv/backups rewrite --exclude '*.iso' --dry-run",
    },
    {
      purpose: 'Put snapshots without them in the place of the old ones',
      words: "-r /srv/backups rewrite --exclude '*.iso' --forget",
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineRewrite(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('rewrite'), MANUAL)
    .description(
      'Make new snapshots from all, from those that pass a filter, or from those that are named: without some files, or with another host or time. They have the tag "rewrite"; with --forget the old ones go instead. Data that nothing needs any more stays until it is pruned.',
    )
    .argument('[snapshotID...]')
    .option('-n, --dry-run', 'do not do anything, just print what would be done')
    .option('-e, --exclude <pattern>', 'exclude a pattern (can be specified multiple times)', collect)
    .option('--exclude-file <file>', 'read exclude patterns from a file (can be specified multiple times)', collect)
    .option('--iexclude <pattern>', 'same as --exclude pattern but ignores the casing of filenames', collect)
    .option('--iexclude-file <file>', 'same as --exclude-file but ignores casing of filenames in patterns', collect)
    .option('-i, --include <pattern>', 'include a pattern (can be specified multiple times)', collect)
    .option('--include-file <file>', 'read include patterns from a file (can be specified multiple times)', collect)
    .option('--iinclude <pattern>', 'same as --include pattern but ignores the casing of filenames', collect)
    .option('--iinclude-file <file>', 'same as --include-file but ignores casing of filenames in patterns', collect)
    .option('--forget', 'remove original snapshots after creating new ones')
    .option('--new-host <string>', 'replace hostname')
    .option('--new-time <string>', 'replace time of the backup', parseTime)
    .option('-s, --snapshot-summary', 'create snapshot summary record if it does not exist');
  addFilterFlags(command);
  return command.action((ids: readonly string[], flags: Flags) => rewrite(start(), ids, flags));
}

async function rewrite(context: Context, ids: readonly string[], flags: Flags): Promise<void> {
  const { env, globals, signal, ui } = context;
  const { dryRun = false, forget = false } = flags;
  const engine = await import('restic-engine');
  const changes = await changesOf(engine, context, flags);
  if (!globals.lock && !dryRun) ui.warn('rewrite always locks the repository, --no-lock has no effect');
  const filter = snapshotFilter(flags, env);
  await withRepository(context, async (repository) => {
    if (forget) ui.say('create exclusive lock for repository');
    const named = ids.length === 0 ? undefined : await findNamed(context, repository, engine, { ids, filter, signal });
    const { changed, failed, problems } =
      named?.length === 0
        ? { changed: [], failed: [], problems: [] }
        : await engine.rewrite(repository, {
            ...changes,
            ids: named?.map(({ id }) => id),
            filter,
            onBroken: (id, error) => tellIgnored(ui, id, error),
            dryRun,
            forget,
            retryLockMs: globals.retryLockMs,
            signal,
            onSnapshot: (event) => (ui.json ? tellJson(ui, event) : tell(ui, event, changes)),
            onItem: ui.verbosity < 3 ? undefined : (item) => tellItem(ui, item),
          });
    tellCount(ui, changed.length, dryRun);
    for (const problem of problems) ui.warn(problem);
    for (const { id, error } of failed) ui.warn(`unable to rewrite snapshot ID "${id.slice(0, 8)}": ${error.message}`);
    if (failed.length > 0) throw new Incomplete(1, 'failed to rewrite one or more snapshots');
  });
}

type Changes = Pick<
  RewriteOptions,
  'exclude' | 'iexclude' | 'include' | 'iinclude' | 'newHost' | 'newTime' | 'snapshotSummary'
>;

/** The command line must make sense before anything is opened. */
async function changesOf(engine: Engine, { env }: Context, flags: Flags): Promise<Changes> {
  const read = async (patterns: Flags['exclude'], files: Flags['excludeFile']): Promise<string[]> => [
    ...(await readPatterns(engine, files ?? [], env)),
    ...(patterns ?? []),
  ];
  const excludes = [flags.exclude, flags.iexclude, flags.excludeFile, flags.iexcludeFile].some(isGiven);
  const includes = [flags.include, flags.iinclude, flags.includeFile, flags.iincludeFile].some(isGiven);
  const newHost = flags.newHost === '' ? undefined : flags.newHost;
  const { newTime, snapshotSummary } = flags;
  if (excludes && includes) throw new Fatal('exclude and include patterns are mutually exclusive');
  if (!excludes && !includes && snapshotSummary === undefined && newHost === undefined && newTime === undefined) {
    throw new Fatal('Nothing to do: no excludes/includes provided and no new metadata provided');
  }
  return {
    exclude: await read(flags.exclude, flags.excludeFile),
    iexclude: await read(flags.iexclude, flags.iexcludeFile),
    include: await read(flags.include, flags.includeFile),
    iinclude: await read(flags.iinclude, flags.iincludeFile),
    newHost,
    newTime,
    snapshotSummary,
  };
}

function isGiven(values: readonly string[] | undefined): boolean {
  return values !== undefined;
}

/** A snapshot has its heading when it is clear what becomes of it. */
function tell(ui: Ui, event: RewriteEvent, changes: Changes): void {
  const { kind, snapshot } = event;
  const id = snapshot.id.slice(0, 8);
  if (kind === 'unchanged' || kind === 'saved') ui.say(`\nsnapshot ${describeSnapshot(snapshot)}`);
  if (kind === 'saved') tellSaved(ui, event.id, event.next, changes);
  if (kind === 'removed') ui.say(`removed old snapshot ${id}`);
  if (kind === 'to-remove') ui.say('would remove old snapshot');
}

function tellSaved(ui: Ui, id: SnapshotEntry['id'] | undefined, next: Snapshot, { newHost, newTime }: Changes): void {
  const would = id === undefined ? 'would set' : 'setting';
  if (newTime !== undefined) ui.say(`${would} time to ${formatExactTime(next.time)}`);
  if (newHost !== undefined) ui.say(`${would} ${id === undefined ? 'hostname' : 'host'} to ${newHost}`);
  ui.say(id === undefined ? 'would save new snapshot' : `saved new snapshot ${id.slice(0, 8)}`);
}

function tellItem(ui: Ui, { action, path, type }: RewrittenItem): void {
  const what = action === 'excluded' ? 'excluding' : type === 'dir' ? 'including directory' : 'including';
  ui.say(`${what} "${path.toWellFormed()}"`, 3);
}

function tellJson(ui: Ui, event: RewriteEvent): void {
  if (event.kind !== 'saved') return;
  const { snapshot, id } = event;
  ui.line(JSON.stringify({ message_type: 'changed', old_snapshot_id: snapshot.id, new_snapshot_id: id }));
}

function tellCount(ui: Ui, changed: number, dryRun: boolean): void {
  if (ui.json) {
    ui.line(JSON.stringify({ message_type: 'summary', changed_snapshots: changed }));
    return;
  }
  ui.say('');
  if (changed === 0) ui.say(`no snapshots ${dryRun ? 'would be' : 'were'} modified`);
  else ui.say(dryRun ? `would modify ${changed} snapshots` : `modified ${changed} snapshots`);
}
