// Each command has help, a page and examples; what is generated in the pages is as the program says.
// `pnpm docs` writes it there.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { allCommands, outlineProgram } from '../../packages/cli/src/manual/outline.ts';
import { buildProgram } from '../../packages/cli/src/program.ts';
import { commandsPart, globalFlagsPart, renewPage, usagePart } from './command-page.ts';
import { expectLinks } from './links.ts';

const docs = fileURLToPath(new URL('../../docs', import.meta.url));

const program = await buildProgram(['generate'], {}, () => expect.unreachable());
const outline = outlineProgram(program);
const commands = allCommands(outline.program).slice(1);

it('are all in the index, docs/cli.md', async () => {
  const path = join(docs, 'cli.md');
  const parts = { commands: () => commandsPart(outline), flags: () => globalFlagsPart(outline) };
  await expect(renewPage(readFileSync(path, 'utf8'), parts)).toMatchFileSnapshot(path);
});

it('have the only pages there are', () => {
  const names = commands.filter(({ words }) => words.length === 1).map(({ words: [name = ''] }) => `${name}.md`);
  expect(readdirSync(join(docs, 'commands')).toSorted()).toEqual(names.toSorted());
});

it('link only to what there is', () => {
  const pages = ['cli.md', ...readdirSync(join(docs, 'commands')).map((name) => `commands/${name}`)];
  for (const page of pages) expectLinks(join(docs, page));
});

const pageOf = (name: string): string => join(docs, 'commands', `${name}.md`);

describe.for(commands.map((command) => [command.words.join(' '), command] as const))('%s', ([, command]) => {
  it('says what it does, with examples', () => {
    expect(command.summary).not.toBe('');
    expect(command.description).not.toBe('');
    expect(command.manual?.examples).not.toEqual([]);
    for (const { words } of command.manual?.examples ?? []) expect(words).toMatch(/\S/);
    expect(Object.keys(command.manual?.exits ?? {})).toEqual(expect.arrayContaining(['0', '1']));
  });

  it('shows that in its help', () => {
    let text = '';
    const found = command.words.reduce(
      (parent, word) => parent.commands.find((each) => each.name() === word) ?? parent,
      program,
    );
    found.configureOutput({ writeOut: (part) => void (text += part) }).outputHelp();
    expect(text).toContain(`Usage: ${command.usage}`);
    for (const { words } of command.manual?.examples ?? []) expect(text).toContain(`  $ restic-engine ${words}\n`);
    for (const { long } of [...command.flags, ...outline.globalFlags]) expect(text).toContain(long);
    for (const meaning of Object.values(command.manual?.exits ?? {})) expect(text).toContain(meaning);
  });
});

const pages = commands.flatMap((command) =>
  command.words.length === 1 ? [[command.words.join(), command] as const] : [],
);

describe('the page of', () => {
  it.for(pages)('%s is current', async ([name, command]) => {
    const page = readFileSync(pageOf(name), 'utf8');
    expect(page).toMatch(new RegExp(`^# ${name}\n\n[A-Z]`));
    await expect(renewPage(page, { usage: () => usagePart(command) })).toMatchFileSnapshot(pageOf(name));
  });
});
