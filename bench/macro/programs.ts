/** The two programs, told to do the same. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { findPeer } from '../../test/peers/find.ts';
import { measure, type Measured } from './spawn.ts';

export const PASSWORD = 'measured';

export interface Program {
  readonly name: 'restic-engine' | 'restic';
  readonly version: string;
  /** `env` is added to what every run has. */
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Measured>;
}

const root: string = join(import.meta.dirname, '../..');

/** Both programs. Neither has a cache: beside a local repository restic is faster without its own. */
export async function programs(): Promise<readonly [ours: Program, restic: Program]> {
  const command = join(root, 'node_modules/.bin/restic-engine');
  if ((await stat(join(root, 'packages/cli/dist/main.js')).catch(() => undefined)) === undefined) {
    throw new Error('the programs are not built: pnpm build');
  }
  const { peer } = await findPeer('restic', { patient: true });
  if (peer === undefined) throw new Error('there is no restic to measure against: pnpm peers');
  const env = { ...cleanEnvironment(), RESTIC_PASSWORD: PASSWORD };
  const version = (await measure(command, ['version'], env)).stdout.split(' ')[1] ?? 'unknown';
  const runOf =
    (program: string): Program['run'] =>
    (args, more) =>
      measure(program, [...args, '--no-cache'], { ...env, ...more });
  return [
    { name: 'restic-engine', version, run: runOf(command) },
    { name: 'restic', version: peer.version, run: runOf(peer.path) },
  ];
}

/** Nothing that tunes either program. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const tuning = /^(?:RESTIC_|NODE_OPTIONS$|GOMAXPROCS$|GOGC$|UV_THREADPOOL_SIZE$)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !tuning.test(name)));
}
