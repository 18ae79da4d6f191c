import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';

// The schemas that come with the command line, and what they find wrong with what a program printed.

export const SCHEMA_FOLDER: string = join(import.meta.dirname, '../../packages/cli/schema');
const SUFFIX = '.schema.json';

/** Of schemas: `value`, one JSON value; `lines`, one a line; `text`, lines for people; `bytes`. */
export type Output = 'value' | 'lines' | 'text' | 'bytes';

/** As much of a JSON schema as the tests look at. */
export interface Schema {
  readonly [keyword: string]: unknown;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly 'x-output'?: Output;
  readonly 'x-origin'?: string;
}

/** By name, for example `key-list`; `common` and `errors` too. */
export const SCHEMAS: ReadonlyMap<string, Schema> = new Map(
  readdirSync(SCHEMA_FOLDER)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .toSorted()
    .map((name) => [name, JSON.parse(readFileSync(join(SCHEMA_FOLDER, name + SUFFIX), 'utf8')) as Schema]),
);

export type Author = 'ours' | 'restic';

const validators: Readonly<Record<Author, Ajv2020>> = { ours: validatorFor('ours'), restic: validatorFor('restic') };

/** For restic, nothing passes that a schema says is ours alone. */
function validatorFor(author: Author): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: true });
  ajv.addKeyword({ keyword: 'x-output', schemaType: 'string' });
  ajv.addKeyword({ keyword: 'x-origin', schemaType: 'string', validate: () => author === 'ours' });
  for (const [name, schema] of SCHEMAS) ajv.addSchema(schema, `${name}${SUFFIX}`);
  return ajv;
}

/** What is wrong with a value; empty when it is as described. */
export function complaints(author: Author, schema: string, value: unknown): string[] {
  const validate = validators[author].getSchema(`${schema}${SUFFIX}`) as ValidateFunction | undefined;
  if (validate === undefined) throw new Error(`there is no schema ${schema}`);
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) =>
    [instancePath, message, JSON.stringify(params)].join(' '),
  );
}

/** The values that standard output has by the kind of the schema. */
export function valuesIn(schema: string, stdout: string): unknown[] {
  const output = SCHEMAS.get(schema)?.['x-output'];
  const lines = stdout.split('\n').filter((line) => line !== '');
  if (output === 'text') return lines;
  if (output === 'lines') return lines.map((line): unknown => JSON.parse(line));
  return output === 'value' && stdout !== '' ? [JSON.parse(stdout)] : [];
}

/** The messages on standard error; other lines there are for people. */
export function messagesIn(stderr: string): unknown[] {
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line): unknown => JSON.parse(line));
}
