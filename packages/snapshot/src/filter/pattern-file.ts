/** Files of patterns, as `--exclude-file` reads them (restic manual, "Excluding Files"). */
import { pathFromBytes } from '@restic-engine/repo-format';

/** Variables by name; absent ones are empty. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Unicode's White_Space, which Go trims; JavaScript's `trim` leaves U+0085 and takes U+FEFF. */
const SPACE = '[\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const OUTER_SPACE = new RegExp(`^${SPACE}+|${SPACE}+$`, 'g');

/** `${…}`, `${` unfinished, one special character, or a name. */
const VARIABLE = /\$(?:\{([^}]*)\}|(\{)|([*#$@!?\-0-9])|([A-Za-z0-9_]+))/g;

/**
 * The patterns in a file: one a line, trimmed, without blank lines and those that start with `#`. `$NAME` and
 * `${NAME}` stand for variables and `$$` for a dollar sign. Text is UTF-8, or UTF-16 behind a byte order mark.
 */
export function parsePatternFile(data: Uint8Array, environment: Environment): string[] {
  const patterns: string[] = [];
  for (const raw of decodeText(data).split('\n')) {
    const line = raw.replace(OUTER_SPACE, '');
    if (line !== '' && !line.startsWith('#')) patterns.push(expandVariables(line, environment));
  }
  return patterns;
}

/** A text file as a string, without its byte order mark; bytes that are not UTF-8 become PEP 383 surrogates. */
export function decodeText(data: Uint8Array): string {
  const [first, second, third] = data;
  if (first === 0xef && second === 0xbb && third === 0xbf) return pathFromBytes(data.subarray(3));
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le').decode(data);
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be').decode(data);
  return pathFromBytes(data);
}

/** Go's `os.Expand`: malformed `${` and `${}` vanish, a dollar sign without a name stays. */
function expandVariables(text: string, environment: Environment): string {
  return text.replace(VARIABLE, (_all, braced?: string, open?: string, special?: string, name?: string) => {
    const variable = braced ?? special ?? name;
    if (open !== undefined || variable === undefined || variable === '') return '';
    if (variable === '$') return '$';
    return (Object.hasOwn(environment, variable) ? environment[variable] : undefined) ?? '';
  });
}
