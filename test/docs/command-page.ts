// What the pages of the commands have from the program itself: `pnpm docs` puts it where it belongs.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CommandOutline, FlagOutline, ProgramOutline } from '../../packages/cli/src/manual/outline.ts';

const BLOCK = /(<!-- generated: ([a-z]+) -->\n)[^]*?(<!-- end of what is generated -->)/g;

/** The page with its generated parts as they should be; throws for one that has a part nobody knows, or none. */
export function renewPage(page: string, parts: Readonly<Record<string, () => string>>): string {
  let count = 0;
  const renewed = page.replaceAll(BLOCK, (_all, start: string, name: string, end: string) => {
    const part = parts[name];
    if (part === undefined) throw new Error(`there is no part "${name}" for this page`);
    count += 1;
    return `${start}\n${part()}\n${end}`;
  });
  if (count === 0) throw new Error('the page has no generated part');
  return renewed;
}

interface Book {
  readonly program: string;
  /** Where the flags of every command are. */
  readonly flags: string;
}

const RESTIC_ENGINE: Book = { program: 'restic-engine', flags: '../cli.md#flags-of-every-command' };
const CHE_BACKUP: Book = { program: 'che-backup', flags: '#flags-of-every-command' };

/** Usage, flags, examples, exit statuses and schema of a command, or of each below it. */
export function usagePart(command: CommandOutline): string {
  const below = command.commands.map((child) => section(child, '##', RESTIC_ENGINE));
  // One that only groups others has nothing of its own to tell.
  const isGroup = below.length > 0 && command.arguments.length === 0;
  return [...(isGroup ? [] : [reference(command, '##', RESTIC_ENGINE)]), ...below].join('\n');
}

/** All commands of che-backup, of which there are few. */
export function chePart({ program }: ProgramOutline): string {
  return program.commands.map((command) => section(command, '##', CHE_BACKUP)).join('\n');
}

function section(command: CommandOutline, level: string, book: Book): string {
  return `${level} ${command.words.join(' ')}\n\n${command.description}\n\n${reference(command, `${level}#`, book)}`;
}

export function commandsPart({ program }: ProgramOutline, pageOf = (name: string) => `commands/${name}.md`): string {
  return table(
    ['command', 'what it does'],
    program.commands.map(({ words: [name = ''], summary }) => [`[\`${name}\`](${pageOf(name)})`, summary]),
  );
}

export function globalFlagsPart({ globalFlags }: ProgramOutline): string {
  return flagTable(globalFlags);
}

function reference(command: CommandOutline, level: string, book: Book): string {
  const { flags, usage, manual } = command;
  const own = flags.filter(({ long }) => long !== '--help');
  const groups = [...new Set(own.map(({ group }) => group))];
  const tables = groups.map((group) => {
    const heading = group === undefined || groups.length === 1 ? '' : `**${group.replace(/:$/, '')}**\n\n`;
    return heading + flagTable(own.filter((flag) => flag.group === group));
  });
  const examples = (manual?.examples ?? []).map(({ purpose, words }) => `# ${purpose}\n$ ${book.program} ${words}\n`);
  const exits = Object.entries(manual?.exits ?? {});
  return `${level} Usage

\`\`\`
${usage}
\`\`\`

${tables.join('\n')}${tables.length === 0 ? '' : '\n'}And the [flags of every command](${book.flags}).

${level} Examples

\`\`\`console
${examples.join('')}\`\`\`

${level} Exit status

${table(['status', 'meaning'], exits)}${book === RESTIC_ENGINE ? schemaLine(command) : ''}`;
}

function schemaLine({ words }: CommandOutline): string {
  const path = `packages/cli/schema/${words.join('-')}.schema.json`;
  if (!existsSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)))) return '';
  return `\nWhat it prints with \`--json\` has a [schema](../../${path}), see [JSON](../json.md).\n`;
}

function flagTable(flags: readonly FlagOutline[]): string {
  const name = ({ short, long, value }: FlagOutline): string =>
    `\`${short === undefined ? '' : `${short}, `}${long}${value === undefined ? '' : ` <${value}>`}\``;
  return table(
    ['flag', 'meaning'],
    flags.map((flag) => [name(flag), flag.description]),
  );
}

export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;
  return line(header) + `|${'---|'.repeat(header.length)}\n` + rows.map(line).join('');
}

/** A cell that has no border and no tag in it. */
function cell(text: string): string {
  const escaped = text.replaceAll('|', '\\|');
  return escaped.startsWith('`') || escaped.startsWith('[') ? escaped : escaped.replaceAll(/[<*]/g, '\\$&');
}
