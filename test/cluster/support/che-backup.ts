/** The program che-backup as people call it, at the API server of a test. */
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CliAnswer, CliRequest } from '../../support/cli-program.ts';
import { makeTempDir } from '../../support/temp-dir.ts';

const SERVER = fileURLToPath(new URL('../../support/cli-program.ts', import.meta.url));
const MAIN = fileURLToPath(new URL('../../../packages/cli/src/che/main.ts', import.meta.url));

type Env = Readonly<Record<string, string>>;

export interface CheRun {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The messages of a run with `--json`. */
  messages(): Record<string, unknown>[];
}

export interface CheBackup extends Disposable {
  /** Runs a command in a process that runs many, for starting Node costs the most. They wait for one another. */
  run(words: readonly string[], env?: Env): Promise<CheRun>;
  /** Runs a command on a pseudo terminal and types each answer when its question is there. */
  onTerminal(words: readonly string[], answers?: readonly Answer[], env?: Env): Promise<Omit<CheRun, 'stderr'>>;
  /** Starts a command that runs until it is stopped. */
  start(words: readonly string[], env?: Env): Running;
  /** Everything that was printed so far. */
  printed(): string;
}

export interface Running extends AsyncDisposable {
  /** What it has printed. */
  printed(): string;
  /** Asks it to stop; resolves with its exit status. */
  stop(): Promise<number | null>;
}

export interface Answer {
  readonly question: RegExp;
  /** Keys as a terminal sends them. */
  readonly keys: string;
}

/** Every command is told of the kubeconfig, and of no setting of this machine. */
export function startCheBackup(kubeconfig: string): CheBackup {
  const home = makeTempDir();
  const child = fork(SERVER, ['che'], {
    execArgv: process.execArgv,
    cwd: home.path,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const waiting: PromiseWithResolvers<CheRun>[] = [];
  let printed = '';
  child.on('message', ({ status, stdout, stderr }: CliAnswer) => {
    const text = (base64: string): string => Buffer.from(base64, 'base64').toString();
    const run = { status, stdout: text(stdout), stderr: text(stderr), messages: () => messages(text(stdout)) };
    printed += run.stdout + run.stderr;
    waiting.shift()?.resolve(run);
  });
  child.once('exit', (code) => {
    for (const each of waiting) each.reject(new Error(`che-backup ended with ${String(code)}`));
  });
  const args = (words: readonly string[]): string[] => ['--kubeconfig', kubeconfig, ...words];
  return {
    run(words, env = {}) {
      const answer = Promise.withResolvers<CheRun>();
      waiting.push(answer);
      child.send({ words: args(words), env } satisfies CliRequest);
      return answer.promise;
    },
    async onTerminal(words, answers = [], env = {}) {
      const run = await runOnTerminal(args(words), answers, env);
      printed += run.stdout;
      return run;
    },
    start: (words, env = {}) => startProgram(args(words), env, (text) => void (printed += text)),
    printed: () => printed,
    [Symbol.dispose]() {
      child.kill('SIGKILL');
      home[Symbol.dispose]();
    },
  };
}

function messages(text: string): Record<string, unknown>[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

function startProgram(words: readonly string[], env: Env, onText: (text: string) => void): Running {
  const child = spawn(process.execPath, ['--conditions=@restic-engine/source', MAIN, ...words], {
    env: { ...environment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      onText(text);
    });
  }
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return {
    printed: () => printed,
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** With nothing of this machine in it but what a program needs to start. */
function environment(): Record<string, string> {
  const { PATH = '', TMPDIR, NODE_COMPILE_CACHE } = process.env;
  const passed = { ...(TMPDIR && { TMPDIR }), ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }) };
  return { PATH, HOME: '/nonexistent', ...passed };
}

/** `script` of util-linux makes the terminal and passes on the exit status. */
function runOnTerminal(
  words: readonly string[],
  answers: readonly Answer[],
  env: Env,
): Promise<Omit<CheRun, 'stderr'>> {
  const program = [process.execPath, '--conditions=@restic-engine/source', MAIN, ...words].map(quote).join(' ');
  const line = `stty cols 200 rows 40 && exec ${program}`;
  const child = spawn('script', ['--quiet', '--return', '--command', line, '/dev/null'], {
    env: { ...environment(), TERM: 'xterm-256color', SHELL: '/bin/sh', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const left = [...answers];
  let seen = '';
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    seen += text;
    const [next] = left;
    if (next === undefined || !next.question.test(seen)) return;
    left.shift();
    seen = '';
    child.stdin.write(next.keys);
  });
  child.stdin.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve({ status: status ?? -1, stdout, messages: () => messages(stdout) }));
  });
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
