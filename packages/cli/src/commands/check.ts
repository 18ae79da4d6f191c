import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { CheckProblem, CheckResult, Id, PackSubset, Repair, Repository, SnapshotFilter } from 'restic-engine';
import type { CacheKind } from '../cache.ts';
import type { Context, Start } from '../context.ts';
import { Fatal, InvalidValue } from '../failure.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { checkFigures } from '../metrics/figures.ts';
import { withRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { openReadState } from '../read-state.ts';
import { formatBytes } from '../render/bytes.ts';
import { createPhaseReport } from '../render/phases.ts';
import type { Ui } from '../ui.ts';
import { addFilterFlags, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';
import { parsePercentage, parseSize } from '../values/size.ts';

interface Request {
  readonly readData: boolean | PackSubset;
  readonly resume: boolean;
  readonly ids: readonly string[];
  readonly filter: SnapshotFilter;
  readonly checkUnused: boolean;
  readonly cacheKind: CacheKind;
}

interface Flags extends FilterFlags {
  readonly withCache?: true | undefined;
  readonly checkUnused?: true | undefined;
  readonly readData?: true | undefined;
  readonly readDataSubset?: PackSubset | undefined;
  readonly resume?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Look at everything but the content', words: '-r /srv/backups check' },
    {
      purpose: 'Read a tenth of the content too, another one each time',
      words: '-r /srv/backups check --read-data-subset 10%',
    },
    {
      purpose: 'Read all that the latest snapshot of a host needs',
      words: '-r /srv/backups check latest --host web1 --read-data',
    },
  ],
  exits: {
    ...REPOSITORY_EXITS,
    1: 'there is damage, or the check could not be done',
  },
};

export function defineCheck(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('check'), MANUAL)
    .description(
      'Look for damage in the repository: index, packs, snapshots and trees, and with --read-data the content. With IDs or filters, only at what those snapshots need.',
    )
    .argument('[snapshotID...]')
    .option('--check-unused', 'list blobs that no snapshot needs')
    .option('--read-data', 'read all data blobs')
    .option(
      '--read-data-subset <subset>',
      "read a subset of data packs, specified as 'n/t' for specific part, or either 'x%' or 'x.y%' or a size in bytes with suffixes k/K, m/M, g/G, t/T for a random subset",
      parseSubset,
    )
    .option('--resume', 'do not read again what an interrupted --read-data, or part n/t of it, has read')
    .option('--with-cache', 'use existing cache, only read uncached data from repository');
  addFilterFlags(command);
  return command.action(async (ids: readonly string[], flags: Flags) => {
    const context = start();
    const { readData = false, readDataSubset, resume = false, checkUnused = false, withCache = false } = flags;
    if (readData && readDataSubset !== undefined) {
      throw new Fatal('check flags --read-data and --read-data-subset cannot be used together');
    }
    if (resume && !isCertain(readDataSubset ?? readData)) {
      throw new Fatal('--resume needs --read-data, or --read-data-subset=n/t: other subsets are chosen by chance');
    }
    const filter = snapshotFilter(flags, context.env);
    // What is checked is the repository, not what an earlier run has kept of it.
    const cacheKind = withCache ? 'lasting' : 'temporary';
    await check(context, { readData: readDataSubset ?? readData, resume, ids, filter, checkUnused, cacheKind });
  });
}

/** Are the packs to read the same ones each time? */
function isCertain(readData: Request['readData']): boolean {
  return readData === true || (readData !== false && 'part' in readData);
}

/** `1/4`, `2.5%`, `10G`. */
export function parseSubset(text: string): PackSubset {
  const [, part, of] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
  if (part !== undefined && of !== undefined) {
    if (Number(part) > 0 && Number(part) <= Number(of) && Number(of) <= 256)
      return { part: Number(part), of: Number(of) };
    throw new InvalidValue('n/t values must be positive integers, and n <= t, t <= 256, e.g. --read-data-subset=1/2');
  }
  const percent = parsePercentage(text);
  if (percent !== undefined) {
    if (percent > 0 && percent <= 100) return { percent };
    throw new InvalidValue('a percentage must be above 0.0% and at most 100.0%');
  }
  // A number alone may be meant for a percentage.
  const bytes = /\d$/.test(text) ? Number.NaN : parseSize(text);
  if (!(bytes > 0)) throw new InvalidValue('a size must be above 0 and have a suffix, e.g. --read-data-subset=10M');
  return { bytes };
}

async function check(
  context: Context,
  { readData, resume, ids, filter, checkUnused, cacheKind }: Request,
): Promise<void> {
  const { globals, outcome, signal, ui } = context;
  const work = async (repository: Repository, engine: Engine): Promise<void> => {
    const snapshots = await chosenSnapshots(repository, engine, { ids, filter, signal });
    if (globals.lock) ui.say('create exclusive lock for repository');
    using report = createPhaseReport(ui, {
      index: { title: 'load indexes', counts: 'index files loaded' },
      packs: { title: 'check all packs', counts: 'packs' },
      trees: { title: 'check snapshots, trees and blobs', counts: 'trees' },
      data: { title: dataTitle(readData), counts: 'packs' },
    });
    using state = isCertain(readData) ? openReadState(context, engine, repository, resume) : undefined;
    const checking = engine.check(repository, {
      readData,
      soundPacks: state?.soundPacks,
      onSoundPack: state?.add,
      snapshots,
      checkUnused,
      lock: globals.lock,
      retryLockMs: globals.retryLockMs,
      signal,
      onProgress: (progress) => report.onProgress(progress),
    });
    const result = await checking.catch((error: unknown) => {
      if (state !== undefined && state.noted > 0)
        ui.say(`with --resume, the next check goes on after ${state.noted} packs`);
      throw error;
    });
    outcome.figures.push(...checkFigures(result));
    if (!result.errors.some(({ kind }) => kind === 'index-broken')) {
      report.finish();
      state?.forget();
    }
    for (const problem of result.problems) ui.warn(problem);
    if (resume)
      ui.say(`${result.packsTakenOver} packs were read by an interrupted check, ${result.packsRead} by this one`);
    tell(ui, result, { readData, resume });
  };
  await withRepository(context, work, cacheKind);
}

