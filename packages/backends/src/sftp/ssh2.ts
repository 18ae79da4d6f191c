import { EngineError } from '@restic-engine/repo-format';

/** The package `ssh2`. */
export type Ssh2 = typeof import('ssh2');

/** Loads ssh2, which is not installed with this package. Rejects with `unsupported` where it is missing. */
export async function loadSsh2(): Promise<Ssh2> {
  try {
    return (await import('ssh2')).default;
  } catch (error) {
    const advice = 'SFTP needs the package ssh2: install it (npm install ssh2), or set sftp.command';
    throw new EngineError('unsupported', advice, { package: 'ssh2' }, { cause: error });
  }
}
