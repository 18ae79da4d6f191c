/** `CheClusterBackup` and the fields of it that a `CheBackupSchedule` has, too. */
import { fieldAt, textAt } from '../objects/fields.ts';
import type { KubeObject } from '../objects/object.ts';
import type { BackupReason } from '../state/info.ts';
import { type JobStatus, numberAt, readJobStatus } from './job.ts';

/** Of a `CheClusterBackup` that a schedule created. */
export const SCHEDULE_LABEL = 'backup.che.eclipse.org/schedule';
/** Why a `CheClusterBackup` was created: a {@link BackupReason}. Without it: `manual`. */
export const REASON_LABEL = 'backup.che.eclipse.org/reason';

export interface BackupTarget {
  /** Of a `CheBackupServerConfiguration` in the same namespace. */
  readonly backupServerConfigRef: string | undefined;
  /** Goes before the other field. */
  readonly useInternalBackupServer: boolean;
  /** Dump databases outside of the cluster, too. */
  readonly externalDatabases: boolean;
}

export interface BackupStatus extends JobStatus {
  /** What the backup added to the repository. */
  readonly bytesAdded?: number | undefined;
}

export interface ClusterBackup {
  readonly spec: BackupTarget;
  readonly status: BackupStatus;
  readonly reason: BackupReason;
}

const REASONS = ['manual', 'before-update', 'schedule'] as const;

/** Fields of the wrong type count as missing: the old schema let some pass. */
export function readClusterBackup(object: KubeObject): ClusterBackup {
  const label = object.metadata.labels?.[REASON_LABEL];
  return {
    spec: readBackupTarget(object.spec),
    status: { ...readJobStatus(object), bytesAdded: numberAt(object.status, 'bytesAdded') },
    reason: REASONS.find((reason) => reason === label) ?? 'manual',
  };
}

export function readBackupTarget(spec: unknown): BackupTarget {
  return {
    backupServerConfigRef: textAt(spec, 'backupServerConfigRef'),
    useInternalBackupServer: fieldAt(spec, 'useInternalBackupServer') === true,
    externalDatabases: fieldAt(spec, 'externalDatabases') === true,
  };
}
