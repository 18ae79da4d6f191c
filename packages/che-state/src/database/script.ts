/** A dump on its way to psql. */
import { randomBytes } from 'node:crypto';
import { EngineError } from 'restic-engine';
import { ScriptLexer } from './script-lexer.ts';

export interface Script {
  /** What psql reads. Rejects with `database` for a dump that breaks off or has commands for psql in it. */
  readonly input: AsyncIterable<Uint8Array>;
  /** The line of the dump's first one. */
  readonly firstLine: number;
  /** psql prints this when it has read everything. */
  readonly proof: string;
}

/** `restricted`: psql knows `\restrict`, after which it takes no command of its own but its end. */
export function scriptOf(dump: AsyncIterable<Uint8Array>, restricted: boolean): Script {
  const key = randomBytes(32).toString('hex');
  const proof = randomBytes(16).toString('hex');
  const [before, after] = restricted ? [`\\restrict ${key}\n`, `\\unrestrict ${key}\n`] : ['', ''];
  // Where standard input cannot be closed psql must be told that this was all.
  const last = `\nSELECT '${proof}';\n${after}\\q\n`;
  return { input: inputOf(dump, before, last), firstLine: restricted ? 2 : 1, proof };
}

async function* inputOf(dump: AsyncIterable<Uint8Array>, before: string, after: string): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  const lexer = new ScriptLexer();
  if (before !== '') yield encoder.encode(before);
  for await (const chunk of dump) yield* lexer.push(chunk);
  if (!lexer.complete) throw new EngineError('database', 'the dump breaks off: its last words are missing');
  yield encoder.encode(after);
}

/** Has this psql learned `\restrict`? Its answer to `--version` tells. */
export function knowsRestrict(version: string): boolean {
  const [, major = '0', minor = '0'] = /\b(\d+)\.(\d+)/.exec(version) ?? /\b(\d+)/.exec(version) ?? [];
  const first = new Map([
    [13, 22],
    [14, 19],
    [15, 14],
    [16, 10],
    [17, 6],
  ]).get(Number(major));
  return first === undefined ? Number(major) >= 18 : Number(minor) >= first;
}
