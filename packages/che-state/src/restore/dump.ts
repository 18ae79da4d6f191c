/** Whether a dump is whole. */
import { EngineError } from 'restic-engine';

/** What `pg_dump` writes last; in newer versions a short command follows. */
const TRAILER = '-- PostgreSQL database dump complete';
/** Bytes at the end among which it is. */
const TAIL = 1024;

/** Reads a whole dump. Rejects with `corrupt` when it breaks off. */
export async function readDump(
  dump: AsyncIterable<Uint8Array>,
  name: string,
  read: (bytes: number) => void,
): Promise<void> {
  let tail = Buffer.alloc(0);
  for await (const piece of dump) {
    tail = Buffer.concat([tail, piece.subarray(-TAIL)]).subarray(-TAIL);
    read(piece.length);
  }
  if (tail.includes(TRAILER)) return;
  throw new EngineError('corrupt', 'the dump of a database in the backup breaks off', { database: name });
}
