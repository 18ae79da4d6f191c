import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Place } from '../servers/server.ts';
import { resticAt, resticCommand } from './restic.ts';
import type { Restic, ResticRun } from './restic.ts';
import { makeTempDir, type TempDir } from './temp-dir.ts';

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

/** restic and our command line at one repository, run in a directory of their own. */
export interface Programs extends TempDir {
  readonly restic: Restic;
  /** Runs ours as restic is run. */
  ours(...args: string[]): Promise<ResticRun>;
  theirs(...args: string[]): Promise<ResticRun>;
}

/** Both at `repo` in a directory of their own, or at a place on a server. */
export function makePrograms(peer: Parameters<typeof resticAt>[0], place?: Place): Programs {
  const dir = makeTempDir();
  const { location: repo, ...access } = place ?? { location: join(dir.path, 'repo') };
  const restic = resticAt(peer, { repo, ...access, cwd: dir.path });
  const ours: Programs['ours'] = (...words) => {
    const { args, env } = resticCommand(words, { repo, ...access });
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
