/** PostgreSQL's programs on this machine, for a server that is somewhere else. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from 'restic-engine';
import type { DatabaseClient } from './client.ts';
import { startProgram } from './local-process.ts';
import { connectionString } from './quote.ts';

/** libpq's names, PostgreSQL's manual, "SSL Support". */
export type TlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

export interface DatabaseServer {
  readonly host: string;
  readonly port: string;
  readonly user: string;
  readonly password: string;
  /** @default libpq's, 'prefer' */
  readonly tls?: TlsMode | undefined;
  /** PEM text. */
  readonly caCertificates?: string | undefined;
}

/** In seconds: how long to wait for a connection, and for a sign of life on one that is silent. */
const PATIENCE = { connect_timeout: '30', keepalives_idle: '60', keepalives_interval: '10', keepalives_count: '6' };

/** The password is in a file that nobody else may read, in a folder that goes with the client. */
export async function networkClient(server: DatabaseServer): Promise<DatabaseClient> {
  const { host, port, user, password, tls, caCertificates } = server;
  if (/[\n\r\0]/.test(password)) {
    throw new EngineError('bad-request', 'a password with a line break cannot be given to PostgreSQL');
  }
  const folder = await mkdtemp(join(tmpdir(), 'che-backup-'));
  const close = (): Promise<void> => rm(folder, { recursive: true, force: true });
  try {
    const passfile = join(folder, 'pgpass');
    await writeFile(passfile, `*:*:*:*:${password.replaceAll(/[\\:]/g, '\\$&')}\n`, { mode: 0o600, flag: 'wx' });
    const sslrootcert = caCertificates === undefined ? undefined : join(folder, 'ca.pem');
    if (sslrootcert !== undefined) await writeFile(sslrootcert, caCertificates ?? '', { mode: 0o600, flag: 'wx' });
    const place = { host, port, user, passfile, sslmode: tls, sslrootcert, ...PATIENCE };
    return {
      connection: (database) => connectionString({ dbname: database, ...place }),
      run: startProgram,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
