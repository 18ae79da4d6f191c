/** PostgreSQL's own programs, wherever they run. */
import type { ClusterCall, RunningCommand } from '../cluster/cluster.ts';

export type Program = 'pg_dump' | 'psql';

export interface RunOptions extends ClusterCall {
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
}

/** Runs programs against one server. */
export interface DatabaseClient {
  /** What `--dbname` gets for this database. */
  connection(database: string): string;
  run(program: Program, args: readonly string[], options: RunOptions): Promise<RunningCommand>;
  /** Ends what belongs to the client; programs that run are those of their callers. */
  close(): Promise<void>;
}

/** Reaches a server. Rejects as {@link StateDatabase.dump} does. */
export type OpenClient = (call: ClusterCall) => Promise<DatabaseClient>;

export interface Output {
  readonly stdout: string;
  readonly exitCode: number;
  readonly stderr: string;
}

/** More than any answer that is waited for. */
const MAX_OUTPUT = 1024 * 1024;

/** Runs a program to its end; its standard output is kept from its end, at most 1 MiB. */
export async function runToEnd(
  client: DatabaseClient,
  program: Program,
  args: readonly string[],
  options: RunOptions,
): Promise<Output> {
  const { stdout, ended } = await client.run(program, args, options);
  // Awaited below; a failure before that is not unhandled.
  ended.catch(() => undefined);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of stdout) text = (text + decoder.decode(chunk, { stream: true })).slice(-MAX_OUTPUT);
  return { stdout: text + decoder.decode(), ...(await ended) };
}
