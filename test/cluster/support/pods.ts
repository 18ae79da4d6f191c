/** Commands in pods of a cluster without nodes: they run on this machine, in the environment that a pod would have. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Cluster, ExecOptions, RunningCommand } from '@restic-engine/che-state';

export interface PodOptions {
  readonly env: Readonly<Record<string, string>>;
  /** Between the command's output and who reads it. */
  readonly stdout?: (output: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
  /** Between who gives it and the command's input. */
  readonly stdin?: (input: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
  /** As with clusters whose protocol cannot say that input has ended. @default false */
  readonly keepsStdinOpen?: boolean;
}

/** `cluster`, but that commands run here. */
export function withPods(cluster: Cluster, options: PodOptions): Cluster {
  return new Proxy(cluster, {
    get(target, key) {
      if (key === 'exec') return (exec: ExecOptions) => run(exec, options);
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function run({ command, stdin, signal }: ExecOptions, options: PodOptions): Promise<RunningCommand> {
  const { env, stdout = (output) => output, stdin: change = (input) => input, keepsStdinOpen = false } = options;
  const [program = '', ...args] = command;
  const child = spawn(program, args, { env });
  let failure: Error | undefined;
  const giveUp = (reason: unknown): void => {
    failure ??= reason instanceof Error ? reason : new Error(String(reason));
    child.kill('SIGKILL');
  };
  signal?.addEventListener('abort', () => giveUp(signal.reason));
  let stderr = '';
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  child.stdin.on('error', () => undefined);
  const feed = async (): Promise<void> => {
    if (stdin === undefined) return void child.stdin.end();
    try {
      for await (const chunk of change(stdin)) await new Promise((resolve) => child.stdin.write(chunk, resolve));
      if (!keepsStdinOpen) child.stdin.end();
    } catch (error) {
      giveUp(error);
    }
  };
  void feed();
  const ended = once(child, 'close').then(([code]: (number | null)[]) => {
    if (failure !== undefined) throw failure;
    return { exitCode: code ?? 137, stderr };
  });
  ended.catch(() => undefined);
  return { stdout: outputOf(stdout(child.stdout), () => failure), ended };
}

async function* outputOf(
  output: AsyncIterable<Uint8Array>,
  failure: () => Error | undefined,
): AsyncGenerator<Uint8Array> {
  yield* output;
  const reason = failure();
  if (reason !== undefined) throw reason;
}
