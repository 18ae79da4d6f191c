import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/**
 * Runs a program without a shell and returns what it printed on stdout, or on stderr where that is all. Rejects when it is not there, exits with
 * another status than 0 or takes longer than `seconds`; the message then ends with the last line of its stderr. `env` is
 * added to the environment.
 */
export async function run(
  command: string,
  args: readonly string[],
  seconds: number,
  cwd?: string,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  try {
    const environment = { ...process.env, ...env };
    const options = {
      timeout: seconds * 1000,
      killSignal: 'SIGKILL',
      maxBuffer: 64 << 20,
      cwd,
      env: environment,
    } as const;
    const { stdout, stderr } = await execute(command, args, options);
    return stdout || stderr;
  } catch (error) {
    const { code, killed, stderr } = error as { code?: number | string; killed?: boolean; stderr?: string };
    const why = killed ? `took longer than ${seconds} s` : `failed (${code ?? 'signal'})`;
    const last = stderr?.trim().split('\n').at(-1) ?? '';
    throw new Error(`${command} ${args.at(-1) ?? ''} ${why}${last && `: ${last}`}`, { cause: error });
  }
}
