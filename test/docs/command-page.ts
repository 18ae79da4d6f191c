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

/** Usage, flags, examples, exit statuses and schema of a command, or of each below it. */
export function usagePart(command: CommandOutline): string {
  const below = command.commands.map(
    (child) => `## ${child.words.join(' ')}\n\n${child.description}\n\n${reference(child, '###')}`,
  );
  // One that only groups others has nothing of its own to tell.
  const isGroup = below.length > 0 && command.arguments.length === 0;
  return [...(isGroup ? [] : [reference(command, '##')]), ...below].join('\n');
}

export function commandsPart({ program }: ProgramOutline): string {
  return table(
    ['command', 'what it does'],
    program.commands.map(({ words: [name = ''], summary }) => [`[\`${name}\`](commands/${name}.md)`, summary]),
  );
}

export function globalFlagsPart({ globalFlags }: ProgramOutline): string {
  return flagTable(globalFlags);
}

function reference(command: CommandOutline, level: string): string {
  const { flags, usage, manual } = command;
  const own = flags.filter(({ long }) => long !== '--help');
  const groups = [...new Set(own.map(({ group }) => group))];
  const tables = groups.map((group) => {
    const heading = group === undefined || groups.length === 1 ? '' : `**${group.replace(/:$/, '')}**\n\n`;
    return heading + flagTable(own.filter((flag) => flag.group === group));
  });
  const examples = (manual?.examples ?? []).map(({ purpose, words }) => `# ${purpose}\n$ restic-engine ${words}\n`);
  const exits = Object.entries(manual?.exits ?? {});
  return `${level} Usage

\`\`\`
${usage}
\`\`\`

${tables.join('\n')}${tables.length === 0 ? '' : '\n'}And the [flags of every command](../cli.md#flags-of-every-command).

${level} Examples

\`\`\`console
${examples.join('')}\`\`\`

${level} Exit status

${table(['status', 'meaning'], exits)}${schemaLine(command)}`;
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

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;
  return line(header) + `|${'---|'.repeat(header.length)}\n` + rows.map(line).join('');
}

/** A cell that has no border and no tag in it. */
function cell(text: string): string {
  const escaped = text.replaceAll('|', '\\|');
  return escaped.startsWith('`') || escaped.startsWith('[') ? escaped : escaped.replaceAll(/[<*]/g, '\\$&');
}
