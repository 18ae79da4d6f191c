/** What is said of a command beyond its flags: in its help, its manual page and its page of the documentation. */
import type { CommandUnknownOpts, Option } from '@commander-js/extra-typings';

/** A way to call a command. */
export interface Example {
  /** What it does, without a full stop. */
  readonly purpose: string;
  /** What follows the name of the program, quoted for a shell. */
  readonly words: string;
}

/** What each exit status means; every command may be interrupted too, with 130. */
export type Exits = Readonly<Record<number, string>>;

export interface Manual {
  readonly examples: readonly Example[];
  readonly exits: Exits;
}

/** Of commands that open no repository. */
export const LOCAL_EXITS: Exits = { 0: 'done', 1: 'not done, or the command line is wrong' };

/** Of commands that open a repository (restic manual, "Exit status codes"). */
export const REPOSITORY_EXITS: Exits = {
  ...LOCAL_EXITS,
  10: 'there is no repository',
  11: 'the repository is locked',
  12: 'wrong password',
};

/** The heading of the flags that every command takes. */
export const GLOBAL_GROUP = 'Global Flags:';

const manuals = new WeakMap<CommandUnknownOpts, Manual>();

/** Gives a command its manual; its help shows it. */
export function documented<C extends CommandUnknownOpts>(command: C, manual: Manual): C {
  manuals.set(command, manual);
  command.addHelpText(
    'after',
    () => `\n${exampleLines(programOf(command), manual).join('\n')}\n\n${exitLines(manual).join('\n')}`,
  );
  return command;
}

/** undefined for a command that {@link documented} was never called with */
export function manualOf(command: CommandUnknownOpts): Manual | undefined {
  return manuals.get(command);
}

function exampleLines(program: string, { examples }: Manual): string[] {
  return ['Examples:', ...examples.flatMap(({ purpose, words }) => [`  # ${purpose}`, `  $ ${program} ${words}`])];
}

/** The name of the program that a command belongs to. */
function programOf(command: CommandUnknownOpts): string {
  return command.parent === null ? command.name() : programOf(command.parent);
}

function exitLines({ exits }: Manual): string[] {
  return ['Exit status:', ...Object.entries(exits).map(([status, meaning]) => `${status.padStart(4)}  ${meaning}`)];
}

/** The description of a flag with the words it can have and its default. */
export function describeFlag({
  description,
  argChoices,
  defaultValue,
  defaultValueDescription,
  required,
}: Option): string {
  const parts = [description];
  if (argChoices !== undefined) parts.push(`(${argChoices.join('|')})`);
  const shown = defaultValueDescription ?? (required && defaultValue !== undefined ? String(defaultValue) : undefined);
  if (shown !== undefined) parts.push(`(default: ${shown})`);
  return parts.join(' ');
}
