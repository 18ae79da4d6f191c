/** Names and texts as SQL and libpq have them: whatever is in them, they stay one word. */
import { EngineError } from 'restic-engine';

/** PostgreSQL's manual, "Lexical Structure", identifiers and string constants. */
export function identifier(name: string): string {
  return `"${withoutNul(name).replaceAll('"', '""')}"`;
}

/** Holds whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const quoted = `'${withoutNul(text).replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return quoted.includes('\\') ? `E${quoted}` : quoted;
}

/** PostgreSQL's manual, "Connection Strings". A database's name alone may not be given to a program: it may look like one. */
export function connectionString(settings: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(settings)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}='${escaped(withoutNul(value))}'`]))
    .join(' ');
}

function escaped(value: string): string {
  return value.replaceAll(/[\\']/g, (character) => `\\${character}`);
}

function withoutNul(text: string): string {
  if (text.includes('\0')) throw new EngineError('bad-request', 'a name for PostgreSQL cannot have a NUL in it');
  return text;
}
