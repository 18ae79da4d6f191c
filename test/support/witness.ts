import { expect } from 'vitest';
import type { ResticRun } from './restic.ts';
import { complaints, messagesIn, SCHEMAS, valuesIn } from './schemas.ts';
import type { Author } from './schemas.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [member: string]: Json };

/** Holds what a program prints against the schemas, and remembers one message of each kind. */
export interface Witness {
  /** Runs words with --json, and resolves with the values on standard output. */
  judge(
    schema: string,
    words: readonly string[],
    options?: { readonly repo?: string; readonly status?: number },
  ): Promise<unknown[]>;
  /** Holds what was printed on standard output against the schema. */
  look(schema: string, stdout: string): void;
  /** `schema message_type` of everything seen. */
  kinds(): Set<string>;
  /** Expects every mutation of what was seen to be found; how many there were. */
  mutate(): number;
}

export function createWitness(
  author: Author,
  run: (words: readonly string[], repo: string) => Promise<ResticRun>,
): Witness {
  /** By schema, then by the members that a value has. */
  const seen = new Map<string, Map<string, Json>>();
  const check = (schema: string, values: readonly unknown[], about: string): void => {
    const known = seen.get(schema) ?? new Map<string, Json>();
    seen.set(schema, known);
    for (const value of values) {
      expect(complaints(author, schema, value), `${about}\n${JSON.stringify(value)}`).toEqual([]);
      known.set(shapeOf(value as Json), value as Json);
    }
  };
  return {
    async judge(schema, words, { repo = 'repo', status = 0 } = {}) {
      const { stdout, stderr, ...end } = await run(['--json', ...words], repo);
      const about = `${author}: ${words.join(' ')}: ${stderr}`;
      expect(end.status, about).toBe(status);
      const messages = messagesIn(stderr);
      check('errors', messages, about);
      expect(messages.findIndex(isOf('exit_error')), about).toBe(status === 0 ? -1 : messages.length - 1);
      // restic has text where these schemas describe JSON.
      if (author === 'restic' && SCHEMAS.get(schema)?.['x-origin'] !== undefined) return [];
      const values = valuesIn(schema, stdout);
      check(schema, values, about);
      const summary = values.findIndex(isOf('summary'));
      if (summary >= 0) expect(summary, about).toBe(values.length - 1);
      return values;
    },
    look: (schema, stdout) => check(schema, valuesIn(schema, stdout), schema),
    kinds() {
      const kinds = [...seen].flatMap(([schema, values]) =>
        [...values.values()].map((value) => `${schema} ${typeOf(value) ?? ''}`.trim()),
      );
      return new Set(kinds);
    },
    mutate() {
      let tried = 0;
      for (const [schema, values] of seen) {
        for (const value of values.values()) {
          for (const [what, mutant] of mutants(value)) {
            tried += 1;
            const found = complaints(author, schema, mutant);
            expect(found.length, `${schema}: ${what} in ${JSON.stringify(value)}`).toBeGreaterThan(0);
          }
        }
      }
      return tried;
    },
  };
}

function typeOf(value: unknown): string | undefined {
  return (value as { readonly message_type?: string } | null)?.message_type;
}

function isOf(type: string): (value: unknown) => boolean {
  return (value) => typeOf(value) === type;
}

/** Members and types: values of the same shape have the same mutants. */
function shapeOf(value: Json): string {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  if (isList(value)) return `[${[...new Set(value.map(shapeOf))].toSorted().join()}]`;
  const members = Object.entries(value).map(([name, member]) => `${name}:${shapeOf(member)}`);
  return `${typeOf(value) ?? ''}{${members.join()}}`;
}

/** Members that may be text, a number, a flag or a list. */
const OPEN: ReadonlySet<string> = new Set(['value']);

/** The value with one thing changed that a schema must not let pass. */
function* mutants(value: Json): Generator<[string, Json]> {
  if (value === null) return;
  if (isList(value)) {
    for (const [index, item] of value.entries()) {
      for (const [what, mutant] of mutants(item)) yield [`[${index}] ${what}`, value.with(index, mutant)];
    }
    yield ['an item of another kind', [...value, { of: 'another kind' }]];
  } else if (typeof value === 'object') {
    yield ['a new member', { ...value, unheard_of: 1 }];
    for (const [name, member] of Object.entries(value)) {
      if (OPEN.has(name)) continue;
      for (const [what, mutant] of mutants(member)) yield [`${name} ${what}`, { ...value, [name]: mutant }];
    }
    if (typeOf(value) !== undefined) yield ['no message_type', { ...value, message_type: undefined } as never];
  } else if (typeof value === 'number') {
    yield ['a number that is text', String(value)];
    yield ['a number that is null', null];
  } else if (typeof value === 'string') {
    yield ['text that is a number', 5];
    yield ['text that is null', null];
  } else yield ['a flag that is text', String(value)];
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
