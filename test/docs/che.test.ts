// The chapter about Che: what is generated in it is as the program says, its commands are ones, its messages are told.
// `pnpm docs` writes what is generated.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ID_OVERRIDE_ANNOTATION, OWNER_ANNOTATION } from '../../packages/che-state/src/objects/strip.ts';
import { APPROVE_ANNOTATION, UNSAFE_ANNOTATION } from '../../packages/che-state/src/operator/update.ts';
import { RECORD_NAME } from '../../packages/che-state/src/restore/record.ts';
import { COMMAND_CONFIGURATION, DEFAULT_ANNOTATION } from '../../packages/che-state/src/server/choose.ts';
import { HOST_KEY_ANNOTATION } from '../../packages/che-state/src/server/host-key.ts';
import { INTERNAL } from '../../packages/che-state/src/server/internal-objects.ts';
import { buildCheProgram } from '../../packages/cli/src/che/program.ts';
import { buildProgram } from '../../packages/cli/src/program.ts';
import { outlineProgram } from '../../packages/cli/src/manual/outline.ts';
import { expandSwitches } from '../../packages/cli/src/switches.ts';
import { splitWords } from '../../packages/cli/src/values/shell-words.ts';
import { exceptionsPart, metricsPart, objectsPart } from './che-tables.ts';
import { chePart, commandsPart, globalFlagsPart, renewPage } from './command-page.ts';
import { expectLinks } from './links.ts';

const root = join(import.meta.dirname, '../..');
const folder = join(root, 'docs/che');
const pages = readdirSync(folder);
const textOf = (page: string): string => readFileSync(join(folder, page), 'utf8');

describe('what is generated in', () => {
  it('contents.md is what is collected', async () => {
    const parts = { objects: objectsPart, exceptions: exceptionsPart };
    await expect(renewPage(textOf('contents.md'), parts)).toMatchFileSnapshot(join(folder, 'contents.md'));
  });

  it('install.md is what the operator counts', async () => {
    await expect(renewPage(textOf('install.md'), { metrics: metricsPart })).toMatchFileSnapshot(
      join(folder, 'install.md'),
    );
  });

  it('commands.md is as the program says', async () => {
    const outline = outlineProgram(await buildCheProgram([], {}, () => expect.unreachable(), { all: true }));
    const parts = {
      commands: () => commandsPart(outline, (name) => `#${name.replaceAll(':', '')}`),
      flags: () => globalFlagsPart(outline),
      reference: () => chePart(outline),
    };
    await expect(renewPage(textOf('commands.md'), parts)).toMatchFileSnapshot(join(folder, 'commands.md'));
  });
});

it.for(pages)('%s links only to what there is', (page) => expectLinks(join(folder, page)));

it('README.md has all pages', () => {
  const named = [...textOf('README.md').matchAll(/^\| \[[^\]]+\]\(([^)]+)\)/gm)].map(([, name]) => name);
  expect(named.toSorted()).toEqual(pages.filter((name) => name !== 'README.md').toSorted());
});

/** Lines for a shell that call one of our programs. */
const lines = pages.flatMap((page) => {
  const blocks = [...textOf(page).matchAll(/^ *```(?:sh|console)\n([^]*?)^ *```$/gm)].map(([, code = '']) => code);
  const calls = blocks.flatMap((code) => code.split(/\n| && /).map((line) => line.trim().replace(/^\$ /, '')));
  return calls.filter((line) => /^(che-backup|restic-engine) /.test(line)).map((line) => [page, line] as const);
});

class Understood extends Error {}

/** Rejects with `Understood` where the command's own work would begin. */
async function understand(line: string): Promise<void> {
  const [program, ...words] = splitWords(line);
  const start = (): never => {
    throw new Understood();
  };
  const built =
    program === 'che-backup' ? await buildCheProgram(words, {}, start) : await buildProgram(words, {}, start);
  await built.parseAsync(expandSwitches(words, built), { from: 'user' });
}

it.for(lines)('%s: %s', async ([, line]) => {
  if (line === 'che-backup --version') return;
  await expect(understand(line)).rejects.toThrow(Understood);
});

it('has a command of each kind', () => {
  expect(new Set(lines.map(([, line]) => splitWords(line)[1]))).toEqual(
    new Set(['--version', 'diff', 'extract', 'list', 'operator', 'restore', 'server:backup', 'server:restore', 'show']),
  );
});

it('has the image and the roles that are deployed', () => {
  const [deployment, rbac] = ['deployment', 'rbac'].map((name) =>
    readFileSync(join(root, `deploy/operator/${name}.yaml`), 'utf8'),
  ) as [string, string];
  const imagesIn = (text: string): string[] => [...text.matchAll(/\S+\/che-backup:\S+/g)].map(([image]) => image);
  expect(new Set(pages.flatMap((page) => imagesIn(textOf(page))))).toEqual(new Set(imagesIn(deployment)));
  const roles = [...rbac.matchAll(/^kind: ClusterRole\nmetadata:\n {2}name: (\S+)$/gm)].map(([, name]) => name);
  const named = [...textOf('install.md').matchAll(/^\| `(che-backup-[^`]+)` \|/gm)].map(([, name]) => name);
  expect(named).toEqual(roles);
});

it.for([
  APPROVE_ANNOTATION,
  UNSAFE_ANNOTATION,
  DEFAULT_ANNOTATION,
  COMMAND_CONFIGURATION,
  HOST_KEY_ANNOTATION,
  OWNER_ANNOTATION,
  ID_OVERRIDE_ANNOTATION,
  RECORD_NAME,
  INTERNAL.deployment,
  INTERNAL.configuration,
  INTERNAL.password,
])('says what %s is', (name) => {
  expect(pages.filter((page) => textOf(page).includes(name))).not.toEqual([]);
});

it('has the messages that are printed with --json', () => {
  const files = ['src/che', 'src/che/render', 'src/che/commands'].flatMap((part) =>
    readdirSync(join(root, 'packages/cli', part))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(root, 'packages/cli', part, name), 'utf8')),
  );
  const printed = files.flatMap((text) => [...text.matchAll(/message_type: '(\w+)'/g)].map(([, type]) => type));
  const [, part = ''] = textOf('commands.md').split('## JSON');
  for (const type of new Set(printed)) expect(part).toContain(`\`${type}\``);
});

describe('troubleshooting.md', () => {
  const sources = ['packages/che-state/src', 'packages/cli/src'].flatMap((part) =>
    readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => readFileSync(join(root, part, name), 'utf8')),
  );
  const messages = [...textOf('troubleshooting.md').matchAll(/^\*\*`([^`]+)`\*\*/gm)].map(([, text = '']) => text);

  it('has many messages', () => {
    expect(messages.length).toBeGreaterThan(20);
  });

  it.for(messages)('%s', (message) => {
    const parts = message.replace(/^Warning: /, '').split('…').map((part) => part.trim()).filter(Boolean); // biome-ignore format: one step
    expect(sources.some((text) => parts.every((part) => text.includes(part)))).toBe(true);
  });
});
