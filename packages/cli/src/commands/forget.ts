import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ForgetOptions, ForgetResult, GroupBy, KeepCount, KeepPolicy } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, Incomplete, InvalidValue } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { forgetFigures } from '../metrics/figures.ts';
import { findNamed, tellIgnored } from '../named.ts';
import { withRepository } from '../open.ts';
import { describePolicy, forgetJson, forgetLines } from '../render/forget.ts';
import { addFilterFlags, collect, groupByFlag, snapshotFilter, splitTags } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';
import { parseCount } from '../values/size.ts';
import { addPruneFlags, toldPrune } from './prune.ts';
import type { PruneFlags } from './prune.ts';

interface Flags extends FilterFlags, PruneFlags {
  readonly keepLast?: KeepCount | undefined;
  readonly keepHourly?: KeepCount | undefined;
  readonly keepDaily?: KeepCount | undefined;
  readonly keepWeekly?: KeepCount | undefined;
  readonly keepMonthly?: KeepCount | undefined;
  readonly keepYearly?: KeepCount | undefined;
  readonly keepWithin?: string | undefined;
  readonly keepWithinHourly?: string | undefined;
  readonly keepWithinDaily?: string | undefined;
  readonly keepWithinWeekly?: string | undefined;
  readonly keepWithinMonthly?: string | undefined;
  readonly keepWithinYearly?: string | undefined;
  readonly keepTag?: readonly string[] | undefined;
  readonly unsafeAllowRemoveAll?: true | undefined;
  readonly hostname?: readonly string[] | undefined;
  readonly compact?: true | undefined;
  readonly groupBy?: readonly GroupBy[] | undefined;
  readonly dryRun?: true | undefined;
  readonly prune?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    {
      purpose: 'Say what a policy would keep and remove',
      words: '-r /srv/backups forget --keep-daily 7 --keep-weekly 5 --keep-yearly 10 --dry-run',
    },
    {
      purpose: 'Follow it, and remove the data that is not needed any more',
      words: '-r /srv/backups forget --keep-daily 7 --keep-weekly 5 --keep-yearly 10 --prune',
    },
    { purpose: 'Remove one snapshot', words: '-r /srv/backups forget 5845b002' },
  ],
  exits: {
    ...REPOSITORY_EXITS,
    3: 'a snapshot could not be removed',
  },
};

export function defineForget(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('forget'), MANUAL)
    .description(
      'Remove snapshots: those that are named, or all that a policy does not keep. Their data stays in the repository until it is pruned.',
    )
    .argument('[snapshotID...]')
    .optionsGroup('Which to Keep:')
    .option('-l, --keep-last <n>', "keep the last n snapshots (use 'unlimited' to keep all snapshots)", parseKeep)
    .option('-H, --keep-hourly <n>', "keep the last n hourly snapshots (or 'unlimited')", parseKeep)
    .option('-d, --keep-daily <n>', "keep the last n daily snapshots (or 'unlimited')", parseKeep)
    .option('-w, --keep-weekly <n>', "keep the last n weekly snapshots (or 'unlimited')", parseKeep)
    .option('-m, --keep-monthly <n>', "keep the last n monthly snapshots (or 'unlimited')", parseKeep)
    .option('-y, --keep-yearly <n>', "keep the last n yearly snapshots (or 'unlimited')", parseKeep);
  const withins = ['', 'hourly ', 'daily ', 'weekly ', 'monthly ', 'yearly '] as const;
  for (const which of withins) {
    const flag = `--keep-within${which === '' ? '' : `-${which.trim()}`} <duration>`;
    command.option(
      flag,
      `keep ${which}snapshots that are newer than duration (eg. 1y5m7d2h) relative to the latest snapshot`,
    );
  }
  command
    .addOption(new Option('--hostname <hostname>', 'the old name of --host').argParser(collect).hideHelp())
    .option('--keep-tag <taglist>', 'keep snapshots with this taglist (can be specified multiple times)', collect)
    .option('--unsafe-allow-remove-all', 'allow deleting all snapshots of a snapshot group')
    .addOption(groupByFlag('host,paths'))
    .optionsGroup('Options:')
    .option('-c, --compact', 'use compact output format')
    .option('-n, --dry-run', 'do not delete anything, just print what would be done')
    .option('--prune', "automatically run the 'prune' command if snapshots have been removed");
  // -H is taken.
  addFilterFlags(command, { host: '--host <host>' });
  addPruneFlags(command.optionsGroup('With --prune:'));
  return command.action((ids: readonly string[], flags: Flags) => forget(start(), ids, flags));
}

