import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from '../context.ts';
import { versionLine } from '../version.ts';

export function defineVersion(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return program
    .command('version')
    .description('Print the version of this program and what it runs on.')
    .allowExcessArguments()
    .action(() => {
      const { ui } = start();
      ui.line(versionLine(ui.json));
    });
}
