/** A line made by a program that speaks SFTP on its standard input and output, as `ssh HOST -s sftp` does. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { EngineError } from '@restic-engine/repo-format';
import type { Code } from '@restic-engine/repo-format';
import type { Line } from './line.ts';
import type { Pipe } from './protocol/pipe.ts';
import { printable } from './protocol/status.ts';

/** How long the program may take to end by itself, as in restic. */
const PATIENCE_MS = 2000;
/** Of what the program says on stderr the last so many characters are kept. */
const MAX_WORDS = 2000;

/** What OpenSSH's ssh says, and what it means. */
const MEANINGS: readonly (readonly [RegExp, Code])[] = [
  [/Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/, 'untrusted'],
  [/Permission denied \(|Too many authentication failures|no mutual signature/, 'unauthorized'],
];

/** A line for the program `command` with its arguments, which is started for each session. */
export function commandLine(command: readonly string[]): Line {
  const running = new Set<Pipe>();
  return {
    alive: true,
    async open() {
      const pipe = await start(command);
      running.add(pipe);
      void pipe.gone.then(() => running.delete(pipe));
      return pipe;
    },
    async close() {
      await Promise.all([...running].map((pipe) => pipe.close()));
    },
  };
}

async function start(command: readonly string[]): Promise<Pipe> {
  // The program keeps the terminal, to ask for a passphrase, but Ctrl-C is not for it: the repository's lock must still
  // be removed. OpenSSH's ssh leaves SIGINT ignored when it finds it ignored.
  const [program = '', ...args] =
    process.platform === 'win32' ? command : ['/bin/sh', '-c', 'trap "" INT; exec "$@"', 'sh', ...command];
  const child = spawn(program, args, { stdio: 'pipe', windowsHide: true });
  const ended = Promise.withResolvers<EngineError>();
  const words = listenTo(child);
  child.once('error', (error) => {
    ended.resolve(new EngineError('bad-request', `cannot run ${command[0]}: ${error.message}`, {}, { cause: error }));
  });
  child.once('close', (code, signal) => ended.resolve(reasonOf(command, words(), code, signal)));
  return { input: child.stdout, output: child.stdin, gone: ended.promise, close: () => stop(child, ended.promise) };
}

/** Collects the last words of the program. */
function listenTo(child: ChildProcess): () => string {
  let words = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-MAX_WORDS);
  });
  return () => words;
}

function reasonOf(
  command: readonly string[],
  words: string,
  status: number | null,
  signal: string | null,
): EngineError {
  const last = words.split(/[\r\n]+/).filter(Boolean);
  const said = printable(last.slice(-2).join('; '));
  const how = signal === null ? `status ${status}` : signal;
  const code = MEANINGS.find(([pattern]) => pattern.test(words))?.[1] ?? (status === 127 ? 'bad-request' : 'io');
  return new EngineError(code, `${command[0]} ended (${how})${said && `: ${said}`}`, { program: command[0] ?? '' });
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.stdin?.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  await ended;
  clearTimeout(timer);
}
