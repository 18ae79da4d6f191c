/** The output of a command as content to back up. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { addAbortSignal } from 'node:stream';
import { Fatal } from '../failure.ts';

/**
 * Runs a command, without a shell, when reading starts. Throws after its last byte if it did not end well; the signal
 * ends it.
 */
export async function* commandOutput(words: readonly string[], signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const [program = '', ...args] = words;
  const child = spawn(program, args, { stdio: ['inherit', 'pipe', 'inherit'], signal });
  const ended = once(child, 'close');
  // Whoever reads meets the failure below.
  ended.catch(() => undefined);
  try {
    await once(child, 'spawn').catch((error: unknown) => {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
      throw new Fatal(`failed to start command: ${program} (${reason})`);
    });
    // A grandchild may keep the pipe open when the command is gone.
    for await (const chunk of addAbortSignal(signal, child.stdout)) {
      if (chunk instanceof Uint8Array) yield chunk;
    }
    const [status, killer]: unknown[] = await ended;
    if (status !== 0)
      throw new Fatal(`command failed: ${killer === null ? 'exit status' : 'signal'} ${String(killer ?? status)}`);
  } finally {
    child.kill();
  }
}
