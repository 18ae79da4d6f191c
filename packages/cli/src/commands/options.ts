import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Start } from '../context.ts';

export function defineOptions(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return program
    .command('options')
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