async function forget(context: Context, ids: readonly string[], flags: Flags): Promise<void> {
  const { env, globals, outcome, signal, ui } = context;
  const { dryRun = false, unsafeAllowRemoveAll, groupBy = ['host', 'paths'], compact = false } = flags;
  if (!globals.lock && !dryRun) {
    throw new Fatal('--no-lock is only applicable in combination with --dry-run for forget command');
  }
  const policy = policyOf(flags);
  if (flags.hostname !== undefined) ui.warn('Flag --hostname has been deprecated, use --host');
  const filter = snapshotFilter({ ...flags, host: flags.host ?? flags.hostname }, env);
  const onBroken = (id: string, error: Error): void => tellIgnored(ui, id, error);
  const common = { filter, onBroken, dryRun, lock: globals.lock, retryLockMs: globals.retryLockMs, signal };
  await withRepository(context, async (repository, engine) => {
    const options: ForgetOptions =
      ids.length === 0
        ? { ...common, policy, groupBy, unsafeAllowRemoveAll }
        : {
            ...common,
            ids: (await findNamed(context, repository, engine, { ids, filter, signal })).map(({ id }) => id),
          };
    using told = flags.prune === true ? toldPrune(context, flags, dryRun) : undefined;
    const onForgotten = (result: ForgetResult): void => {
      outcome.figures.push(...forgetFigures(result));
      if (ui.json) {
        if (result.groups.length > 0) ui.line(forgetJson(engine, result.groups, groupBy));
      } else {
        if (ids.length === 0) ui.say(`Applying Policy: ${describePolicy(policy)}`);
        for (const group of result.groups) {
          const options = { groupBy, compact, title: ui.verbosity > 1, screen: ui.screen };
          if (ui.verbosity > 0) ui.print(forgetLines(engine, group, options));
        }
      }
      report(context, result, dryRun);
      const { removed, failed } = result;
      if (told === undefined || removed.length === 0 || failed.length > 0) return;
      const done = dryRun ? 'would be removed, running prune dry run' : 'have been removed, running prune';
      ui.say(`${removed.length} snapshots ${done}`);
    };
    const { pruned, failed, problems } = await engine.forget(repository, {
      ...options,
      prune: told?.options,
      onForgotten,
    });
    if (pruned !== undefined) told?.finish(pruned);
    for (const problem of problems) ui.warn(problem);
    if (failed.length > 0) throw new Incomplete(3, 'failed to remove one or more snapshots');
  });
}

function report({ ui }: Context, { removed, failed }: ForgetResult, dryRun: boolean): void {
  if (dryRun && removed.length > 0) {
    ui.say(`Would have removed the following snapshots:\n{${removed.map((id) => id.slice(0, 8)).join(' ')}}\n`);
  } else if (removed.length > 0) {
    ui.say(`${removed.length} / ${removed.length + failed.length} files deleted`);
  }
  for (const { id, error } of failed) ui.warn(`unable to remove snapshot/${id} from the repository: ${error.message}`);
}

function policyOf(flags: Flags): KeepPolicy {
  return {
    last: flags.keepLast,
    hourly: flags.keepHourly,
    daily: flags.keepDaily,
    weekly: flags.keepWeekly,
    monthly: flags.keepMonthly,
    yearly: flags.keepYearly,
    within: flags.keepWithin,
    withinHourly: flags.keepWithinHourly,
    withinDaily: flags.keepWithinDaily,
    withinWeekly: flags.keepWithinWeekly,
    withinMonthly: flags.keepWithinMonthly,
    withinYearly: flags.keepWithinYearly,
    tags: flags.keepTag?.map(splitTags),
  };
}

function parseKeep(text: string): KeepCount {
  if (text === 'unlimited') return text;
  if (text.startsWith('-')) throw new InvalidValue("negative values not allowed, use 'unlimited' instead");
  return parseCount(text);
}
