import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../packages/cli/src/program.ts';
import { SCHEMAS } from '../support/schemas.ts';
import type { Schema } from '../support/schemas.ts';

// docs/json.md and the schemas beside the command line: all commands, every member.

const page = readFileSync(new URL('../../docs/json.md', import.meta.url), 'utf8');

/** `key-list` for `key list`: every command that does something. */
async function commandNames(): Promise<string[]> {
  const program = await programFor([]);
  const names = program.commands.map((command) => command.name()).filter((name) => name !== 'help');
  const found = await Promise.all(
    names.map(async (name) => {
      const command = (await programFor([name])).commands.find((each) => each.name() === name);
      const below = (command?.commands ?? []).map((each) => each.name()).filter((each) => each !== 'help');
      const isGroup = below.length > 0 && command?.registeredArguments.length === 0;
      return [...(isGroup ? [] : [name]), ...below.map((each) => `${name}-${each}`)];
    }),
  );
  return found.flat().toSorted();
}

function programFor(words: readonly string[]): ReturnType<typeof buildProgram> {
  return buildProgram(words, {}, () => {
    throw new Error('nothing is run');
  });
}

/** Every schema in a schema, with its place. */
function* partsOf(schema: unknown, place: string): Generator<[string, Schema]> {
  if (typeof schema !== 'object' || schema === null) return;
  if (!Array.isArray(schema)) yield [place, schema as Schema];
  for (const [key, part] of Object.entries(schema)) yield* partsOf(part, `${place}/${key}`);
}

describe('the schemas', () => {
  it('are one for each command', async () => {
    const names = [...SCHEMAS.keys()].filter((name) => name !== 'common' && name !== 'errors');
    expect(names).toEqual(await commandNames());
  });

  it.each([...SCHEMAS])('of %s describes every member, and knows of all', (name, schema) => {
    expect(schema).toMatchObject({
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      title: expect.stringContaining('restic-engine'),
      description: expect.stringMatching(/\.$/),
    });
    if (name !== 'common') expect(schema['x-output']).toMatch(/^(value|lines|text|bytes)$/);
    for (const [place, part] of partsOf(schema, name)) {
      if (part.properties === undefined) continue;
      expect(part['additionalProperties'], place).toBe(false);
      for (const [member, { description }] of Object.entries(part.properties)) {
        expect(description, `${place}: ${member}`).toMatch(/\S/);
      }
    }
  });
});

describe('docs/json.md', () => {
  it('lists what each command prints', () => {
    const rows = [
      ...page.matchAll(
        /^\| \[`([a-z -]+)`\]\(\.\.\/packages\/cli\/schema\/([a-z-]+)\.schema\.json\) \| (\w+) \| ([\w -]+) \|/gm,
      ),
    ];
    const told = rows.map(([, command = '', schema, output, origin]) => {
      expect(schema).toBe(command.replaceAll(' ', '-'));
      return [schema, output, origin?.trim()];
    });
    const known = [...SCHEMAS].flatMap(([name, schema]) => {
      if (name === 'common' || name === 'errors') return [];
      const output = schema['x-output'];
      const same = output === 'text' || output === 'bytes' ? 'as without' : 'restic';
      return [[name, output, schema['x-origin'] ?? same]];
    });
    expect(told).toEqual(known);
  });
});
