import { describe, expect, it } from 'vitest';
import type { KubeObject } from '../../src/objects/object.ts';
import { locationOf, restUrl } from '../../src/server/address.ts';
import { configurationForCommand, configurationForUpdate } from '../../src/server/choose.ts';
import { readConfiguration } from '../../src/server/configuration.ts';

const configuration = (spec: object | undefined, name = 'it', annotations: Record<string, string> = {}): KubeObject =>
  ({
    apiVersion: 'org.eclipse.che/v1',
    kind: 'CheBackupServerConfiguration',
    metadata: { name, annotations },
    spec,
  }) as KubeObject;

const REST = { hostname: 'host', repositoryPasswordSecretRef: 'pw' };
const S3 = { repositoryPath: 'bucket/a', repositoryPasswordSecretRef: 'pw', awsAccessKeySecretRef: 'keys' };
const SFTP = {
  username: 'user',
  hostname: 'host',
  repositoryPath: 'rel',
  repositoryPasswordSecretRef: 'pw',
  sshKeySecretRef: 'key',
};

describe('a backup server configuration', () => {
  it.each([
    [{ rest: REST }, 'rest:https://host:8000/', undefined],
    [
      { rest: { ...REST, protocol: 'http', port: 80, repositoryPath: 'a b/ü%20c?d', credentialsSecretRef: 'c' } },
      'rest:http://host/a%20b/%C3%BC%20c%3Fd/',
      'c',
    ],
    [
      { rest: { ...REST, hostname: '::1', port: 0, repositoryPath: '/100%' } },
      'rest:https://[::1]:8000/100%25/',
      undefined,
    ],
    [{ awss3: S3 }, 's3:https://s3.amazonaws.com/bucket/a', 'keys'],
    [
      { awss3: { ...S3, protocol: 'http', hostname: 'minio', port: 9000, region: 'x' } },
      's3:http://minio:9000/bucket/a',
      'keys',
    ],
    [{ sftp: SFTP }, 'sftp://user@host:22/rel', 'key'],
    [{ sftp: { ...SFTP, port: 2222, repositoryPath: '/abs' } }, 'sftp://user@host:2222//abs', 'key'],
    [{ sftp: SFTP, rest: null }, 'sftp://user@host:22/rel', 'key'],
  ])('says where and with what: %o', (spec, location, credentialsSecret) => {
    const read = readConfiguration(configuration(spec));
    expect(locationOf(read.address)).toBe(location);
    expect(read).toMatchObject({ passwordSecret: 'pw', credentialsSecret });
  });

  it.each([
    [undefined, /exactly one .* has none/],
    [{}, /exactly one .* has none/],
    [{ rest: REST, sftp: SFTP }, /has rest and sftp/],
    [{ rest: {}, awss3: S3 }, /has rest and awss3/],
    [{ rest: [] }, /^spec\.rest must be an object/],
    [{ rest: {} }, /^spec\.rest\.repositoryPasswordSecretRef is missing/],
    [{ rest: { repositoryPasswordSecretRef: 'pw' } }, /^spec\.rest\.hostname is missing/],
    [{ rest: { ...REST, hostname: 'user:canary@host' } }, /^spec\.rest\.hostname must be/],
    [{ rest: { ...REST, hostname: 'host/path' } }, /^spec\.rest\.hostname must be/],
    [{ rest: { ...REST, protocol: 'ftp' } }, /^spec\.rest\.protocol must be http or https/],
    [{ rest: { ...REST, port: 65536 } }, /^spec\.rest\.port must be/],
    [{ rest: { ...REST, port: '8000' } }, /^spec\.rest\.port must be/],
    [{ rest: { ...REST, port: 1.5 } }, /^spec\.rest\.port must be/],
    [{ rest: { ...REST, repositoryPath: 7 } }, /^spec\.rest\.repositoryPath must be text/],
    [{ awss3: { ...S3, repositoryPath: '' } }, /^spec\.awss3\.repositoryPath is missing/],
    [{ awss3: { ...S3, repositoryPath: '//' } }, /bucket, which is missing/],
    [{ awss3: { ...S3, awsAccessKeySecretRef: undefined } }, /^spec\.awss3\.awsAccessKeySecretRef is missing/],
    [{ sftp: { ...SFTP, username: '' } }, /^spec\.sftp\.username is missing/],
    [{ sftp: { ...SFTP, sshKeySecretRef: null } }, /^spec\.sftp\.sshKeySecretRef is missing/],
    [{ sftp: { ...SFTP, repositoryPath: undefined } }, /^spec\.sftp\.repositoryPath is missing/],
  ])('is told what is wrong by field: %o', (spec, message) => {
    const read = (): unknown => readConfiguration(configuration(spec));
    expect(read).toThrow(expect.objectContaining({ code: 'bad-request', message: expect.stringMatching(message) }));
    expect(read).not.toThrow(/canary/);
  });

  it('keeps escapes of a path, and escapes what a URL cannot hold', () => {
    const url = (repositoryPath: string): string =>
      restUrl({ kind: 'rest', protocol: 'https', hostname: 'h', port: 8000, repositoryPath });
    expect(url('a%2Fb')).toBe('https://h:8000/a%2Fb/');
    expect(url('a#b?c%d')).toBe('https://h:8000/a%23b%3Fc%25d/');
  });
});

describe('the choice of a configuration', () => {
  const [plain, other] = [configuration({}, 'plain'), configuration({}, 'other')];
  const marked = configuration({}, 'marked', { 'che.eclipse.org/backup-before-update': 'true' });
  const another = configuration({}, 'another', { 'che.eclipse.org/backup-before-update': 'true' });
  const unmarked = configuration({}, 'unmarked', { 'che.eclipse.org/backup-before-update': 'false' });
  const stored = configuration({}, 'eclipse-che-backup-server-config');

  it.each([
    [[], undefined],
    [[plain], 'plain'],
    [[unmarked], 'unmarked'],
    [[plain, marked, other], 'marked'],
    [[plain, unmarked], undefined],
    [[plain, other], undefined],
    [[marked, plain, another], 'another'],
    [[plain, stored], undefined],
  ])('before an update, case %#', (found, name) => {
    expect(configurationForUpdate(found)).toBe(name);
  });

  it.each([
    [[], undefined],
    [[plain], 'plain'],
    [[plain, stored, marked], 'eclipse-che-backup-server-config'],
  ])('of a command, case %#', (found, name) => {
    expect(configurationForCommand(found)).toBe(name);
  });

  it('is left to whoever made several', () => {
    expect(() => configurationForCommand([plain, marked])).toThrow(
      expect.objectContaining({ code: 'ambiguous', message: expect.stringContaining('marked, plain') }),
    );
  });
});
