import { spawnSync } from 'node:child_process';

const PROGRAM = `
  import { localBackend, openRepository } from 'restic-engine';
  const { PLACE, PASSWORD } = process.env;
  const repository = await openRepository({ backend: await localBackend(PLACE), password: PASSWORD, workers: 0 });
  await repository.lock();
  process.kill(process.pid, 'SIGKILL');`;

/** Leaves a lock in the repository of a folder that nobody holds any more. */
export function dieWithLock(place: string, password: string): void {
  const env = { ...process.env, PLACE: place, PASSWORD: password };
  const args = [...process.execArgv, '--input-type=module', '--eval', PROGRAM];
  const { signal, stderr } = spawnSync(process.execPath, args, { cwd: import.meta.dirname, env, encoding: 'utf8' });
  if (signal !== 'SIGKILL') throw new Error(stderr);
}
