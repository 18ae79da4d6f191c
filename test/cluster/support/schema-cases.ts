/** What the definitions in deploy/crds take, and what they refuse. */
import type { Kind, KubeObject } from '@restic-engine/che-state';
import { KIND } from '../crds/kinds.ts';

type Spec = NonNullable<KubeObject['spec']>;

const { serverConfiguration, clusterBackup, clusterRestore, backupSchedule } = KIND;
const rest = { hostname: 'backups', repositoryPasswordSecretRef: 'password' };
const awss3 = { repositoryPath: 'bucket/che', repositoryPasswordSecretRef: 'password', awsAccessKeySecretRef: 'keys' };
const sftp = {
  username: 'che',
  hostname: '10.0.0.1',
  repositoryPath: '/srv/che',
  repositoryPasswordSecretRef: 'password',
  sshKeySecretRef: 'key',
};

/**
 * With what is filled in; the first ones are as the documentation of CodeReady Workspaces has them.
 * Empty texts, which are taken too, cannot be tried: Kubernetes 1.20 built by Go 1.19 takes them for null.
 */
export const ACCEPTED: readonly (readonly [Kind, Spec, Spec])[] = [
  [
    serverConfiguration,
    { rest: { ...rest, protocol: 'http', port: 8080, repositoryPath: 'che', credentialsSecretRef: 'login' } },
    {},
  ],
  [serverConfiguration, { rest }, { rest: { ...rest, protocol: 'https', port: 8000 } }],
  [serverConfiguration, { awss3 }, { awss3: { ...awss3, protocol: 'https', hostname: 's3.amazonaws.com' } }],
  [serverConfiguration, { sftp }, { sftp: { ...sftp, port: 22 } }],
  [clusterBackup, { useInternalBackupServer: true, backupServerConfigRef: 'rest' }, {}],
  [clusterBackup, {}, {}],
  [clusterRestore, { snapshotId: '9ea02f58', backupServerConfigRef: 'rest' }, {}],
  [clusterRestore, {}, {}],
  [
    clusterRestore,
    { snapshotId: 'latest', allow: ['cluster', 'domain'], only: ['secret/*'], domain: 'apps.example' },
    {},
  ],
  [
    backupSchedule,
    { schedule: '@daily' },
    { schedule: '@daily', timeZone: 'UTC', prune: 'Weekly', historyLimit: 10, suspend: false },
  ],
  [backupSchedule, { schedule: '*/5 1-3 * jan,MAR mon-fri', retention: { keepWithin: '1y5m', keepLast: 3 } }, {}],
];

/** With what the API says. */
export const REFUSED: readonly (readonly [Kind, Spec, RegExp])[] = [
  [serverConfiguration, {}, /spec in body should have at least 1 properties/],
  [serverConfiguration, { rest, sftp }, /spec in body should have at most 1 properties/],
  [serverConfiguration, { rest: { ...rest, protocol: 'ftp' } }, /spec\.rest\.protocol: Unsupported value: \\"ftp/],
  [serverConfiguration, { rest: { ...rest, port: 65536 } }, /spec\.rest\.port.* less than or equal to 65535/],
  [
    serverConfiguration,
    { rest: { ...rest, hostname: 'https://backups' } },
    /spec\.rest\.hostname in body should match/,
  ],
  [serverConfiguration, { rest: { hostname: 'backups' } }, /spec\.rest\.repositoryPasswordSecretRef: Required value/],
  [serverConfiguration, { awss3: { ...awss3, repositoryPath: '' } }, /spec\.awss3\.repositoryPath/],
  [serverConfiguration, { sftp: { ...sftp, port: 0 } }, /spec\.sftp\.port.* greater than or equal to 1/],
  [clusterBackup, { backupServerConfigRef: 'My Server' }, /spec\.backupServerConfigRef in body should match/],
  [clusterBackup, { useInternalBackupServer: 'yes' }, /spec\.useInternalBackupServer in body must be of type boolean/],
  [clusterRestore, { snapshotId: 'newest' }, /spec\.snapshotId in body should match/],
  [clusterRestore, { allow: ['everything'] }, /spec\.allow: Unsupported value: .*supported values: .*version/],
  [backupSchedule, {}, /spec\.schedule: Required value/],
  [backupSchedule, { schedule: '1 2 3' }, /spec\.schedule in body should match/],
  [backupSchedule, { schedule: '@daily', retention: {} }, /spec\.retention in body should have at least 1 properties/],
  [backupSchedule, { schedule: '@daily', retention: { keepWithin: '5x' } }, /spec\.retention\.keepWithin/],
  [backupSchedule, { schedule: '@daily', prune: 'Sometimes' }, /spec\.prune: Unsupported value: /],
];
