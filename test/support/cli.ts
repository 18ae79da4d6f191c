import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CliAnswer, CliRequest } from './cli-program.ts';
import { resticCommand } from './restic.ts';
import type { ResticOptions, ResticRun } from './restic.ts';

const PROGRAM = fileURLToPath(new URL('cli-program.ts', import.meta.url));

/** Our command line in one process for many commands, for tests that run hundreds: starting Node costs the most. */
export interface Cli extends Disposable {
  /** Runs a command as restic is run; commands wait for one another. */
  run(args: readonly string[], options?: Partial<ResticOptions>): Promise<ResticRun>;
}

export function startCli(defaults: ResticOptions): Cli {
  // With the options of this process: the threads of many commands come and go in it, too (see vitest.config.ts).
  const child = fork(PROGRAM, { execArgv: process.execArgv, cwd: defaults.cwd });
  const waiting: PromiseWithResolvers<ResticRun>[] = [];
  child.on('message', ({ status, stdout, stderr }: CliAnswer) => {
    const text = (base64: string): string => Buffer.from(base64, 'base64').toString();
    waiting.shift()?.resolve({ status, stdout: text(stdout), stderr: text(stderr) });
  });
  child.once('exit', (code) => {
    for (const each of waiting) each.reject(new Error(`the command line ended with ${String(code)}`));
  });
  return {
    run(words, options) {
      const { args, env } = resticCommand(words, { ...defaults, ...options });
      const answer = Promise.withResolvers<ResticRun>();
      waiting.push(answer);
      child.send({ words: args, env } satisfies CliRequest);
      return answer.promise;
    },
    // A command that a failed test left behind would end in good order first.
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}
