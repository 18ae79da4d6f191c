/** A command line of ours as a server: runs one command after another and says what each would have printed. */
import process from 'node:process';
import type { run as runType } from '../../packages/cli/src/run.ts';

/** The module of the program, as its folder below that of the command line has it. */
const [, , folder = '.'] = process.argv;
const { run } = (await import(`../../packages/cli/src/${folder}/run.ts`)) as { readonly run: typeof runType };

export interface CliRequest {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface CliAnswer {
  readonly status: number;
  /** Bytes in base64. */
  readonly stdout: string;
  readonly stderr: string;
}

type Write = typeof process.stdout.write;

/** Takes what is written to a stream, until the result is called. */
function capture(stream: NodeJS.WriteStream): () => string {
  const chunks: Buffer[] = [];
  const write: Write = (chunk: string | Uint8Array) => {
    chunks.push(Buffer.from(chunk as string));
    return true;
  };
  const original = stream.write;
  stream.write = write;
  return () => {
    stream.write = original;
    return Buffer.concat(chunks).toString('base64');
  };
}

async function answer({ words, env }: CliRequest): Promise<CliAnswer> {
  // What the zone is, Node and the engine ask the environment of the process.
  process.env['TZ'] = env['TZ'] ?? 'UTC';
  const ends = [capture(process.stdout), capture(process.stderr)];
  const status = await run(words, env);
  const [stdout = '', stderr = ''] = ends.map((end) => end());
  return { status, stdout, stderr };
}

// Each run listens for errors of standard output, as a program that runs once may.
process.stdout.setMaxListeners(0);
let last = Promise.resolve();
process.on('message', (request: CliRequest) => {
  last = last.then(async () => void process.send?.(await answer(request)));
});
