/** Programs that run while a test does, and not a moment longer. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';

export interface DaemonOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Found in what it prints once it listens; the first group, if there is one, is the port. */
  readonly ready: RegExp;
}

export interface Daemon extends AsyncDisposable {
  readonly pid: number;
  /** What {@link DaemonOptions.ready} found; 0 where it has no group. */
  readonly port: number;
  /** Ends it as a crash would, and resolves when it is gone. Doing it twice is harmless. */
  kill(): Promise<void>;
}

/** As much as anybody wants to read of one that failed. */
const LOG_BYTES = 16_384;
const PATIENCE_MS = 30_000;
/** Ends a program with the process that started it, however that ends; of util-linux. */
const SETPRIV = '/usr/bin/setpriv';

/** What one program prints. */
interface Log {
  readonly name: string;
  text: string;
  ended: boolean;
}

const running = new Set<ChildProcess>();
let logs: Log[] = [];

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** What the programs that have run since this was last asked have printed since. */
export function takeLogs(): string {
  const text = logs.map((log) => `--- ${log.name}\n${log.text}`).join('\n');
  logs = logs.filter((log) => !log.ended);
  for (const log of logs) log.text = '';
  return text;
}

/** Starts a program and resolves when it listens. Rejects with what it printed when it ends before that. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { command, args, cwd, env } = options;
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  const [program, words] = existsSync(SETPRIV)
    ? [SETPRIV, ['--pdeathsig', 'KILL', command, ...args]]
    : [command, [...args]];
  const child = spawn(program, words, {
    cwd,
    env: { PATH, NODE_COMPILE_CACHE, HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const log: Log = { name: `${command} ${args.join(' ')}`, text: '', ended: false };
  logs.push(log);
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      running.delete(child);
      log.ended = true;
      resolve();
    });
  });
  const kill = (): Promise<void> => {
    child.kill('SIGKILL');
    return ended;
  };
  const port = await readyAt(child, log, options.ready).catch(async (error: unknown) => {
    await kill();
    throw error;
  });
  return { pid: child.pid ?? 0, port, kill, [Symbol.asyncDispose]: kill };
}

function readyAt(child: ChildProcess, log: Log, ready: RegExp): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${log.name} does not get ready:\n${log.text}`)), PATIENCE_MS);
    const onData = (chunk: Buffer): void => {
      log.text = (log.text + chunk.toString()).slice(-LOG_BYTES);
      const found = ready.exec(log.text);
      if (found === null) return;
      clearTimeout(timer);
      resolve(Number(found[1] ?? 0));
    };
    child.stdout?.on('data', onData);
    child.stderr?.on('data', onData);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (status) => {
      clearTimeout(timer);
      reject(new Error(`${log.name} ended (${status}) before it was ready:\n${log.text}`));
    });
  });
}
