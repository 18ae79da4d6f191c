import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from '../context.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';

const MANUAL: Manual = {
  examples: [
    { purpose: 'List them', words: 'options' },
    { purpose: 'Set one', words: '-r /srv/backups -o local.connections=4 snapshots' },
  ],
  exits: LOCAL_EXITS,
};

export function defineOptions(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('options'), MANUAL)
    .description('List the extended options, which -o sets.')
    .action(async () => {
      const { ui } = start();
      const { extendedOptions } = await import('restic-engine');
      const options = extendedOptions();
      if (ui.json) {
        ui.line(JSON.stringify(options));
        return;
      }
      const width = Math.max(...options.map(({ name }) => name.length));
      ui.line('All Extended Options:');
      for (const { name, description } of options) ui.line(`  ${name.padEnd(width)}  ${description}`);
    });
}
