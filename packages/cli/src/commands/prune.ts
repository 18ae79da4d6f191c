import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { ForgetPruneOptions, LockFreeResult, PruneLimits, PruneResult, PruneStats } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, InvalidValue } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { pruneFigures } from '../metrics/figures.ts';
import { withRepository } from '../open.ts';
import { formatBytes, formatPercent } from '../render/bytes.ts';
import { createPhaseReport } from '../render/phases.ts';
import type { Ui } from '../ui.ts';
import { parseDuration } from '../values/duration.ts';
import { parsePercentage, parseSize } from '../values/size.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Say what would be done', words: '-r /srv/backups prune --dry-run' },
    {
      purpose: 'Remove all that is not needed, also from packs that are mostly in use',
      words: '-r /srv/backups prune --max-unused 0',
    },
    {
      purpose: 'Go on beside backups: mark what is not needed, and delete what was marked three days ago',
      words: '-r /srv/backups prune --lock-free --keep-delete 72h',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function definePrune(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('prune'), MANUAL)
    .description('Remove data that no snapshot needs any more.')
    .option('-n, --dry-run', 'do not modify the repository, just print what would be done');
  addPruneFlags(command);
  command
    .option('--lock-free', 'go on beside backups: mark what is not needed, for a later run to delete')
    .option(
      '--keep-delete <duration>',
      'with --lock-free, how long marked packs are kept at least (default: 23h)',
      parseDuration,
    );
  command.option(
    '--unsafe-recover-no-free-space <repository>',
    "UNSAFE, READ THE DOCUMENTATION BEFORE USING! Try to recover a repository stuck with no free space. Do not use without trying out 'prune --max-repack-size 0' first.",
  );
  return command.action((flags: Flags) => prune(start(), flags));
}

interface Flags extends PruneFlags {
  readonly dryRun?: true | undefined;
  readonly lockFree?: true | undefined;
  readonly keepDelete?: number | undefined;
  /** The repository's id; empty for none. */
  readonly unsafeRecoverNoFreeSpace?: string | undefined;
}

export interface PruneFlags extends PruneLimits {
  readonly repackSmall?: true | undefined;
}

/** The flags that `prune` shares with `forget --prune`. */
export function addPruneFlags(command: CommandUnknownOpts): void {
  command
    .option(
      '--max-repack-size <size>',
      'stop after repacking this much data in total (allowed suffixes for size: k/K, m/M, g/G, t/T)',
      parseSize,
    )
    .option(
      '--max-unused <limit>',
      "tolerate given limit of unused data (absolute value in bytes with suffixes k/K, m/M, g/G, t/T, a value in % or the word 'unlimited') (default: 5%)",
      parseUnused,
    )
    .option('--repack-cacheable-only', 'only repack packs which are cacheable')
    .option('--repack-small', 'deprecated: small packs are repacked anyway')
    .option('--repack-smaller-than <below-limit>', 'pack below-limit packfiles (allowed suffixes: m/M)', parseSize)
    .option('--repack-uncompressed', 'repack all uncompressed data');
}

/** `5%`, `200M`, `unlimited`. */
export function parseUnused(text: string): NonNullable<PruneLimits['maxUnused']> {
  const word = text.trim();
  if (word === 'unlimited') return word;
  const percent = parsePercentage(word);
  if (percent === undefined) return parseSize(word);
  if (percent >= 100) throw new InvalidValue('percentage must be below 100%');
  return `${percent}%`;
}

async function prune(context: Context, flags: Flags): Promise<void> {
  const { dryRun = false, lockFree = false, keepDelete, unsafeRecoverNoFreeSpace: forced = '' } = flags;
  const { globals, signal } = context;
  if (!globals.lock && !dryRun)
    throw new Fatal('--no-lock is only applicable in combination with --dry-run for prune command');
  if (keepDelete !== undefined && !lockFree) throw new Fatal('--keep-delete needs --lock-free');
  await withRepository(context, async (repository, engine) => {
    const { id } = repository.config;
    if (forced !== '' && forced !== id) throw new Fatal(`must pass id '${id}' to --unsafe-recover-no-free-space`);
    using told = toldPrune(context, flags, dryRun);
    const result = await engine.prune(repository, {
      ...told.options,
      dryRun,
      lockFree,
      keepDeleteMs: keepDelete,
      unsafeRecoverNoFreeSpace: forced === '' ? undefined : forced,
      lock: globals.lock,
      retryLockMs: globals.retryLockMs,
      signal,
    });
    told.finish(result);
  });
}

/** A prune as its flags want it, and told to the user. */
export interface ToldPrune extends Disposable {
  readonly options: ForgetPruneOptions;
  finish(result: PruneResult): void;
}

