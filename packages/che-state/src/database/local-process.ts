/** Programs of this machine. */
import { Buffer } from 'node:buffer';
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import type { Writable } from 'node:stream';
import { EngineError } from 'restic-engine';
import type { RunningCommand } from '../cluster/cluster.ts';
import type { Program, RunOptions } from './client.ts';

/** What is kept of standard error, in bytes. */
const MAX_STDERR = 16 * 1024;

/** Starts a program with nothing of PostgreSQL's in its environment. Rejects with `unsupported` where it is not installed. */
export async function startProgram(
  program: Program,
  args: readonly string[],
  { stdin, signal }: RunOptions,
): Promise<RunningCommand> {
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, LC_ALL: 'C' };
  const child = spawn(program, args, { stdio: 'pipe', env });
  try {
    await once(child, 'spawn');
  } catch (error) {
    throw notStarted(program, error);
  }
  return new LocalProgram(program, child, stdin, signal).command();
}

function notStarted(program: Program, error: unknown): EngineError {
  const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
  const how = "install PostgreSQL's client programs (postgresql-client in Debian, postgresql in Fedora)";
  return missing
    ? new EngineError('unsupported', `${program} is not installed: ${how}`, { program }, { cause: error })
    : new EngineError('io', `cannot start ${program}`, { program }, { cause: error });
}

class LocalProgram {
  readonly #name: Program;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #signal: AbortSignal | undefined;
  readonly #ended: RunningCommand['ended'];
  /** Why it was killed from here. */
  #reason: Error | undefined;
  #stderr: Buffer = Buffer.alloc(0);

  constructor(
    name: Program,
    child: ChildProcessWithoutNullStreams,
    stdin: AsyncIterable<Uint8Array> | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#name = name;
    this.#child = child;
    this.#signal = signal;
    child.stderr.on('data', (data: Buffer) => {
      this.#stderr = Buffer.concat([this.#stderr, data]).subarray(-MAX_STDERR);
    });
    // It may end before it has read everything, and its status tells why.
    child.stdin.on('error', () => undefined);
    this.#ended = this.#end();
    this.#ended.catch(() => undefined);
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.#abort();
    void this.#feed(stdin);
  }

  command(): RunningCommand {
    return { stdout: this.#stdout(), ended: this.#ended };
  }

  readonly #abort = (): void => {
    const cause: unknown = this.#signal?.reason;
    this.#kill(new EngineError('aborted', 'the operation was aborted', {}, { cause }));
  };

  #kill(reason: unknown): void {
    this.#reason ??= reason instanceof Error ? reason : new Error(`${this.#name} got no input`, { cause: reason });
    this.#child.kill('SIGKILL');
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
  }

  async #feed(stdin: AsyncIterable<Uint8Array> | undefined): Promise<void> {
    const { stdin: input } = this.#child;
    try {
      for await (const chunk of stdin ?? []) {
        if (input.destroyed) return;
        if (!input.write(chunk)) await drained(input);
      }
    } catch (error) {
      this.#kill(error);
      return;
    }
    input.end();
  }

  async *#stdout(): AsyncGenerator<Uint8Array> {
    let finished = false;
    try {
      for await (const chunk of this.#child.stdout) yield toBytes(chunk);
      finished = true;
    } catch (error) {
      finished = true;
      throw this.#reason ?? error;
    } finally {
      if (!finished) this.#kill(new EngineError('aborted', `nobody reads what comes of ${this.#name}`));
    }
    if (this.#reason !== undefined) throw this.#reason;
  }

  async #end(): Promise<Awaited<RunningCommand['ended']>> {
    const [exitCode, killedBy] = await new Promise<[number | null, string | null]>((resolve) => {
      this.#child.once('close', (code, by) => resolve([code, by]));
    });
    this.#signal?.removeEventListener('abort', this.#abort);
    if (this.#reason !== undefined) throw this.#reason;
    if (exitCode === null) throw new EngineError('io', `${this.#name} was killed by ${killedBy ?? 'something'}`);
    return { exitCode, stderr: this.#stderr.toString('utf8') };
  }
}

/** Or closed, whatever for. */
function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
    if (stream.closed) done();
  });
}

function toBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError('a stream without an encoding gives bytes');
}
