/** Where backups of Che are kept, ready to be opened. */
import { EngineError } from 'restic-engine';
import type { Backend, HttpOptions, S3Credentials } from 'restic-engine';
import type { ClusterCall } from '../cluster/cluster.ts';
import { bucketOf, locationOf, originOf, restUrl, SFTP_PORT } from './address.ts';
import type { RestAddress, S3Address, ServerAddress, SftpAddress } from './address.ts';
import type { Login } from './url.ts';

/** What one of the three sections of a `CheBackupServerConfiguration`, or flags, come to. */
export interface BackupServer {
  /** For people: without secrets. */
  readonly location: string;
  /** The repository's password. Never shown. */
  readonly password: string;
  /** Opens the server; the caller disposes of it. */
  open(call?: ClusterCall): Promise<Backend>;
}

/** How the key is judged that an SFTP server shows. */
export type HostKeys =
  /** By the SSH configuration and the known hosts of the user who runs this. */
  | 'user'
  /** By these lines of known_hosts; a host of which they say nothing is told of, which may refuse it. */
  | {
      readonly known: string;
      readonly learn: ((line: string, call?: ClusterCall) => Promise<void>) | undefined;
    };

/** What a server asks for, read and checked. */
export interface ServerSecrets {
  /** The repository's. */
  readonly password: string;
  /** REST. */
  readonly login?: Login | undefined;
  /** S3. */
  readonly keys?: S3Credentials | undefined;
  /** SFTP: the text of a private key. */
  readonly sshKey?: string | undefined;
  readonly hostKeys?: HostKeys | undefined;
  /** PEM texts of the authorities that sign the certificate of a REST or S3 server. Default: the system's. */
  readonly caCertificates?: readonly string[] | undefined;
}

/**
 * A server at `address`. Throws `bad-request` where the repository's password is empty, or what the server asks for is
 * missing.
 */
export function backupServer(address: ServerAddress, secrets: ServerSecrets): BackupServer {
  // As restic reads passwords from files and commands, which is how repositories of the old operator were made.
  const password = secrets.password.trim();
  if (password === '') throw new EngineError('bad-request', 'the password of the repository is empty');
  return { location: locationOf(address), password, open: opener(address, secrets) };
}

function opener(address: ServerAddress, secrets: ServerSecrets): BackupServer['open'] {
  const { caCertificates } = secrets;
  const http: HttpOptions = caCertificates === undefined ? {} : { caCertificates };
  switch (address.kind) {
    case 'rest':
      return () => openRest(address, secrets.login, http);
    case 'awss3':
      return () => openS3(address, needed(secrets.keys, 'S3 server needs keys'), http);
    case 'sftp': {
      const sshKey = needed(secrets.sshKey, 'SFTP server needs a private key');
      return (call) => openSftp(address, sshKey, secrets.hostKeys ?? 'user', call);
    }
  }
}

function needed<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new EngineError('bad-request', `the ${what}`);
  return value;
}

async function openRest(address: RestAddress, login: Login | undefined, http: HttpOptions): Promise<Backend> {
  const { restBackend } = await import('restic-engine');
  return restBackend({ url: restUrl(address), ...login, http });
}

async function openS3(address: S3Address, credentials: S3Credentials, http: HttpOptions): Promise<Backend> {
  const { s3Backend } = await import('restic-engine');
  const { region, repositoryPath } = address;
  return s3Backend({
    ...bucketOf(repositoryPath),
    endpoint: originOf(address),
    ...(region !== undefined && { region }),
    credentials,
    http,
  });
}

async function openSftp(
  { hostname, port, username, repositoryPath }: SftpAddress,
  privateKey: string,
  hostKeys: HostKeys,
  call: ClusterCall | undefined,
): Promise<Backend> {
  const { sftpBackend } = await import('restic-engine');
  const place = { host: hostname, user: username, path: repositoryPath, privateKey };
  if (hostKeys === 'user') return sftpBackend({ ...place, ...(port !== undefined && { port }) });
  const { known, learn } = hostKeys;
  return sftpBackend({
    ...place,
    port: port ?? SFTP_PORT,
    // Nothing of the machine counts: what a configuration says must mean the same for everybody who uses it.
    configFile: false,
    agent: false,
    identityFiles: [],
    knownHosts: known,
    knownHostsFiles: [],
    ...(learn !== undefined && { learnHostKey: (line: string) => learn(line, call) }),
  });
}