export function toldPrune(
  { outcome, ui }: Context,
  { repackSmall, maxUnused, maxRepackSize, repackCacheableOnly, repackSmallerThan, repackUncompressed }: PruneFlags,
  dryRun: boolean,
): ToldPrune {
  if (repackSmall === true) {
    ui.warn('--repack-small is deprecated: small packs are repacked anyway, --repack-smaller-than says which');
  }
  const report = createPhaseReport(ui, {
    index: { title: 'loading indexes...', counts: 'index files loaded' },
    trees: { title: 'finding data that is still in use', counts: 'trees' },
    repack: { counts: 'packs repacked' },
    'remove-index': { counts: 'old indexes deleted' },
    'remove-packs': { counts: 'files deleted' },
  });
  return {
    options: {
      maxUnused,
      maxRepackSize,
      repackCacheableOnly,
      repackSmallerThan,
      repackUncompressed,
      onProgress: (progress) => report.onProgress(progress),
      onPlan(plan) {
        report.settle();
        tellStats(ui, plan.stats, dryRun);
      },
    },
    finish({ stats, lockFree, problems }) {
      outcome.figures.push(...pruneFigures(stats));
      report.finish();
      for (const problem of problems) ui.warn(problem);
      if (lockFree !== undefined) tellMarks(ui, lockFree);
      if (ui.json) ui.line(summaryJson(stats, lockFree));
      else if (!dryRun) ui.say('done');
    },
    [Symbol.dispose]: () => report[Symbol.dispose](),
  };
}

function tellStats(ui: Ui, { blobs, bytes, packs }: PruneStats, dryRun: boolean): void {
  const line = (title: string, count: number | undefined, size: number): string =>
    `${title.padEnd(13)} ${count === undefined ? ' '.repeat(16) : `${String(count).padStart(10)} blobs`} / ${formatBytes(size)}`;
  const count = (title: string, number: number, what = 'packs'): string =>
    `${title.padEnd(19)} ${String(number).padStart(10)} ${what}`;
  if (dryRun) ui.say('\nWould have made the following changes:');
  ui.say('', 2);
  ui.say(line('used:', blobs.used, bytes.used), 2);
  if (blobs.duplicate > 0) ui.say(line('duplicates:', blobs.duplicate, bytes.duplicate), 2);
  ui.say(line('unused:', blobs.unused, bytes.unused), 2);
  if (bytes.unreferenced > 0) ui.say(line('unreferenced:', undefined, bytes.unreferenced), 2);
  ui.say(line('total:', blobs.total, bytes.total), 2);
  ui.say(`unused size: ${formatPercent(bytes.unused, bytes.total)} of total size`, 2);
  ui.say('');
  ui.say(line('to repack:', blobs.repack, bytes.repack));
  ui.say(line('this removes:', blobs.repackRemove, bytes.repackRemove));
  ui.say(line('to delete:', blobs.remove, bytes.remove + bytes.unreferenced));
  ui.say(line('total prune:', blobs.removeTotal, bytes.removeTotal));
  if (bytes.uncompressed > 0) ui.say(`not yet compressed: ${formatBytes(bytes.uncompressed)}`);
  ui.say(line('remaining:', blobs.remaining, bytes.remaining));
  const share = formatPercent(bytes.remainingUnused, bytes.remaining);
  ui.say(`unused size after prune: ${formatBytes(bytes.remainingUnused)} (${share} of remaining size)`);
  ui.say('');
  ui.say(count('totally used packs:', packs.used, ''), 2);
  ui.say(count('partly used packs:', packs.partlyUsed, ''), 2);
  ui.say(count('unused packs:', packs.unused, ''), 2);
  ui.say(count('to keep:', packs.keep), 2);
  ui.say(count('to repack:', packs.repack), 2);
  ui.say(count('to delete:', packs.remove), 2);
  if (packs.unreferenced > 0) ui.say(count('to delete:', packs.unreferenced, 'unreferenced packs'), 2);
}

function tellMarks(ui: Ui, { marked, waiting, deleted, returned, postponed }: LockFreeResult): void {
  ui.say('');
  ui.say(`marked for deletion: ${marked} packs; ${waiting} wait for it`);
  ui.say(`marked earlier:      ${deleted} packs deleted, ${returned} needed after all`);
  if (postponed > 0) ui.say(`left for later:      ${postponed} packs that someone may have stored who is at work`);
}

function summaryJson({ blobs, bytes, packs }: PruneStats, lockFree: LockFreeResult | undefined): string {
  return JSON.stringify({
    message_type: 'summary',
    blobs: withUnderscores(blobs),
    bytes: withUnderscores(bytes),
    packfiles: withUnderscores(packs),
    lock_free: lockFree,
  });
}

/** `repackRemove` becomes `repack_remove`. */
function withUnderscores(numbers: Readonly<Record<string, number>>): Record<string, number> {
  const members = Object.entries(numbers).map(([name, number]) => [
    name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    number,
  ]);
  return Object.fromEntries(members);
}
