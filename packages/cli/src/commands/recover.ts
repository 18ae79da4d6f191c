import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Context, Start } from '../context.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { withRepository } from '../open.ts';
import { createPhaseReport } from '../render/phases.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'Make a snapshot of all that was lost', words: '-r /srv/backups recover' },
    { purpose: 'Look what is in it', words: '-r /srv/backups ls latest --path /recover' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineRecover(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('recover'), MANUAL)
    .description(
      'Build a new snapshot from all directories in the repository which are not referenced in an existing snapshot, for example after one was removed by accident with "forget". Repairs the index first.',
    )
    .action(() => recover(start()));
}

async function recover(context: Context): Promise<void> {
  const { globals, signal, ui } = context;
  if (!globals.lock) ui.warn('recover always locks the repository, --no-lock has no effect');
  await withRepository(context, async (repository, engine) => {
    using report = createPhaseReport(ui, {
      index: { title: 'ensuring index is complete', counts: 'index files loaded' },
      packs: { counts: 'packs' },
      'remove-index': { counts: 'old indexes deleted' },
      trees: { title: 'load trees', counts: 'trees loaded' },
    });
    const result = await engine.recover(repository, {
      retryLockMs: globals.retryLockMs,
      signal,
      onProgress: (progress) => report.onProgress(progress),
    });
    report.finish();
    for (const id of result.index.missingPacks) ui.warn(`removing not found pack file ${id}`);
    for (const { id, message } of result.index.unreadablePacks) ui.warn(`unable to read pack file ${id}: ${message}`);
    for (const id of result.brokenSnapshots) ui.warn(`snapshot ${id} cannot be read: what is in it counts as lost`);
    for (const id of result.brokenTrees) ui.warn(`tree ${id} cannot be read`);
    for (const problem of result.problems) ui.warn(problem);
    const { roots, snapshot } = result;
    if (ui.json) {
      ui.line(JSON.stringify({ message_type: 'summary', roots: roots.length, snapshot_id: snapshot ?? null }));
    }
    ui.say(`\nfound ${roots.length} unreferenced roots`);
    ui.say(snapshot === undefined ? 'no snapshot to write.' : `saved new snapshot ${snapshot.slice(0, 8)}`);
  });
}
