/** What a backup and a restore have in common: they are done once, and say how far they are. */
import { fieldAt, isRecord, textAt } from '../objects/fields.ts';
import type { KubeObject } from '../objects/object.ts';
import { type Condition, readConditions } from './conditions.ts';

export type JobState = 'InProgress' | 'Succeeded' | 'Failed';

/** Fields that a new one does not have are left out; objects of the old operator have the first five. */
export interface JobStatus {
  readonly state?: JobState | undefined;
  /** What is being done, or what failed: words for people. Not there when it succeeded. */
  readonly stage?: string | undefined;
  readonly message?: string | undefined;
  /** 8 hex digits. */
  readonly snapshotId?: string | undefined;
  readonly cheVersion?: string | undefined;
  /** 64 hex digits. */
  readonly snapshotFullId?: string | undefined;
  /** Name of the configuration that was used. */
  readonly backupServer?: string | undefined;
  /** RFC 3339. */
  readonly startTime?: string | undefined;
  /** RFC 3339. */
  readonly completionTime?: string | undefined;
  /** How many times it was begun again after an error that may pass. */
  readonly retries?: number | undefined;
  /** The spec with which it began. */
  readonly acceptedSpec?: KubeObject['spec'] | undefined;
  readonly observedGeneration?: number | undefined;
  readonly conditions: readonly Condition[];
}

const STATES = ['InProgress', 'Succeeded', 'Failed'] as const;

export function readJobStatus({ status }: KubeObject): JobStatus {
  return {
    state: STATES.find((state) => state === textAt(status, 'state')),
    stage: textAt(status, 'stage'),
    message: textAt(status, 'message'),
    snapshotId: textAt(status, 'snapshotId'),
    cheVersion: textAt(status, 'cheVersion'),
    snapshotFullId: textAt(status, 'snapshotFullId'),
    backupServer: textAt(status, 'backupServer'),
    startTime: textAt(status, 'startTime'),
    completionTime: textAt(status, 'completionTime'),
    retries: numberAt(status, 'retries'),
    acceptedSpec: acceptedSpecOf(status),
    observedGeneration: numberAt(status, 'observedGeneration'),
    conditions: readConditions(status),
  };
}

/** An object of the API is JSON throughout. */
const isSpec = (value: unknown): value is NonNullable<KubeObject['spec']> => isRecord(value);

function acceptedSpecOf(status: KubeObject['status']): KubeObject['spec'] {
  const found = status?.['acceptedSpec'];
  return isSpec(found) ? found : undefined;
}

/** Is there nothing left to do? */
export function isFinished({ state }: Pick<JobStatus, 'state'>): boolean {
  return state === 'Succeeded' || state === 'Failed';
}

export function numberAt(value: unknown, ...path: readonly string[]): number | undefined {
  const found = fieldAt(value, ...path);
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
}
