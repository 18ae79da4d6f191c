/** The flags that say where backups are kept. */
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';

const GROUP = 'Backup Server:';

export interface ServerFlags {
  readonly repositoryUrl?: string | undefined;
  readonly repositoryPassword?: string | undefined;
  readonly repositoryPasswordFile?: string | undefined;
  readonly repositoryPasswordCommand?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly sshKey?: string | undefined;
  readonly sshKeyFile?: string | undefined;
  readonly awsAccessKeyId?: string | undefined;
  readonly awsSecretAccessKey?: string | undefined;
  readonly backupServerConfigName?: string | undefined;
  readonly internalServer?: true | undefined;
}

const FLAGS: readonly (readonly [flags: string, description: string, variable?: string])[] = [
  [
    '-r, --repository-url <url>',
    'repository to back up to or restore from: rest:…, s3:… or sftp:…',
    'BACKUP_REPOSITORY_URL',
  ],
  [
    '-p, --repository-password <password>',
    "the repository's password; others on this machine may see it, so better use a file",
    'BACKUP_REPOSITORY_PASSWORD',
  ],
  ['--repository-password-file <file>', "file to read the repository's password from"],
  ['--repository-password-command <command>', "command to obtain the repository's password from"],
  ['--username <name>', 'user of the REST server', 'REST_SERVER_USERNAME'],
  ['--password <password>', 'password of the REST server', 'REST_SERVER_PASSWORD'],
  ['--ssh-key <key>', 'private key for the SFTP server, the key itself', 'SSH_KEY'],
  ['--ssh-key-file <file>', 'file with the private key for the SFTP server', 'SSH_KEY_FILE'],
  ['--aws-access-key-id <id>', 'ID of the access key for S3', 'AWS_ACCESS_KEY_ID'],
  ['--aws-secret-access-key <key>', 'secret access key for S3', 'AWS_SECRET_ACCESS_KEY'],
  [
    '--backup-server-config-name <name>',
    'the CheBackupServerConfiguration in the cluster to use',
    'BACKUP_SERVER_CONFIG_NAME',
  ],
  ['--internal-server', 'use the backup server inside the cluster, which is set up where there is none'],
];

/** Lets a command take them. */
export function addServerFlags(command: CommandUnknownOpts): void {
  for (const [flags, description, variable] of FLAGS) {
    command.addOption(
      new Option(flags, description)
        .helpGroup(GROUP)
        .default(undefined, variable === undefined ? undefined : `$${variable}`),
    );
  }
}
