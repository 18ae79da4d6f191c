/** Reading fields of objects that people wrote: what is wrong with one is told by its name, never by its value. */
import { EngineError } from 'restic-engine';
import type { Json } from '../objects/object.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** The object in `value`, or undefined where there is none. Throws `bad-request` for anything else. */
export function section(value: unknown, name: string): Fields | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isFields(value)) throw wrongField(name, 'must be an object');
  return value;
}

/** Text; empty text counts as none, as the old operator left such fields out. */
export function textField(fields: Fields, path: string, name: string): string | undefined {
  const value = fields[name];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw wrongField(`${path}.${name}`, 'must be text');
  return value;
}

export function neededText(fields: Fields, path: string, name: string): string {
  const value = textField(fields, path, name);
  if (value === undefined) throw wrongField(`${path}.${name}`, 'is missing');
  return value;
}

/** A port; 0 counts as none. */
export function portField(fields: Fields, path: string): number | undefined {
  const value = fields['port'];
  if (value === undefined || value === null || value === 0) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 65536) return value;
  throw wrongField(`${path}.port`, 'must be a number from 1 to 65535');
}

export function wrongField(field: string, why: string): EngineError {
  return new EngineError('bad-request', `${field} ${why}`, { field });
}

function isFields(value: unknown): value is { readonly [name: string]: Json | undefined } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
