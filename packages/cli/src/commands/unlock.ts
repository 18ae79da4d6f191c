import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from '../context.ts';
import { withRepository } from '../open.ts';

export function defineUnlock(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return program
    .command('unlock')
    .description(
      'Remove locks that are stale: those of processes that have ended, or that nobody has refreshed for half an hour.',
    )
    .option('--remove-all', 'remove all locks, even non-stale ones')
    .action(async ({ removeAll = false }) => {
      const context = start();
      const { signal, ui } = context;
      await withRepository(context, async (repository, engine) => {
        const removed = await engine.removeStaleLocks(repository, { all: removeAll, signal });
        if (removed > 0) ui.say(`successfully removed ${removed} locks`);
      });
    });
}
