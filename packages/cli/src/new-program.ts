/** How the programs of this package take their words and show their help. */
import { Command } from '@commander-js/extra-typings';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import { describeFlag } from './manual/manual.ts';

/** A program without commands; it throws instead of printing what is wrong and ending the process. */
export function newProgram(name: string, summary: string, description: string): CommandUnknownOpts {
  return (
    new Command(name)
      .summary(summary)
      .description(description)
      .usage('[command]')
      .enablePositionalOptions()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      // Flags may be long: a narrow column of descriptions is still better than lines that the terminal breaks.
      .configureHelp({
        subcommandTerm: (command) => command.name(),
        optionDescription: describeFlag,
        minWidthToWrap: 20,
      })
      .addHelpText('after', `\nUse "${name} [command] --help" for more information about a command.`)
  );
}
