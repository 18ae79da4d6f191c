import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { resticCommand } from './restic.ts';
import type { ResticOptions } from './restic.ts';

// Our command line on a pseudo terminal, which `script` of util-linux makes.

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

export interface TerminalOptions extends ResticOptions {
  /** Columns of the terminal. */
  readonly columns: number;
}

/** Everything the program writes, as a terminal gets it: `\r\n` for a line end. */
export function onTerminal(words: readonly string[], { columns, ...options }: TerminalOptions): Promise<string> {
  const { args, env } = resticCommand(words, options);
  const program = [process.execPath, '--conditions=@restic-engine/source', MAIN, ...args].map(quote).join(' ');
  const line = `stty cols ${columns} rows 40 && exec ${program}`;
  const child = spawn('script', ['--quiet', '--command', line, '/dev/null'], {
    cwd: options.cwd,
    // Without a shell that it knows, script takes that of the user.
    env: { TERM: 'xterm-256color', SHELL: '/bin/sh', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve(Buffer.concat(chunks).toString()));
  });
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
