/** `CheClusterRestore`. */
import { fieldAt, isRecord, textAt, textsAt } from '../objects/fields.ts';
import type { KubeObject } from '../objects/object.ts';
import { type JobStatus, numberAt, readJobStatus } from './job.ts';

const ALLOWED = ['version', 'infrastructure', 'namespace', 'domain', 'cluster'] as const;

export interface RestoreSpec {
  /** An id, its beginning, or `latest`. */
  readonly snapshotId: string;
  readonly backupServerConfigRef: string | undefined;
  readonly allow: readonly (typeof ALLOWED)[number][];
  readonly only: readonly string[] | undefined;
  readonly domain: string | undefined;
  readonly remove: boolean;
  /** undefined: as the backup's generation needs it. */
  readonly recreate: boolean | undefined;
  readonly dryRun: boolean;
  readonly skipSafetySnapshot: boolean;
  readonly externalDatabases: boolean;
  readonly impersonate: boolean;
  readonly readyTimeoutMs: number | undefined;
}

/** Numbers of objects, by what happens to them. */
export type PlanCounts = Readonly<Record<string, number>>;

export interface RestoreStatus extends JobStatus {
  /** 64 hex digits. */
  readonly safetySnapshotId?: string | undefined;
  readonly plan?: PlanCounts | undefined;
  readonly differences?: readonly string[] | undefined;
}

export interface ClusterRestore {
  readonly spec: RestoreSpec;
  readonly status: RestoreStatus;
}

/** Fields of the wrong type count as missing: the old schema let some pass. */
export function readClusterRestore(object: KubeObject): ClusterRestore {
  const { spec, status } = object;
  const is = (name: string): boolean => fieldAt(spec, name) === true;
  const only = textsAt(spec, 'only');
  const recreate = fieldAt(spec, 'recreate');
  const seconds = numberAt(spec, 'readyTimeoutSeconds');
  return {
    spec: {
      snapshotId: textAt(spec, 'snapshotId') ?? 'latest',
      backupServerConfigRef: textAt(spec, 'backupServerConfigRef'),
      allow: ALLOWED.filter((each) => textsAt(spec, 'allow').includes(each)),
      only: only.length === 0 ? undefined : only,
      domain: textAt(spec, 'domain'),
      remove: is('remove'),
      recreate: typeof recreate === 'boolean' ? recreate : undefined,
      dryRun: is('dryRun'),
      skipSafetySnapshot: is('skipSafetySnapshot'),
      externalDatabases: is('externalDatabases'),
      impersonate: is('impersonate'),
      readyTimeoutMs: seconds === undefined ? undefined : seconds * 1000,
    },
    status: {
      ...readJobStatus(object),
      safetySnapshotId: textAt(status, 'safetySnapshotId'),
      plan: readCounts(fieldAt(status, 'plan')),
      differences: fieldAt(status, 'differences') === undefined ? undefined : textsAt(status, 'differences'),
    },
  };
}

function readCounts(plan: unknown): PlanCounts | undefined {
  if (!isRecord(plan)) return undefined;
  return Object.fromEntries(Object.entries(plan).flatMap(([name, n]) => (typeof n === 'number' ? [[name, n]] : [])));
}
