import { describe, expect, it } from 'vitest';
import { chooseServer } from '../../src/che/server-choice.ts';
import type { ServerFlags } from '../../src/che/server-flags.ts';

type Env = Readonly<Record<string, string>>;

const URL = 'rest:https://backup.example:8000/che';
const PASSWORD = { command: undefined, file: undefined, text: 'secret', insecureNoPassword: false };
const REPOSITORY: Env = { BACKUP_REPOSITORY_URL: URL, BACKUP_REPOSITORY_PASSWORD: 'secret' };
const at = (url: string): ServerFlags => ({ repositoryUrl: url, repositoryPassword: 'secret' });

/** The choice, and what was warned of. */
function chosen(flags: ServerFlags, env: Env = {}): { choice: unknown; warnings: string[] } {
  const warnings: string[] = [];
  const choice = chooseServer(flags, env, (text) => void warnings.push(text));
  return { choice, warnings };
}

describe('the server is', () => {
  const byUrl = { by: 'url', url: URL, password: PASSWORD, access: {} };
  const s3 = { by: 'url', url: 's3:/bucket', password: PASSWORD };
  const sftp = { by: 'url', url: 'sftp:u@h:/p', password: PASSWORD };
  const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' };

  it.each<[string, ServerFlags, Env, unknown]>([
    ['what the cluster has, without a word', {}, {}, { by: 'cluster' }],
    [
      'empty variables say nothing',
      {},
      { BACKUP_REPOSITORY_URL: '', BACKUP_SERVER_CONFIG_NAME: '' },
      { by: 'cluster' },
    ],
    ['that of the flags', at(URL), {}, byUrl],
    ['that of the environment', {}, REPOSITORY, byUrl],
    ['a URL with the password of the environment', { repositoryUrl: URL }, REPOSITORY, byUrl],
    [
      'the URL of the environment with a password',
      { repositoryPassword: 'other' },
      REPOSITORY,
      { ...byUrl, password: { ...PASSWORD, text: 'other' } },
    ],
    [
      'a password file beats the password of the environment',
      { repositoryUrl: URL, repositoryPasswordFile: '/f' },
      REPOSITORY,
      { ...byUrl, password: { ...PASSWORD, text: undefined, file: '/f' } },
    ],
    [
      'a password command beats the password of the environment',
      { repositoryPasswordCommand: 'pass che' },
      REPOSITORY,
      { ...byUrl, password: { ...PASSWORD, text: undefined, command: 'pass che' } },
    ],
    ['a configuration', { backupServerConfigName: 'mine' }, {}, { by: 'configuration', name: 'mine' }],
    [
      'a configuration of the environment',
      {},
      { BACKUP_SERVER_CONFIG_NAME: 'mine' },
      { by: 'configuration', name: 'mine' },
    ],
    [
      'a configuration beats the environment',
      { backupServerConfigName: 'mine' },
      { ...REPOSITORY, BACKUP_SERVER_CONFIG_NAME: 'other' },
      { by: 'configuration', name: 'mine' },
    ],
    ['a URL beats a configuration of the environment', at(URL), { BACKUP_SERVER_CONFIG_NAME: 'mine' }, byUrl],
    [
      'of an environment that has both, the configuration',
      {},
      { ...REPOSITORY, BACKUP_SERVER_CONFIG_NAME: 'mine' },
      { by: 'configuration', name: 'mine' },
    ],
    [
      'the internal one beats the environment',
      { internalServer: true },
      { ...REPOSITORY, BACKUP_SERVER_CONFIG_NAME: 'mine' },
      { by: 'internal' },
    ],
    [
      'a REST user',
      { ...at(URL), username: 'u', password: 'p' },
      {},
      { ...byUrl, access: { username: 'u', serverPassword: 'p' } },
    ],
    [
      'a REST user of the environment',
      at(URL),
      { REST_SERVER_USERNAME: 'u', REST_SERVER_PASSWORD: 'p' },
      { ...byUrl, access: { username: 'u', serverPassword: 'p' } },
    ],
    [
      'a REST user beats that of the environment',
      { ...at(URL), username: 'v' },
      { REST_SERVER_USERNAME: 'u', REST_SERVER_PASSWORD: 'p' },
      { ...byUrl, access: { username: 'v', serverPassword: 'p' } },
    ],
    [
      'S3 with flags',
      { ...at('s3:/bucket'), awsAccessKeyId: 'a', awsSecretAccessKey: 'b' },
      {},
      { ...s3, access: { awsAccessKeyId: 'a', awsSecretAccessKey: 'b' } },
    ],
    [
      'S3 with the environment',
      at('s3:/bucket'),
      keys,
      { ...s3, access: { awsAccessKeyId: 'id', awsSecretAccessKey: 'key' } },
    ],
    [
      'S3 with all of the environment',
      at('s3:/bucket'),
      { ...keys, AWS_SESSION_TOKEN: 't', AWS_DEFAULT_REGION: 'r' },
      { ...s3, access: { awsAccessKeyId: 'id', awsSecretAccessKey: 'key', awsSessionToken: 't', awsRegion: 'r' } },
    ],
    [
      'no session of the environment for keys of the command line',
      { ...at('s3:/bucket'), awsAccessKeyId: 'a', awsSecretAccessKey: 'b' },
      { ...keys, AWS_SESSION_TOKEN: 't' },
      { ...s3, access: { awsAccessKeyId: 'a', awsSecretAccessKey: 'b' } },
    ],
    ['SFTP with a key', { ...at('sftp:u@h:/p'), sshKey: 'K' }, {}, { ...sftp, access: { sshKey: 'K' } }],
    ['SFTP with a file', { ...at('sftp:u@h:/p'), sshKeyFile: '/k' }, {}, { ...sftp, access: { sshKeyFile: '/k' } }],
    [
      'SFTP with a file of the environment',
      at('sftp:u@h:/p'),
      { SSH_KEY_FILE: '/k' },
      { ...sftp, access: { sshKeyFile: '/k' } },
    ],
    [
      'a file beats the key of the environment',
      { ...at('sftp:u@h:/p'), sshKeyFile: '/k' },
      { SSH_KEY: 'K' },
      { ...sftp, access: { sshKeyFile: '/k' } },
    ],
    [
      'a key beats the file of the environment',
      { ...at('sftp:u@h:/p'), sshKey: 'K' },
      { SSH_KEY_FILE: '/k' },
      { ...sftp, access: { sshKey: 'K' } },
    ],
    [
      'of an environment that has both, the key',
      at('sftp:u@h:/p'),
      { SSH_KEY: 'K', SSH_KEY_FILE: '/k' },
      { ...sftp, access: { sshKey: 'K' } },
    ],
    ['no variables of other kinds of servers', at(URL), { ...keys, SSH_KEY: 'K' }, byUrl],
  ])('%s', (_title, flags, env, expected) => {
    expect(chosen(flags, env)).toEqual({ choice: expected, warnings: [] });
  });
});

