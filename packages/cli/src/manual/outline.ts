/** The commands as data, for everything that is generated from them. Reads them off the program: there is no other list. */
import type { Argument, CommandUnknownOpts, Option } from '@commander-js/extra-typings';
import { describeFlag, GLOBAL_GROUP, manualOf } from './manual.ts';
import type { Manual } from './manual.ts';

/** What a shell can offer for a value: these words, or names of files or folders. */
export type Values = readonly string[] | 'files' | 'folders' | undefined;

export interface FlagOutline {
  /** With its dashes, as `-r`. */
  readonly short: string | undefined;
  /** With its dashes, as `--repo`. */
  readonly long: string;
  /** The name of its value; undefined when it takes none. */
  readonly value: string | undefined;
  readonly values: Values;
  readonly description: string;
  /** The heading it stands below in the help; undefined for the plain flags of the command. */
  readonly group: string | undefined;
}

export interface ArgumentOutline {
  readonly name: string;
  /** Any number of them. */
  readonly variadic: boolean;
  readonly values: Values;
}

export interface CommandOutline {
  /** The words that call it, without the program's name: `['repair', 'index']`; empty for the program itself. */
  readonly words: readonly string[];
  readonly summary: string;
  readonly description: string;
  /** The line that follows `Usage:`. */
  readonly usage: string;
  readonly arguments: readonly ArgumentOutline[];
  /** Its own, without those of every command. */
  readonly flags: readonly FlagOutline[];
  readonly commands: readonly CommandOutline[];
  readonly manual: Manual | undefined;
}

/** The program with all of its commands. */
export interface ProgramOutline {
  readonly program: CommandOutline;
  /** What every command takes. */
  readonly globalFlags: readonly FlagOutline[];
}

/** Describes a program whose commands are all loaded. Hidden commands and flags are left out. */
export function outlineProgram(program: CommandUnknownOpts): ProgramOutline {
  return {
    program: outlineCommand(program, []),
    globalFlags: program.options.filter(isGlobal).map(outlineFlag),
  };
}

/** The command and all below it, parents first. */
export function allCommands(command: CommandOutline): CommandOutline[] {
  return [command, ...command.commands.flatMap(allCommands)];
}

function outlineCommand(command: CommandUnknownOpts, words: readonly string[]): CommandOutline {
  const help = command.createHelp();
  return {
    words,
    summary: command.summary(),
    description: command.description(),
    usage: help.commandUsage(command),
    arguments: command.registeredArguments.map(outlineArgument),
    flags: help
      .visibleOptions(command)
      .filter((option) => !isGlobal(option))
      .map(outlineFlag),
    commands: help
      .visibleCommands(command)
      .filter((child) => child.name() !== 'help')
      .map((child) => outlineCommand(child, [...words, child.name()])),
    manual: manualOf(command),
  };
}

function isGlobal(option: Option): boolean {
  return option.helpGroupHeading === GLOBAL_GROUP;
}

function outlineFlag(option: Option): FlagOutline {
  const value = /<([^>]*)>/.exec(option.flags)?.[1];
  return {
    short: option.short,
    long: option.long ?? '',
    value,
    values: value === undefined ? undefined : (option.argChoices ?? namesFor(value)),
    description: describeFlag(option),
    group: option.helpGroupHeading,
  };
}

function outlineArgument(argument: Argument): ArgumentOutline {
  const name = argument.name();
  return { name, variadic: argument.variadic, values: argument.argChoices ?? namesFor(name) };
}

const FILES: ReadonlySet<string> = new Set(['file', 'FILE/DIR', 'path']);
const FOLDERS: ReadonlySet<string> = new Set(['directory', 'dir', 'repository', 'location']);

/** What a value is called says what it names. */
function namesFor(placeholder: string): Values {
  if (FILES.has(placeholder)) return 'files';
  return FOLDERS.has(placeholder) ? 'folders' : undefined;
}
