import { spawn } from 'node:child_process';
import type { Peer } from '../peers/peers.ts';

export const PASSWORD = 'correct horse battery staple';

export interface ResticOptions {
  readonly repo: string;
  /** Extended options, each for an `-o`. */
  readonly options?: readonly string[];
  /** Folder of the cache; none without. */
  readonly cache?: string;
  readonly password?: string;
  readonly cwd?: string;
  /** More environment variables, `TZ` for one. */
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
}

export interface ResticRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One JSON message of restic; tests look at what they know to be there. */
// oxlint-disable-next-line typescript/no-explicit-any -- a foreign program's output
export type Message = Record<string, any>;

/** The real restic at one repository. */
export interface Restic {
  /** Runs restic and resolves however it ends. */
  run(args: readonly string[], options?: Partial<ResticOptions>): Promise<ResticRun>;
  /** Runs restic, which must succeed, and resolves with what it printed. */
  ok(args: readonly string[], options?: Partial<ResticOptions>): Promise<string>;
  /** The same with `--json`: one message a line. */
  json(args: readonly string[], options?: Partial<ResticOptions>): Promise<Message[]>;
  /** Backs up and resolves with the summary message. */
  backup(args: readonly string[], options?: Partial<ResticOptions>): Promise<Message>;
}

export function resticAt(peer: Peer, defaults: ResticOptions): Restic {
  const run: Restic['run'] = (args, options) => start(peer, args, { ...defaults, ...options });
  const ok: Restic['ok'] = async (args, options) => {
    const { status, stdout, stderr } = await run(args, options);
    if (status !== 0) throw new Error(`restic ${args.join(' ')}: exit ${status}\n${stderr}${stdout.slice(-2000)}`);
    return stdout;
  };
  const json: Restic['json'] = async (args, options) => {
    const lines = (await ok([...args, '--json'], options)).split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Message);
  };
  const backup: Restic['backup'] = async (args, options) => {
    const summary = (await json(['backup', ...args], options)).find((each) => each['message_type'] === 'summary');
    if (summary === undefined) throw new Error('restic backup printed no summary');
    return summary;
  };
  return { run, ok, json, backup };
}

/** The words after the program's name, and the environment in which no setting of this machine counts. */
export function resticCommand(
  args: readonly string[],
  { repo, options = [], cache, password = PASSWORD, env = {} }: ResticOptions,
): { args: string[]; env: Record<string, string> } {
  const { PATH = '', TMPDIR, NODE_COMPILE_CACHE } = process.env;
  const passed = { ...(TMPDIR && { TMPDIR }), ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }) };
  const caching = cache === undefined ? ['--no-cache'] : ['--cache-dir', cache];
  return {
    args: [...caching, '--repo', repo, ...options.flatMap((option) => ['-o', option]), ...args],
    env: { PATH, HOME: '/nonexistent', ...passed, RESTIC_PASSWORD: password, ...env },
  };
}

function start(peer: Peer, words: readonly string[], options: ResticOptions): Promise<ResticRun> {
  const { args, env } = resticCommand(words, options);
  return new Promise((resolve, reject) => {
    const child = spawn(peer.path, args, { cwd: options.cwd, env });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // It may end without having read all of its input.
    child.stdin.on('error', (error: NodeJS.ErrnoException) => error.code === 'EPIPE' || reject(error));
    child.stdin.end(options.input);
    child.once('error', reject);
    child.once('close', (status) => {
      resolve({ status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
  });
}
