import { spawn } from 'node:child_process';

/** What a program printed, stdout and stderr as they came, and how it ended. */
export interface Outcome {
  readonly output: string;
  readonly ok: boolean;
}

/** Runs one of the project's tools (or any program on PATH) and collects what it prints. Rejects when it is not there. */
export function run(command: string, args: readonly string[], cwd?: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', reject);
    child.once('close', (status) => resolve({ output: Buffer.concat(chunks).toString(), ok: status === 0 }));
  });
}
