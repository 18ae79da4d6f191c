/** The small JSON objects of key files, config and locks. */
import { isRecord, optionalText, wrongField } from './fields.ts';
import { compactJson, parseJson } from './source.ts';

/** A JSON object of which nothing is known yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** `value` as an object; `what` names it in the error. Throws `corrupt`. */
export function asObject(value: unknown, what: string): Fields {
  if (!isRecord(value)) throw wrongField(what, 'an object');
  return value;
}

/** The object in `bytes`, and its text. Throws `corrupt`. */
export function parseObject(bytes: Uint8Array, what: string): { readonly fields: Fields; readonly text: string } {
  const { value, text } = parseJson(bytes);
  return { fields: asObject(value, what), text };
}

/** A string; '' for an absent one, as for Go. Throws `corrupt`. */
export function textOrEmpty(value: unknown, key: string): string {
  return optionalText(value, key) ?? '';
}

/** An integer from 0 to `max`; 0 for an absent one, as for Go. Throws `corrupt`. */
export function uintOrZero(value: unknown, key: string, max: number = Number.MAX_SAFE_INTEGER): number {
  if (value === undefined || value === null) return 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    throw wrongField(key, `an integer from 0 to ${max}`);
  }
  return value;
}

/** `value` as JSON, escaped as Go does; undefined members are left out. */
export function encodeObject(value: object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(compactJson(JSON.stringify(value)));
}