/** All of them unless names or a filter say otherwise. */
async function chosenSnapshots(
  repository: Repository,
  engine: Engine,
  { ids, filter, signal }: Pick<Request, 'ids' | 'filter'> & { readonly signal: AbortSignal },
): Promise<Id[] | undefined> {
  if (ids.length > 0) {
    const found: Id[] = [];
    for (const id of ids) {
      // A damaged snapshot has to be looked at, too: its name is enough.
      if (engine.isId(id)) found.push(id);
      else found.push((await engine.findSnapshot(repository, id, { filter, signal })).snapshot.id);
    }
    return [...new Set(found)];
  }
  if ([filter.hosts, filter.tags, filter.paths].every((list) => list === undefined || list.length === 0))
    return undefined;
  // No filter can tell whether damaged ones are meant.
  const found: Id[] = [];
  const onBroken = (id: Id): void => void found.push(id);
  for await (const { id } of engine.listSnapshots(repository, { filter, onBroken, signal })) found.push(id);
  return found;
}

function dataTitle(readData: Request['readData']): string | undefined {
  if (readData === false) return undefined;
  if (readData === true) return 'read all data';
  if ('part' in readData) return `read group #${readData.part} of ${readData.of} data packs`;
  if ('percent' in readData) return `read ${readData.percent.toFixed(1)}% of data packs`;
  return `read ${formatBytes(readData.bytes)} of data packs`;
}

function tell(ui: Ui, result: CheckResult, { readData, resume }: Pick<Request, 'readData' | 'resume'>): void {
  const { errors, hints } = result;
  const complain = (message: string): void => {
    ui.errorLine(ui.json ? JSON.stringify({ message_type: 'error', message: `${message}\n` }) : message);
  };
  tellHints(ui, hints, errors.length === 0);
  const trees = Map.groupBy(errors, ({ tree }) => tree);
  for (const [tree, problems] of trees) {
    if (tree !== undefined) complain(`error for tree ${tree.slice(0, 8)}:`);
    for (const problem of problems) complain(tree === undefined ? sentence(problem) : `  ${problem.message}`);
  }
  const repairs = suggestRepairs(result, readData);
  if (repairs.length > 0) {
    complain(
      result.repairs.length > 0
        ? '\nThe repository is damaged and must be repaired. Make a copy of it if you can, and run:\n'
        : '\nWhat could not be read may be sound. Run again:\n',
    );
    for (const words of repairs) complain(`restic-engine ${words}`);
    complain('');
  }
  if (ui.json) ui.line(summaryJson(result, resume));
  if (errors.length > 0) throw new Fatal('repository contains errors');
  ui.say('no errors were found');
}

const COMMANDS: Readonly<Record<Repair, (result: CheckResult) => string>> = {
  'repair-index': () => 'repair index',
  'repair-packs': ({ damagedPacks }) => `repair packs ${damagedPacks.join(' ')}`,
  recover: () => 'recover',
  'repair-snapshots': () => 'repair snapshots --forget',
};

/** The commands that mend what was found, and the one that tells whether they have. */
function suggestRepairs(result: CheckResult, readData: Request['readData']): string[] {
  if (result.errors.length === 0) return [];
  const again = readData === false ? 'check' : 'check --read-data';
  return [...result.repairs.map((repair) => COMMANDS[repair](result)), again];
}

function tellHints(ui: Ui, hints: readonly CheckProblem[], sound: boolean): void {
  const orphaned = hints.filter(({ kind }) => kind === 'pack-orphaned').length;
  for (const { kind, message } of hints) ui.say(message, kind === 'pack-orphaned' || kind === 'pack-marked' ? 2 : 1);
  if (hints.some(({ kind }) => kind === 'pack-duplicate')) {
    ui.say('Duplicate packs are non-critical, you can run `restic-engine repair index` to correct this.');
  }
  if (hints.some(({ kind }) => kind === 'pack-mixed')) {
    ui.say('Mixed packs with tree and data blobs are non-critical, you can run `restic-engine prune` to correct this.');
  }
  const marked = hints.filter(({ kind }) => kind === 'pack-marked').length;
  if (marked > 0) ui.say(`${marked} packs wait for their deletion by \`restic-engine prune --lock-free\`.`);
  if (orphaned > 0 && sound) {
    ui.say(`${orphaned} additional files were found in the repo, which likely contain duplicate data.`);
    ui.say('This is non-critical, you can run `restic-engine prune` to correct this.');
  }
}

function sentence({ kind, message }: CheckProblem): string {
  return kind === 'index-broken' || kind === 'snapshot-broken' ? `error: ${message}` : message;
}

/** restic's, with one member more where restic has no such check. */
function summaryJson(result: CheckResult, resume: boolean): string {
  const { errors, damagedPacks, suggestRepairIndex, suggestPrune, packsTakenOver } = result;
  return JSON.stringify({
    message_type: 'summary',
    num_errors: errors.length,
    broken_packs: damagedPacks.length > 0 ? damagedPacks : null,
    suggest_repair_index: suggestRepairIndex,
    suggest_prune: suggestPrune,
    ...(resume && { packs_taken_over: packsTakenOver }),
  });
}
