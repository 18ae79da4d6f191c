import process from 'node:process';
import { run } from '../../packages/cli/src/run.ts';
import type { ResticRun } from './restic.ts';

// The command line without a process of its own, which takes most of the time of a short command.

/** Runs our command line in this process; one at a time, since what it prints is caught where the process prints. */
export async function runHere(words: readonly string[], env: Readonly<Record<string, string>>): Promise<ResticRun> {
  const listeners = process.stdout.listeners('error');
  const [stdout, stderr] = [catchOutput(process.stdout), catchOutput(process.stderr)];
  try {
    const status = await run(words, env);
    return { status, stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    stdout.restore();
    stderr.restore();
    // It listens until its process ends.
    for (const listener of process.stdout.listeners('error')) {
      if (!listeners.includes(listener)) process.stdout.off('error', listener as () => void);
    }
  }
}

function catchOutput(stream: NodeJS.WriteStream): { text(): string; restore(): void } {
  const chunks: Buffer[] = [];
  const { write } = stream;
  stream.write = (chunk: string | Uint8Array): boolean => {
    chunks.push(Buffer.from(chunk as string));
    return true;
  };
  return {
    text: () => Buffer.concat(chunks).toString(),
    restore: () => {
      stream.write = write;
    },
  };
}
