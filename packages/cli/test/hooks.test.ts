import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { runHook } from '../src/hooks/run.ts';
import type { Hook } from '../src/profile/hooks.ts';
import { isAlive } from './alive.ts';
import { makeTempDir } from './temp-dir.ts';

const hook = (...words: string[]): Hook => ({ name: 'run-before', words, text: words.join(' ') });
const shell = (text: string): Hook => ({ name: 'run-before', words: ['/bin/sh', '-c', text], text });
const never = new AbortController().signal;

async function until(done: () => boolean): Promise<void> {
  for (let waited = 0; !done(); waited += 20) {
    if (waited > 10_000) throw new Error('waited in vain');
    await pause(20);
  }
}

describe('a hook', () => {
  it('has the environment it is given, and that alone', async () => {
    using dir = makeTempDir();
    const file = join(dir.path, 'out');
    await runHook(shell('env > "$FILE"'), { FILE: file, A: 'b c', PATH: process.env['PATH'], NONE: undefined }, never);
    const text = readFileSync(file, 'utf8');
    expect(text).toContain('A=b c\n');
    expect(text).not.toContain('NONE');
    expect(text).not.toContain('VITEST');
  });

  it.each([
    [shell('exit 7'), 'run-before failed (exit status 7): exit 7'],
    [shell('kill -9 $$'), 'run-before failed (signal SIGKILL): kill -9 $$'],
    [hook('/nonexistent/program', 'x'), 'run-before failed: cannot run /nonexistent/program (ENOENT)'],
  ])('that fails says how: %j', async (failing, message) => {
    await expect(runHook(failing, {}, never)).rejects.toThrow(message);
  });

  it('has nothing to read', async () => {
    await expect(runHook(shell('! read line'), {}, never)).resolves.toBeUndefined();
  });

  it('is ended with all it has started, and waited for', async () => {
    using dir = makeTempDir();
    const [pids, ended] = [join(dir.path, 'pids'), join(dir.path, 'ended')];
    const interrupt = new AbortController();
    // The shell itself takes its time after the signal; what it has started must not go on.
    const text =
      'trap "sleep 0.2; touch $ENDED; exit 1" TERM; sleep 300 & echo "$$ $!" > "$PIDS.new"; mv "$PIDS.new" "$PIDS"; wait';
    const running = runHook(shell(text), { PIDS: pids, ENDED: ended, PATH: process.env['PATH'] }, interrupt.signal);
    running.catch(() => undefined);
    await until(() => existsSync(pids));
    const [, child] = readFileSync(pids, 'utf8').split(/\s/).map(Number);
    expect(isAlive(child ?? 0)).toBe(true);
    interrupt.abort();
    await expect(running).rejects.toThrow('run-before failed');
    expect(existsSync(ended)).toBe(true);
    await until(() => !isAlive(child ?? 0));
  });

  it('runs to its end after an interrupt that came before it', async () => {
    using dir = makeTempDir();
    const file = join(dir.path, 'done');
    const env = { FILE: file, PATH: process.env['PATH'] };
    await runHook(shell('sleep 0.1; touch "$FILE"'), env, AbortSignal.abort());
    expect(existsSync(file)).toBe(true);
  });
});
