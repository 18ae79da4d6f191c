import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { initRepository, localBackend, openRepository } from 'restic-engine';

export const PASSWORD = 'correct horse';
/** Cheap to derive; any legal cost interoperates. */
const CHEAP = { N: 128, r: 1, p: 1 };
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

const CONDITIONS = ['--conditions=@restic-engine/source'];

export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** More arguments for node itself. */
  readonly node?: readonly string[];
  /** Called when the program has started. */
  onStart?(child: ReturnType<typeof spawn>): void;
}

/** Runs the program from its sources, in an environment in which no setting of this machine counts. */
export function runProgram(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return start(process.execPath, [...CONDITIONS, ...(options.node ?? []), MAIN, ...args], options);
}

/** Runs a line of the shell, in which `"$0" "$@"` is the program. */
export function runShell(line: string, options: RunOptions = {}): Promise<Run> {
  return start('sh', ['-c', line, process.execPath, ...CONDITIONS, MAIN], options);
}

function start(program: string, words: readonly string[], options: RunOptions): Promise<Run> {
  const { PATH = '', TMPDIR, NODE_COMPILE_CACHE } = process.env;
  const passed = { ...(TMPDIR && { TMPDIR }), ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }) };
  const child = spawn(program, words, {
    cwd: options.cwd,
    env: { PATH, TZ: 'UTC', ...passed, RESTIC_PASSWORD: PASSWORD, ...options.env },
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined);
  if (options.onStart === undefined) child.stdin.end(options.input);
  else options.onStart(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      resolve({ status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
  });
}

/** A new repository in a folder. */
export async function initAt(path: string): Promise<void> {
  await initRepository({ backend: localBackend(path), password: PASSWORD, kdf: CHEAP });
}

/** Does something while this process holds an exclusive lock. */
export async function whileLocked(path: string, work: () => Promise<void>): Promise<void> {
  const repository = await openRepository({ backend: localBackend(path), password: PASSWORD, workers: 0 });
  const lock = await repository.lock({ exclusive: true });
  try {
    await work();
  } finally {
    await lock[Symbol.asyncDispose]();
    await repository[Symbol.asyncDispose]();
  }
}

/** The messages of a program that prints one a line. */
export function messages(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
