import { EngineError } from 'restic-engine';
import type { ServerAddress } from './address.ts';
import { backupServer } from './connection.ts';
import type { BackupServer, ServerSecrets } from './connection.ts';
import { parseServerUrl } from './url.ts';

/** What the commands are told beside a repository URL. What another kind of server would need is not looked at. */
export interface UrlCredentials {
  /** The repository's. */
  readonly password: string;
  /** For a REST server; both or neither. Those in the URL win. */
  readonly username?: string | undefined;
  readonly serverPassword?: string | undefined;
  /** For an SFTP server: the text of a private key. */
  readonly sshKey?: string | undefined;
  /** For an S3 server; both. */
  readonly awsAccessKeyId?: string | undefined;
  readonly awsSecretAccessKey?: string | undefined;
  readonly awsSessionToken?: string | undefined;
  readonly awsRegion?: string | undefined;
}

/** An address and what its server asks for. */
export interface UrlServer {
  readonly address: ServerAddress;
  readonly secrets: ServerSecrets;
}

/**
 * The server of a repository URL, see {@link parseServerUrl}. An SFTP server's key must be one that the user's known hosts
 * have. Throws `bad-request`; the message never shows a value.
 */
export function serverFromUrl(url: string, credentials: UrlCredentials): BackupServer {
  const { address, secrets } = readUrl(url, credentials);
  return backupServer(address, secrets);
}

/** The parts of {@link serverFromUrl}. */
export function readUrl(url: string, credentials: UrlCredentials): UrlServer {
  const { address, login } = parseServerUrl(url);
  const { password } = credentials;
  switch (address.kind) {
    case 'rest':
      return { address, secrets: { password, login: login ?? loginOf(credentials) } };
    case 'awss3':
      return {
        address: { ...address, region: credentials.awsRegion },
        secrets: { password, keys: keysOf(credentials) },
      };
    case 'sftp':
      return { address, secrets: { password, sshKey: privateKeyOf(credentials.sshKey), hostKeys: 'user' } };
  }
}

function loginOf({ username = '', serverPassword = '' }: UrlCredentials): ServerSecrets['login'] {
  if (username === '' && serverPassword === '') return undefined;
  if (username === '')
    throw missing('the user name for the REST server is missing: there is only a password', 'username');
  if (serverPassword === '')
    throw missing('the password for the REST server is missing: there is only a user', 'password');
  return { username, password: serverPassword };
}

function keysOf({
  awsAccessKeyId = '',
  awsSecretAccessKey = '',
  awsSessionToken,
}: UrlCredentials): ServerSecrets['keys'] {
  if (awsAccessKeyId === '') throw missing('the access key id for the S3 server is missing', 'aws-access-key-id');
  if (awsSecretAccessKey === '') {
    throw missing('the secret access key for the S3 server is missing', 'aws-secret-access-key');
  }
  return {
    accessKeyId: awsAccessKeyId,
    secretAccessKey: awsSecretAccessKey,
    ...(awsSessionToken && { sessionToken: awsSessionToken }),
  };
}

/** The key, whole and with its last line ended. Throws `bad-request` for what is none. */
export function privateKeyOf(text: string | undefined): string {
  const key = text?.trim() ?? '';
  if (key === '') throw missing('the private key for the SFTP server is missing', 'ssh-key');
  if (!key.startsWith('-----BEGIN'))
    throw missing('the private key for the SFTP server begins with -----BEGIN', 'ssh-key');
  return `${key}\n`;
}

function missing(message: string, option: string): EngineError {
  return new EngineError('bad-request', message, { option });
}
