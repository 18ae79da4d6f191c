import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { Fatal, UsageError } from '../../failure.ts';
import { documented, REPOSITORY_EXITS } from '../../manual/manual.ts';
import type { Manual } from '../../manual/manual.ts';
import { createRestoreReport } from '../../render/restore.ts';
import type { CheContext, CheStart } from '../context.ts';
import { findOptions } from '../find-state.ts';
import { withRepositoryToRead } from '../server.ts';
import { addServerFlags } from '../server-flags.ts';
import type { ServerFlags } from '../server-flags.ts';

interface Flags extends ServerFlags {
  readonly target?: string | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Write the files of a backup to a folder', words: 'extract 5845b002 --target /tmp/che' },
    {
      purpose: 'Apply a part of it by hand',
      words: 'extract latest --target /tmp/che && kubectl apply -f /tmp/che/configmaps',
    },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineExtract(program: CommandUnknownOpts, start: CheStart): CommandUnknownOpts {
  const command = documented(program.command('extract'), MANUAL)
    .description(
      'Write the files of a backup to a directory, as they are: objects as YAML, databases as SQL. Secrets are among them, in files that only their owner may read.',
    )
    .argument('<snapshot>', 'an ID or its beginning, or latest')
    .option('--target <directory>', 'directory to write to');
  addServerFlags(command);
  return command.action((which: string, flags: Flags) => extract(start(), which, flags));
}

async function extract(context: CheContext, which: string, flags: Flags): Promise<void> {
  const { signal, ui } = context;
  const { target } = flags;
  if (!target) throw new UsageError('please specify a directory to write to (--target)');
  await withRepositoryToRead(context, flags, async (repository, che) => {
    const { restore } = await import('restic-engine');
    const { id } = await che.findState(repository, which, await findOptions(context, which));
    ui.say(`extracting backup ${id.slice(0, 8)} to ${target}`);
    using report = createRestoreReport(ui, target);
    const result = await restore(repository, {
      snapshot: id,
      target,
      signal,
      ...(ui.intervalMs === undefined ? {} : { onProgress: report.onProgress }),
      onItem: report.onItem,
      onError: report.onError,
    });
    report.finish(result);
    if (result.errors.length > 0) throw new Fatal(`There were ${result.errors.length} errors`);
  });
}
