/** `backup-info.yaml`: what a backup says of itself. The first six fields are those of the old operator. */
import type { Infrastructure } from '../collect/installation.ts';

export interface BackupInfo {
  /** The old operator's number of this format; ours are read by whoever reads `v1`. */
  readonly metadataFileVersion: 'v1';
  /** RFC 3339. The old operator wrote Go's default text instead, which is read, too. */
  readonly creationDate: string;
  readonly cheVersion: string;
  readonly infrastructure: Infrastructure;
  readonly appsDomain: string;
  readonly namespace: string;
  /** The rest is missing in backups of the old operator. */
  readonly generation?: 'v1' | 'v2' | undefined;
  readonly flavor?: string | undefined;
  readonly clusterUid?: string | undefined;
  readonly kubernetesVersion?: string | undefined;
  /** What made the backup, with its version. */
  readonly madeBy?: string | undefined;
  readonly reason?: BackupReason | undefined;
  /** How the Che operator was installed, where OLM did it. */
  readonly operator?: OperatorInfo | undefined;
  /** Databases there are, and whether a dump is in the backup. */
  readonly databases?: readonly DatabaseInfo[] | undefined;
}

export const BACKUP_REASONS = ['manual', 'before-update', 'before-restore', 'schedule'] as const;

export type BackupReason = (typeof BACKUP_REASONS)[number];

export interface OperatorInfo {
  readonly subscription: string;
  readonly namespace: string;
  readonly channel?: string | undefined;
  readonly source?: string | undefined;
  readonly sourceNamespace?: string | undefined;
  readonly installedCsv?: string | undefined;
  readonly approval?: string | undefined;
}

export interface DatabaseInfo {
  readonly name: string;
  /** `exec`: through the database's pod. `network`: an external one. `skipped`: an external one that nobody asked for. */
  readonly by: 'exec' | 'network' | 'skipped';
}
