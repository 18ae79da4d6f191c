/** What PostgreSQL's programs say when they fail: they quote statements and rows, of which nothing may be shown. */
import { EngineError } from 'restic-engine';
import type { Code } from 'restic-engine';

export interface Failed {
  readonly exitCode: number;
  readonly stderr: string;
}

/** Severity and SQLSTATE, as psql's verbosity `verbose` has them, and the line of the script where there is one. */
const STATEMENT = /^(?:psql:[^\n]*?:(\d+): )?(\p{Lu}+): {2}([\dA-Z]{5}): /mu;

/** PostgreSQL's manual, "PostgreSQL Error Codes"; what is not here is `database`. */
const BY_STATE: readonly (readonly [prefix: string, code: Code])[] = [
  ['28', 'unauthorized'],
  ['42501', 'denied'],
  ['53100', 'no-space'],
  ['3D000', 'not-found'],
  ['57P', 'io'],
  ['08', 'io'],
];

/** Before there is a session there is no SQLSTATE. */
const BY_WORDS: readonly (readonly [words: RegExp, code: Code, why: string])[] = [
  [
    /password authentication failed|no password supplied|authentication failed/i,
    'unauthorized',
    'it does not accept user and password',
  ],
  [/no pg_hba\.conf entry/i, 'denied', 'it does not admit this user from here (pg_hba.conf)'],
  [
    /certificate verify failed|does not match host name|root certificate file/i,
    'untrusted',
    'its TLS certificate is not trusted',
  ],
  [/does not support SSL/i, 'untrusted', 'it does not speak TLS'],
  [
    /server version mismatch|aborting because of/i,
    'unsupported',
    'it is newer than the pg_dump that is installed here',
  ],
  [/database "[^\n]*" does not exist/i, 'not-found', 'there is no such database'],
  [/role "[^\n]*" does not exist/i, 'unauthorized', 'there is no such user'],
  [/permission denied/i, 'denied', 'its user lacks permissions'],
  [
    /could not connect|connection to server|could not translate host name|timeout expired|server closed the connection/i,
    'io',
    'it cannot be reached',
  ],
];

/** An error for a program that ended badly. `doing` says what it was to do, such as `dump the database dbche`. */
export function failureOf(doing: string, { exitCode, stderr }: Failed, firstLine = 1): EngineError {
  const [, lineText, severity, sqlState = ''] = STATEMENT.exec(stderr) ?? [];
  if (severity !== undefined) {
    const code = BY_STATE.find(([prefix]) => sqlState.startsWith(prefix))?.[1] ?? 'database';
    const line = lineText === undefined ? undefined : Number(lineText) - firstLine + 1;
    const where = line === undefined ? '' : ` at line ${line} of the dump`;
    const context = { exitCode, sqlState, ...(line !== undefined && { line }) };
    return new EngineError(code, `cannot ${doing}: PostgreSQL says ${severity} ${sqlState}${where}`, context);
  }
  // What shells say.
  if (exitCode === 126 || exitCode === 127) {
    return new EngineError('unsupported', `cannot ${doing}: there is no such program`, { exitCode });
  }
  const [, code, why] = BY_WORDS.find(([words]) => words.test(stderr)) ?? [];
  if (code === undefined) return new EngineError('database', `cannot ${doing}: exit status ${exitCode}`, { exitCode });
  return new EngineError(code, `cannot ${doing}: ${why ?? ''}`, { exitCode });
}
