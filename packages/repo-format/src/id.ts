/**
 * Names of things in a repository: SHA-256 digests, as 64 lower-case hex digits where people and JSON meet them.
 * Format: restic design document, "Repository Format" (storage ids) and "Pack Format" (blob ids).
 */
import { EngineError } from './errors.ts';

/** 64 lower-case hex digits. */
export type Id = string;

/** Bytes in a raw id. */
export const ID_BYTES = 32;

const ID = /^[0-9a-f]{64}$/;

/** Is `text` an id as it is written in file names, in lower case? */
export function isId(text: string): boolean {
  return ID.test(text);
}

/** Reads an id as JSON has it; restic accepts upper-case digits there. Throws `corrupt`. */
export function parseId(text: unknown): Id {
  const id = typeof text === 'string' ? text.toLowerCase() : '';
  if (!isId(id)) throw new EngineError('corrupt', 'not an id of 64 hex digits', { id: String(text).slice(0, 80) });
  return id;
}

/** The first 8 digits, as restic prints ids for people. */
export function shortId(id: Id): string {
  return id.slice(0, 8);
}