describe('flags without effect are told of', () => {
  const login = 'rest:https://u:p@backup.example/';
  it.each<[ServerFlags, Env, RegExp]>([
    [
      { ...at(URL), awsAccessKeyId: 'a', sshKeyFile: '/k' },
      {},
      /^--aws-access-key-id, --ssh-key-file: of no effect.*rest:/,
    ],
    [{ ...at('sftp:u@h:/p'), sshKey: 'K', username: 'u' }, {}, /^--username: of no effect.*sftp:/],
    [{ ...at(login), username: 'u' }, {}, /^--username: of no effect.*URL has a user/],
    [{ backupServerConfigName: 'mine', password: 'p' }, {}, /^--password: of no effect.*cluster/],
    [{ sshKeyFile: '/k' }, {}, /^--ssh-key-file: of no effect.*cluster/],
  ])('%o', (flags, env, expected) => {
    const { warnings } = chosen(flags, env);
    expect(warnings).toEqual([expect.stringMatching(expected)]);
  });
});

describe('refused is', () => {
  it.each<[string, ServerFlags, Env, RegExp]>([
    ['a URL without a password', { repositoryUrl: URL }, {}, /--repository-password/],
    ['a URL of the environment without a password', {}, { BACKUP_REPOSITORY_URL: URL }, /--repository-password/],
    ['a password without a URL', { repositoryPassword: 'x' }, {}, /--repository-url/],
    ['a password of the environment without a URL', {}, { BACKUP_REPOSITORY_PASSWORD: 'x' }, /--repository-url/],
    [
      'an empty password, whatever the environment has',
      { repositoryPassword: '' },
      REPOSITORY,
      /--repository-password/,
    ],
    [
      'a URL and a configuration',
      { ...at(URL), backupServerConfigName: 'mine' },
      {},
      /--repository-url, --repository-password cannot be used together with --backup-server-config-name/,
    ],
    ['a password and a configuration', { repositoryPassword: 'x', backupServerConfigName: 'mine' }, {}, /together/],
    [
      'a configuration and the internal server',
      { internalServer: true, backupServerConfigName: 'mine' },
      {},
      /together/,
    ],
    ['a URL and the internal server', { internalServer: true, ...at(URL) }, {}, /together/],
    [
      'two sources of a password',
      { ...at(URL), repositoryPasswordFile: '/f' },
      {},
      /--repository-password cannot .* --repository-password-file/,
    ],
    ['a REST user without a password', { ...at(URL), username: 'u' }, {}, /--password/],
    ['a REST password without a user', { ...at(URL), password: 'p' }, {}, /--username/],
    ['a REST user of the environment without a password', at(URL), { REST_SERVER_USERNAME: 'u' }, /--password/],
    ['SFTP without a key', at('sftp:u@h:/p'), {}, /--ssh-key-file/],
    [
      'SFTP with two keys',
      { ...at('sftp:u@h:/p'), sshKey: 'K', sshKeyFile: '/k' },
      {},
      /--ssh-key cannot .* --ssh-key-file/,
    ],
    ['S3 without an ID', { ...at('s3:/b'), awsSecretAccessKey: 'b' }, {}, /--aws-access-key-id/],
    ['S3 without a key', { ...at('s3:/b'), awsAccessKeyId: 'a' }, {}, /--aws-secret-access-key/],
    ['another kind of repository', at('/srv/backups'), {}, /rest:, s3: or sftp:/],
  ])('%s', (_title, flags, env, expected) => {
    expect(() => chosen(flags, env)).toThrow(expected);
  });

  it('nothing with a secret in the message', () => {
    const canary = 'canary-7f1';
    const refused: ServerFlags[] = [
      { repositoryPassword: canary },
      { repositoryUrl: `ftp://u:${canary}@h/`, repositoryPassword: canary },
      { ...at(URL), password: canary },
      { ...at('s3:/b'), awsSecretAccessKey: canary },
      { ...at('sftp:u@h:/p'), sshKey: canary, sshKeyFile: canary },
      { repositoryPassword: canary, repositoryPasswordFile: canary },
    ];
    for (const flags of refused) {
      let message = '';
      try {
        chosen(flags);
      } catch (error) {
        message = String(error);
      }
      expect(message).toMatch(/./);
      expect(message).not.toContain(canary);
    }
  });
});
