/** Flags that every command of a program takes, before it or after it. */
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import { GLOBAL_GROUP } from './manual/manual.ts';

/** One of them; what is given lands in the program's record of flags. */
export interface GlobalFlag<Flags> {
  readonly flags: string;
  readonly description: string;
  /** The words it can have. */
  readonly choices?: readonly string[];
  /** What holds without it. */
  readonly preset?: string;
  /** May be given more than once. */
  readonly repeated?: true;
  apply(flags: Flags, value: string): void;
}

/** Lets `command` and its own commands take the flags of the table; what is given lands in `flags`. */
export function declareGlobalFlags<Flags>(
  command: CommandUnknownOpts,
  table: readonly GlobalFlag<Flags>[],
  flags: Flags,
): void {
  for (const { flags: text, description, choices, preset, apply } of table) {
    const option = new Option(text, description).helpGroup(GLOBAL_GROUP).default(undefined, preset);
    // Values are looked at when the environment has had its word.
    if (choices !== undefined) option.choices(choices).argParser(String);
    command.addOption(option);
    command.on(`option:${option.name()}`, (value: string) => apply(flags, value));
  }
  for (const child of command.commands) declareGlobalFlags(child, table, flags);
}

/** The first words that are neither flags nor values of the table's flags: the command, and what follows it. */
export function findOperands(argv: readonly string[], table: readonly { readonly flags: string }[]): string[] {
  const takesValue = new Set(
    table.filter(({ flags }) => flags.includes('<')).flatMap(({ flags }) => flags.replace(/ <.*/, '').split(', ')),
  );
  const operands: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    if (word === '--') break;
    if (!word.startsWith('-')) operands.push(word);
    // In a group such as `-qr`, the last letter takes the next word.
    else if (takesValue.has(word) || (/^-[a-z]+$/i.test(word) && takesValue.has(`-${word.at(-1) ?? ''}`))) index++;
  }
  return operands;
}
