import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Place } from '../servers/server.ts';
import { resticAt, resticCommand } from './restic.ts';
import type { Restic, ResticOptions, ResticRun } from './restic.ts';
import { makeTempDir, type TempDir } from './temp-dir.ts';

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

/** restic and our command line at one repository, run in a directory of their own. */
export interface Programs extends TempDir {
  readonly restic: Restic;
  /** Runs ours as restic is run. */
  ours(...args: string[]): Promise<ResticRun>;
  theirs(...args: string[]): Promise<ResticRun>;
}

export interface ProgramsOptions {
  /** Where the repository is, as each is told of it; default: `repo` in the directory. */
  readonly places?: { readonly ours: Place; readonly theirs: Place };
  /** Whether each has a cache, in `cache of ours` and `cache of restic` in the directory. */
  readonly caches?: boolean;
}

export function makePrograms(peer: Parameters<typeof resticAt>[0], options: ProgramsOptions = {}): Programs {
  const { places, caches = false } = options;
  const dir = makeTempDir();
  const accessOf = (place: Place | undefined): ResticOptions => {
    if (place === undefined) return { repo: join(dir.path, 'repo') };
    return { repo: place.location, env: place.env, options: place.options };
  };
  const cacheOf = (name: string): { cache?: string } => (caches ? { cache: join(dir.path, `cache of ${name}`) } : {});
  const restic = resticAt(peer, { ...accessOf(places?.theirs), ...cacheOf('restic'), cwd: dir.path });
  const ours: Programs['ours'] = (...words) => {
    const { args, env } = resticCommand(words, { ...accessOf(places?.ours), ...cacheOf('ours') });
    return start(process.execPath, ['--conditions=@restic-engine/source', MAIN, ...args], dir.path, env);
  };
  return { ...dir, [Symbol.dispose]: dir[Symbol.dispose], restic, ours, theirs: (...args) => restic.run(args) };
}

/** Asks both at once. */
export function both({ ours, theirs }: Programs, ...words: string[]): Promise<[ResticRun, ResticRun]> {
  return Promise.all([ours(...words), theirs(...words)]);
}

/** Both print the same and end alike. */
export async function expectSame(programs: Programs, ...words: string[]): Promise<void> {
  const [own, other] = await both(programs, ...words);
  expect(own, words.join(' ')).toEqual(other);
}

/** Both print the same values, one a line, with `--json`; letters that both may escape need not be escaped alike. */
export async function expectSameJson(programs: Programs, ...words: string[]): Promise<void> {
  const [own, other] = await both(programs, ...words, '--json');
  expect(valuesOf(own), words.join(' ')).toEqual(valuesOf(other));
}

function valuesOf({ status, stdout, stderr }: ResticRun): unknown {
  const lines = stdout.split('\n').filter((line) => line !== '');
  return { status, stderr, values: lines.map((line): unknown => JSON.parse(line)) };
}

function start(program: string, args: readonly string[], cwd: string, env: Record<string, string>): Promise<ResticRun> {
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => {
      resolve({ status, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() });
    });
  });
}
