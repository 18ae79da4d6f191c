import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { RepairIndexResult } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { withRepository } from '../open.ts';
import { createPhaseReport } from '../render/phases.ts';
import { defineRepairPacks } from './repair-packs.ts';
import { defineRepairSnapshots } from './repair-snapshots.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Make the index anew', words: '-r /srv/backups repair index' },
    { purpose: 'Then take what is lost out of snapshots', words: '-r /srv/backups repair snapshots --forget' },
  ],
  exits: REPOSITORY_EXITS,
};
const INDEX_MANUAL: Manual = {
  examples: [
    { purpose: 'Make the index anew from the packs that it does not know', words: '-r /srv/backups repair index' },
    { purpose: 'Make it anew from all packs', words: '-r /srv/backups repair index --read-all-packs' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineRepair(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const repair = documented(program.command('repair'), MANUAL)
    .description('Repair parts of the repository.')
    .action((_flags, command) => command.outputHelp());
  defineIndex(documented(repair.command('index'), INDEX_MANUAL), start);
  defineRepairPacks(repair, start);
  defineRepairSnapshots(repair, start);
  return repair;
}

/** The old name of `repair index`. */
export function defineRebuildIndex(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return defineIndex(documented(program.command('rebuild-index', { hidden: true }), INDEX_MANUAL), () => {
    const context = start();
    context.ui.warn('Command "rebuild-index" is deprecated, Use "repair index" instead');
    return context;
  });
}

function defineIndex(command: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const described = command
    .summary('Build a new index')
    .description('Build a new index from the packs in the repository.')
    .option('--read-all-packs', 'read all pack files to generate new index from scratch');
  return described.action(() => repairIndex(start(), described.opts().readAllPacks === true));
}

async function repairIndex(context: Context, readAllPacks: boolean): Promise<void> {
  const { globals, signal, ui } = context;
  await withRepository(context, async (repository, engine) => {
    using report = createPhaseReport(ui, {
      index: { title: readAllPacks ? undefined : 'loading indexes...', counts: 'index files loaded' },
      packs: { title: 'getting pack files to read...', counts: 'packs' },
      'remove-index': { title: 'rebuilding index', counts: 'old indexes deleted' },
    });
    const result = await engine.repairIndex(repository, {
      readAllPacks,
      retryLockMs: globals.retryLockMs,
      signal,
      onProgress: (progress) => report.onProgress(progress),
    });
    report.finish();
    for (const id of result.brokenIndexes) ui.warn(`removing invalid index ${id}`);
    for (const id of result.missingPacks) ui.warn(`removing not found pack file ${id}`);
    for (const id of result.readPacks) ui.warn(`adding pack file to index ${id}`);
    for (const { id, message } of result.unreadablePacks) ui.warn(`unable to read pack file ${id}: ${message}`);
    for (const problem of result.problems) ui.warn(problem);
    if (ui.json) ui.line(indexSummaryJson(result));
    ui.say('done');
  });
}

function indexSummaryJson({ brokenIndexes, missingPacks, readPacks, unreadablePacks }: RepairIndexResult): string {
  return JSON.stringify({
    message_type: 'summary',
    broken_indexes: brokenIndexes,
    missing_packs: missingPacks,
    read_packs: readPacks,
    unreadable_packs: unreadablePacks.map(({ id }) => id),
  });
}
