/** `CheBackupSchedule`. */
import type { KeepPolicy } from 'restic-engine';
import { fieldAt, textAt } from '../objects/fields.ts';
import type { KubeObject } from '../objects/object.ts';
import { type BackupTarget, readBackupTarget } from './backup.ts';
import { type Condition, readConditions } from './conditions.ts';
import { numberAt } from './job.ts';

export interface ScheduleSpec extends BackupTarget {
  /** Five fields of cron, or a name such as `@daily`. */
  readonly schedule: string;
  /** Of the IANA database. */
  readonly timeZone: string;
  readonly suspend: boolean;
  /** undefined: nothing is forgotten. */
  readonly retention: KeepPolicy | undefined;
  readonly prune: 'Never' | 'Weekly' | 'Always';
  /** How many finished `CheClusterBackup` objects are kept. */
  readonly historyLimit: number;
}

/** Times are RFC 3339. */
export interface ScheduleStatus {
  readonly message?: string | undefined;
  readonly lastScheduleTime?: string | undefined;
  readonly nextScheduleTime?: string | undefined;
  readonly lastBackup?: string | undefined;
  readonly lastSuccessTime?: string | undefined;
  readonly lastForgetTime?: string | undefined;
  readonly lastPruneTime?: string | undefined;
  readonly observedGeneration?: number | undefined;
  readonly conditions: readonly Condition[];
}

export interface BackupSchedule {
  readonly spec: ScheduleSpec;
  readonly status: ScheduleStatus;
}

const PRUNE = ['Never', 'Weekly', 'Always'] as const;
const DEFAULT_HISTORY = 10;

export function readBackupSchedule({ spec, status }: KubeObject): BackupSchedule {
  return {
    spec: {
      ...readBackupTarget(spec),
      schedule: textAt(spec, 'schedule') ?? '',
      timeZone: textAt(spec, 'timeZone') ?? 'UTC',
      suspend: fieldAt(spec, 'suspend') === true,
      retention: readRetention(fieldAt(spec, 'retention')),
      prune: PRUNE.find((each) => each === textAt(spec, 'prune')) ?? 'Weekly',
      historyLimit: Math.max(1, numberAt(spec, 'historyLimit') ?? DEFAULT_HISTORY),
    },
    status: {
      message: textAt(status, 'message'),
      lastScheduleTime: textAt(status, 'lastScheduleTime'),
      nextScheduleTime: textAt(status, 'nextScheduleTime'),
      lastBackup: textAt(status, 'lastBackup'),
      lastSuccessTime: textAt(status, 'lastSuccessTime'),
      lastForgetTime: textAt(status, 'lastForgetTime'),
      lastPruneTime: textAt(status, 'lastPruneTime'),
      observedGeneration: numberAt(status, 'observedGeneration'),
      conditions: readConditions(status),
    },
  };
}

/** Whatever is in it that can be read; a policy that keeps nothing by name is none. */
function readRetention(retention: unknown): KeepPolicy | undefined {
  const count = (name: string): number | undefined => {
    const found = numberAt(retention, name);
    return found !== undefined && Number.isInteger(found) && found > 0 ? found : undefined;
  };
  const policy: KeepPolicy = {
    last: count('keepLast'),
    hourly: count('keepHourly'),
    daily: count('keepDaily'),
    weekly: count('keepWeekly'),
    monthly: count('keepMonthly'),
    yearly: count('keepYearly'),
    within: textAt(retention, 'keepWithin'),
  };
  return Object.values(policy).some((rule) => rule !== undefined) ? policy : undefined;
}
