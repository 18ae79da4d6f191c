/** Which backup server the flags and the environment mean. */
import { UsageError } from '../failure.ts';
import type { Environment } from '../globals.ts';
import type { PasswordSources } from '../password.ts';
import { givenFlags, refuseTogether } from './exclusive.ts';
import type { ServerFlags } from './server-flags.ts';

/** How one gets at the server of a repository's URL. */
export interface Access {
  readonly username?: string;
  readonly serverPassword?: string;
  readonly sshKey?: string;
  /** Where the key is, instead of the key. */
  readonly sshKeyFile?: string;
  readonly awsAccessKeyId?: string;
  readonly awsSecretAccessKey?: string;
  /** Belongs to keys that are given by the environment only. */
  readonly awsSessionToken?: string;
  readonly awsRegion?: string;
}

export type ServerChoice =
  | { readonly by: 'configuration'; readonly name: string }
  | { readonly by: 'internal' }
  /** What is configured in the cluster. */
  | { readonly by: 'cluster' }
  | { readonly by: 'url'; readonly url: string; readonly password: PasswordSources; readonly access: Access };

type Scheme = 'rest' | 's3' | 'sftp';

const SCHEMES: readonly Scheme[] = ['rest', 's3', 'sftp'];

const BY_URL = [
  'repositoryUrl',
  'repositoryPassword',
  'repositoryPasswordFile',
  'repositoryPasswordCommand',
] as const satisfies readonly (keyof ServerFlags)[];
const PASSWORDS = BY_URL.slice(1);
const ACCESS: Readonly<Record<Scheme, readonly (keyof ServerFlags)[]>> = {
  rest: ['username', 'password'],
  s3: ['awsAccessKeyId', 'awsSecretAccessKey'],
  sftp: ['sshKey', 'sshKeyFile'],
};

/** The flags that say which server it is, as they are written. */
export function serverFlagsGiven(flags: ServerFlags): string[] {
  return givenFlags(flags, [...BY_URL, 'backupServerConfigName', 'internalServer']);
}

/**
 * A flag beats any variable: when flags name a server, variables that name another kind of server are ignored; otherwise
 * each variable stands for its flag. An empty variable counts as none. `warn` is told of flags that have no effect.
 */
export function chooseServer(flags: ServerFlags, env: Environment, warn: (text: string) => void): ServerChoice {
  const byUrl = givenFlags(flags, BY_URL);
  const byName = givenFlags(flags, ['backupServerConfigName']);
  const internal = givenFlags(flags, ['internalServer']);
  refuseTogether(byUrl, byName, internal);
  refuseTogether(...PASSWORDS.map((name) => givenFlags(flags, [name])));
  refuseTogether(...ACCESS.sftp.map((name) => givenFlags(flags, [name])));
  const config = flags.backupServerConfigName ?? (byUrl.length > 0 ? undefined : env['BACKUP_SERVER_CONFIG_NAME']);
  const choice = internal.length > 0 ? { by: 'internal' as const } : (named(config) ?? fromUrl(flags, env, warn));
  if (choice.by !== 'url') {
    const useless = givenFlags(flags, Object.values(ACCESS).flat());
    if (useless.length > 0) warn(`${useless.join(', ')}: of no effect, the server is configured in the cluster`);
  }
  return choice;
}

function named(name: string | undefined): ServerChoice | undefined {
  return name ? { by: 'configuration', name } : undefined;
}

function fromUrl(flags: ServerFlags, env: Environment, warn: (text: string) => void): ServerChoice {
  const url = flags.repositoryUrl ?? env['BACKUP_REPOSITORY_URL'];
  const password = passwordSources(flags, env);
  const hasPassword = [password.command, password.file, password.text].some(Boolean);
  if (!url && !hasPassword) return { by: 'cluster' };
  if (!url) throw new UsageError('a repository password without a repository: give --repository-url too');
  if (!hasPassword) {
    throw new UsageError(
      'a repository without its password: give --repository-password-file, $BACKUP_REPOSITORY_PASSWORD or --repository-password too',
    );
  }
  const scheme = SCHEMES.find((name) => url.startsWith(`${name}:`));
  if (scheme === undefined) {
    throw new UsageError('a repository URL begins with rest:, s3: or sftp:');
  }
  const others = SCHEMES.filter((name) => name !== scheme).flatMap((name) => givenFlags(flags, ACCESS[name]));
  if (others.length > 0) warn(`${others.join(', ')}: of no effect for a repository at ${scheme}:`);
  return { by: 'url', url, password, access: ACCESS_OF[scheme](flags, env, url, warn) };
}

function passwordSources(flags: ServerFlags, env: Environment): PasswordSources {
  const hasFlag = givenFlags(flags, PASSWORDS).length > 0;
  return {
    command: flags.repositoryPasswordCommand,
    file: flags.repositoryPasswordFile,
    text: hasFlag ? flags.repositoryPassword : env['BACKUP_REPOSITORY_PASSWORD'] || undefined,
    insecureNoPassword: false,
  };
}

type AccessOf = (flags: ServerFlags, env: Environment, url: string, warn: (text: string) => void) => Access;

const ACCESS_OF: Readonly<Record<Scheme, AccessOf>> = {
  rest(flags, env, url, warn) {
    // Credentials in the URL go before all others.
    if (hasUser(url)) {
      const useless = givenFlags(flags, ACCESS.rest);
      if (useless.length > 0) warn(`${useless.join(', ')}: of no effect, the repository URL has a user`);
      return {};
    }
    const username = flags.username ?? env['REST_SERVER_USERNAME'];
    const serverPassword = flags.password ?? env['REST_SERVER_PASSWORD'];
    if (!username && !serverPassword) return {};
    if (!username) throw new UsageError('a password for the REST server without a user: give --username too');
    if (!serverPassword) throw new UsageError('a user of the REST server without a password: give --password too');
    return { username, serverPassword };
  },
  s3(flags, env) {
    const awsAccessKeyId = flags.awsAccessKeyId ?? env['AWS_ACCESS_KEY_ID'];
    const awsSecretAccessKey = flags.awsSecretAccessKey ?? env['AWS_SECRET_ACCESS_KEY'];
    if (!awsAccessKeyId) throw new UsageError('S3 needs an access key: give --aws-access-key-id too');
    if (!awsSecretAccessKey) throw new UsageError('S3 needs an access key: give --aws-secret-access-key too');
    const token = givenFlags(flags, ACCESS.s3).length === 0 ? env['AWS_SESSION_TOKEN'] : undefined;
    const region = env['AWS_REGION'] || env['AWS_DEFAULT_REGION'];
    return {
      awsAccessKeyId,
      awsSecretAccessKey,
      ...(token && { awsSessionToken: token }),
      ...(region && { awsRegion: region }),
    };
  },
  sftp(flags, env) {
    if (flags.sshKey !== undefined) return { sshKey: flags.sshKey };
    if (flags.sshKeyFile !== undefined) return { sshKeyFile: flags.sshKeyFile };
    const { SSH_KEY: sshKey, SSH_KEY_FILE: sshKeyFile } = env;
    if (sshKey) return { sshKey };
    if (sshKeyFile) return { sshKeyFile };
    throw new UsageError('an SFTP server needs a private key: give --ssh-key-file or --ssh-key');
  },
};

/** Does a `rest:` URL say who one is? */
function hasUser(url: string): boolean {
  return /^rest:(?:\/\/)?(?:https?:\/\/)?[^/?#]*@/.test(url);
}
