import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from '../context.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { withRepository } from '../open.ts';

const MANUAL: Manual = {
  examples: [{ purpose: 'Remove what a killed process has left', words: '-r /srv/backups unlock' }],
  exits: REPOSITORY_EXITS,
};

export function defineUnlock(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('unlock'), MANUAL)
    .description(
      'Remove locks that are stale: those of processes that have ended, or that nobody has refreshed for half an hour.',
    )
    .option('--remove-all', 'remove all locks, even non-stale ones')
    .action(async ({ removeAll = false }) => {
      const context = start();
      const { signal, ui } = context;
      await withRepository(context, async (repository, engine) => {
        const removed = await engine.removeStaleLocks(repository, { all: removeAll, signal });
        if (ui.json) ui.line(JSON.stringify({ message_type: 'summary', removed_locks: removed }));
        if (removed > 0) ui.say(`successfully removed ${removed} locks`);
      });
    });
}
