import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from '../context.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { versionLine } from '../version.ts';

const MANUAL: Manual = {
  examples: [{ purpose: 'Print it', words: 'version' }],
  exits: LOCAL_EXITS,
};

export function defineVersion(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('version'), MANUAL)
    .description('Print the version of this program and what it runs on.')
    .allowExcessArguments()
    .action(() => {
      const { ui } = start();
      ui.line(versionLine(ui.json));
    });
}
