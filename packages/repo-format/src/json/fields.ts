/** Readers for the values of JSON objects. Like Go, they take null for an absent value. They throw `corrupt`. */
import { EngineError } from '../errors.ts';
import { type Id, parseId, isId } from '../id.ts';

/** Is `value` a JSON object? */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An error about the value of `key`. */
export function wrongField(key: string, wanted: string): EngineError {
  return new EngineError('corrupt', `"${key}" is not ${wanted}`, { key });
}

/** A string; lone surrogates, which only escapes of broken JSON can have made, become U+FFFD like in Go. */
export function requiredText(value: unknown, key: string): string {
  if (typeof value !== 'string') throw wrongField(key, 'a string');
  return value.toWellFormed();
}

export function optionalText(value: unknown, key: string): string | undefined {
  return value === undefined || value === null ? undefined : requiredText(value, key);
}

export function requiredId(value: unknown, key: string): Id {
  if (typeof value !== 'string') throw wrongField(key, 'an id');
  return isId(value) ? value : parseId(value);
}

export function optionalId(value: unknown, key: string): Id | undefined {
  return value === undefined || value === null ? undefined : requiredId(value, key);
}

export function optionalArray(value: unknown, key: string): readonly unknown[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value)) throw wrongField(key, 'an array');
  return value;
}

export function optionalTexts(value: unknown, key: string): readonly string[] | undefined {
  return optionalArray(value, key)?.map((item) => requiredText(item, key));
}
