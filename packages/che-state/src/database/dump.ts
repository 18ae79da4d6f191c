/** Dumps, as they are read. */
import { Buffer } from 'node:buffer';
import { EngineError } from 'restic-engine';
import type { ClusterCall } from '../cluster/cluster.ts';
import type { OpenClient } from './client.ts';
import { failureOf } from './failure.ts';

/** The last words of pg_dump; newer ones lift the restriction of psql's commands after them. */
const END = /(?:^|\n)-- PostgreSQL database dump complete\r?\n--\s*(?:\\unrestrict [\dA-Za-z]+\s*)?$/;
const TAIL = 512;
const LOCK_WAIT_MS = 5 * 60_000;

/** See {@link StateDatabase.dump}. */
export async function* dumpDatabase(open: OpenClient, name: string, call: ClusterCall): AsyncGenerator<Uint8Array> {
  const client = await open(call);
  try {
    const args = ['--no-password', `--lock-wait-timeout=${LOCK_WAIT_MS}`, `--dbname=${client.connection(name)}`];
    const { stdout, ended } = await client.run('pg_dump', args, { signal: call.signal });
    ended.catch(() => undefined);
    let tail = Buffer.alloc(0);
    for await (const chunk of stdout) {
      tail = Buffer.concat([tail, chunk.subarray(-TAIL)]).subarray(-TAIL);
      yield chunk;
    }
    const result = await ended;
    if (result.exitCode !== 0) throw failureOf(`dump the database ${name}`, result);
    if (!END.test(tail.toString('latin1'))) {
      throw new EngineError('database', `the dump of the database ${name} breaks off`, { database: name });
    }
  } finally {
    await client.close();
  }
}
