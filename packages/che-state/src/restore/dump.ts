/** Whether a dump is whole, and can be loaded. */
import { EngineError } from 'restic-engine';
import { ScriptLexer } from '../database/script-lexer.ts';

/** What `pg_dump` writes last; in newer versions a short command follows. */
const TRAILER = '-- PostgreSQL database dump complete';
/** Bytes at the end among which it is. */
const TAIL = 1024;

export interface ReadDumpOptions {
  /** Of the database, for errors. */
  readonly name: string;
  /** Is it going to be loaded? What loading would refuse is refused now, while what it replaces is still there. */
  readonly isLoaded: boolean;
  /** Told of the bytes of each piece. */
  readonly read: (bytes: number) => void;
}

/** Reads a whole dump. Rejects with `corrupt` when it breaks off, `database` for commands that are not given to psql. */
export async function readDump(
  dump: AsyncIterable<Uint8Array>,
  { name, isLoaded, read }: ReadDumpOptions,
): Promise<void> {
  const lexer = new ScriptLexer();
  let tail = Buffer.alloc(0);
  for await (const piece of dump) {
    tail = Buffer.concat([tail, piece.subarray(-TAIL)]).subarray(-TAIL);
    if (isLoaded) lexer.push(piece);
    read(piece.length);
  }
  if (tail.includes(TRAILER) && (lexer.complete || !isLoaded)) return;
  throw new EngineError('corrupt', 'the dump of a database in the backup breaks off', { database: name });
}
