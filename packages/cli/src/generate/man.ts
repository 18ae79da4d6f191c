/** Manual pages, in the macros of man(7). */
import type { CommandOutline, FlagOutline, ProgramOutline } from '../manual/outline.ts';
import { allCommands } from '../manual/outline.ts';

export interface ManPage {
  /** `restic-engine-backup.1` */
  readonly file: string;
  readonly text: string;
}

/** A page for the program and for each command; `date` as 2026-11-22. */
export function manPages({ program, globalFlags }: ProgramOutline, version: string, date: string): ManPage[] {
  const commands = allCommands(program);
  return commands.map((command) => {
    const name = pageName(command);
    const isProgram = command.words.length === 0;
    const lines = [
      `.TH "${name.toUpperCase()}" "1" "${date}" "restic-engine ${version}"`,
      '.SH NAME',
      `${text(name)} \\- ${text(command.summary)}`,
      '.SH SYNOPSIS',
      `.B ${text(command.usage)}`,
      '.SH DESCRIPTION',
      ...paragraphs(command.description),
      ...section('COMMANDS', command.commands.flatMap(commandItem)),
      ...flagSections(command),
      ...section('FLAGS OF EVERY COMMAND', isProgram ? globalFlags.flatMap(flagItem) : []),
      ...examples(command),
      ...exits(command),
      '.SH SEE ALSO',
      ...seeAlso(command, commands),
    ];
    return { file: `${name}.1`, text: `${lines.join('\n')}\n` };
  });
}

function pageName({ words }: CommandOutline): string {
  return ['restic-engine', ...words].join('-');
}

function commandItem({ words, summary }: CommandOutline): string[] {
  return ['.TP', `.B ${text(words.at(-1) ?? '')}`, text(summary)];
}

/** Those with a heading of their own have it here too. */
function flagSections({ flags }: CommandOutline): string[] {
  const groups = new Set(flags.map(({ group }) => group));
  return [...groups].flatMap((group) =>
    section(
      (group ?? 'Options').replace(/:$/, '').toUpperCase(),
      flags.filter((flag) => flag.group === group).flatMap(flagItem),
    ),
  );
}

function flagItem({ short, long, value, description }: FlagOutline): string[] {
  const names = (short === undefined ? [long] : [short, long]).map((name) => `\\fB${text(name)}\\fR`);
  return ['.TP', `${names.join(', ')}${value === undefined ? '' : ` \\fI${text(value)}\\fR`}`, text(description)];
}

function examples({ manual }: CommandOutline): string[] {
  return section(
    'EXAMPLES',
    (manual?.examples ?? []).flatMap(({ purpose, words }) => [
      '.TP',
      text(purpose),
      `\\fBrestic\\-engine ${text(words)}\\fR`,
    ]),
  );
}

function exits({ manual }: CommandOutline): string[] {
  return section(
    'EXIT STATUS',
    Object.entries(manual?.exits ?? {}).flatMap(([status, meaning]) => ['.TP', `.B ${status}`, text(meaning)]),
  );
}

function seeAlso(command: CommandOutline, commands: readonly CommandOutline[]): string[] {
  const others =
    command.words.length === 0
      ? command.commands
      : commands.filter(
          ({ words }) => words.length < command.words.length && words.every((w, i) => w === command.words[i]),
        );
  return others.map((other, index) => `.BR ${text(pageName(other))} (1)${index < others.length - 1 ? ',' : ''}`);
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`.SH ${title}`, ...lines];
}

function paragraphs(description: string): string[] {
  return description.split(/\n+/).flatMap((line, index) => (index === 0 ? [text(line)] : ['.PP', text(line)]));
}

/** Text of which nothing is taken for a request; dashes are those of flags and can be searched for. */
function text(plain: string): string {
  return plain
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');
}
