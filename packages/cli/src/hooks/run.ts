/** Runs the hooks of a profile. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { Fatal } from '../failure.ts';
import type { Environment } from '../globals.ts';
import type { Hook } from '../profile/hooks.ts';

/** A hook that was told to end has this long. */
const GRACE_MS = 10_000;

/**
 * Runs a hook to its end; what it prints goes to standard error. Rejects when it does not end well. When the signal
 * fires it is told to end, with all processes it has started, and is waited for.
 */
export async function runHook({ name, words, text }: Hook, env: Environment, signal: AbortSignal): Promise<void> {
  const [program = '', ...args] = words;
  // A group of its own, which can be ended as a whole: a shell would leave what it started behind.
  const child = spawn(program, args, { stdio: ['ignore', 2, 2], env: { ...env }, detached: true });
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    endGroup(child, 'SIGTERM');
    timer = setTimeout(() => endGroup(child, 'SIGKILL'), GRACE_MS);
  };
  // A second interrupt does not wait for anything.
  const kill = (): void => endGroup(child, 'SIGKILL');
  // Hooks that run after an interrupt are there to put things in order.
  if (!signal.aborted) signal.addEventListener('abort', end, { once: true });
  process.once('exit', kill);
  try {
    const [status, killer]: unknown[] = await once(child, 'exit').catch((error: unknown) => {
      const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
      throw new Fatal(`${name} failed: cannot run ${program} (${reason})`);
    });
    if (status !== 0) {
      const how = typeof killer === 'string' ? `signal ${killer}` : `exit status ${String(status)}`;
      throw new Fatal(`${name} failed (${how}): ${text}`);
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', end);
    process.off('exit', kill);
  }
}

function endGroup({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    // It is gone, or belongs to somebody else by now, as what sudo runs does: then it can only be waited for.
    const isOut = error instanceof Error && 'code' in error && (error.code === 'ESRCH' || error.code === 'EPERM');
    if (!isOut) throw error;
  }
}
