import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { bashCompletion } from '../generate/bash.ts';
import { fishCompletion } from '../generate/fish.ts';
import { manPages } from '../generate/man.ts';
import { powershellCompletion } from '../generate/powershell.ts';
import { zshCompletion } from '../generate/zsh.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { outlineProgram } from '../manual/outline.ts';
import type { ProgramOutline } from '../manual/outline.ts';
import { programVersion } from '../version.ts';

interface Flags {
  readonly bashCompletion?: string | undefined;
  readonly fishCompletion?: string | undefined;
  readonly powershellCompletion?: string | undefined;
  readonly zshCompletion?: string | undefined;
  readonly man?: string | undefined;
}

const MANUAL: Manual = {
  examples: [
    {
      purpose: 'Write the completion of bash to where it is looked for',
      words: 'generate --bash-completion /etc/bash_completion.d/restic-engine',
    },
    { purpose: 'Write the manual pages', words: 'generate --man /usr/local/share/man/man1' },
    { purpose: 'Print the completion of fish', words: 'generate --fish-completion -' },
  ],
  exits: LOCAL_EXITS,
};

/** `program` has all commands: it is what is described. */
export function defineGenerate(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('generate'), MANUAL)
    .description('Write manual pages, and files by which shells complete commands, flags and their values.')
    .argument('[argument...]')
    .usage('[options]')
    .option('--bash-completion <file>', 'write bash completion file ("-" for stdout)')
    .option('--fish-completion <file>', 'write fish completion file ("-" for stdout)')
    .option('--man <directory>', 'write man pages to directory')
    .option('--powershell-completion <file>', 'write powershell completion file ("-" for stdout)')
    .option('--zsh-completion <file>', 'write zsh completion file ("-" for stdout)')
    .action(async (words, flags) => {
      const context = start();
      if (words.length > 0) throw new Fatal('the generate command expects no arguments, only options');
      await generate(context, flags, outlineProgram(program));
    });
}

async function generate(context: Context, flags: Flags, outline: ProgramOutline): Promise<void> {
  const { env, ui } = context;
  const scripts = [
    { shell: 'bash', file: flags.bashCompletion, write: bashCompletion },
    { shell: 'fish', file: flags.fishCompletion, write: fishCompletion },
    { shell: 'zsh', file: flags.zshCompletion, write: zshCompletion },
    { shell: 'powershell', file: flags.powershellCompletion, write: powershellCompletion },
  ].filter(({ file }) => file !== undefined);
  if (scripts.filter(({ file }) => file === '-').length > 1) {
    throw new Fatal('the generate command can generate shell completions to stdout for single shell only');
  }
  const { man } = flags;
  if (man === undefined && scripts.length === 0) {
    throw new Fatal('nothing to do, please specify at least one output file/dir');
  }
  const isPrinting = scripts.some(({ file }) => file === '-');
  const tell = (text: string): void => (isPrinting ? undefined : ui.say(text));
  if (man !== undefined) {
    tell(`writing man pages to directory ${man}`);
    for (const { file, text } of manPages(outline, programVersion(), today(env['SOURCE_DATE_EPOCH']))) {
      await writeFile(join(man, file), text);
    }
  }
  for (const { shell, file = '', write } of scripts) {
    if (file === '-') await ui.bytes(Buffer.from(write(outline)));
    else {
      tell(`writing ${shell} completion file to ${file}`);
      await writeFile(file, write(outline));
    }
  }
}

/** What is built twice from the same sources is to be the same (reproducible-builds.org, "SOURCE_DATE_EPOCH"). */
function today(epoch: string | undefined): string {
  const seconds = Number(epoch || Number.NaN);
  return (Number.isFinite(seconds) ? new Date(seconds * 1000) : new Date()).toISOString().slice(0, 10);
}
