/** `CheBackupSchedule`: creates backups when they are due. */
import { EngineError } from 'restic-engine';
import { BACKUP_SCHEDULE, CLUSTER_BACKUP } from '../objects/kinds.ts';
import { apiVersionOf, type KubeObject } from '../objects/object.ts';
import { REASON_LABEL, SCHEDULE_LABEL } from '../resources/backup.ts';
import { rfc3339 } from '../resources/conditions.ts';
import { isFinished, readJobStatus } from '../resources/job.ts';
import { type BackupSchedule, readBackupSchedule, type ScheduleSpec } from '../resources/schedule.ts';
import { DONE, type OperatorContext, type Reconcile, tell } from './context.ts';
import { parseCron } from './cron.ts';
import { describe, reasonOf } from './failure.ts';
import { type NewCondition, StatusWriter } from './job-status.ts';
import type { Outcome } from './queue.ts';
import { POLICY_APPLIED } from './policy.ts';
import { backupsOf, labelOf } from './scheduled.ts';

/** Timers of more than 24 days do not exist, and clocks are set. */
const LONGEST_NAP_MS = 3_600_000;

export const reconcileSchedule: Reconcile = async (context, namespace, name) => {
  const { cluster, signal, now } = context;
  const found = await cluster.get({ kind: BACKUP_SCHEDULE, namespace, name }, { signal });
  if (found === undefined || found.metadata.deletionTimestamp !== undefined) return DONE;
  const writer = new StatusWriter(cluster, BACKUP_SCHEDULE, found, now);
  const schedule = readBackupSchedule(found);
  const backups = await backupsOf(context, namespace, name);
  try {
    return await beginDue(context, writer, schedule, backups);
  } catch (error) {
    // Nothing but another spec helps, which is told of.
    if (!EngineError.is(error, 'bad-request')) throw error;
    await show(context, writer, { nextScheduleTime: undefined }, scheduled('False', reasonOf(error), describe(error)));
    return DONE;
  }
};

/** Creates a backup when one is due; of several that were missed, one. */
async function beginDue(
  context: OperatorContext,
  writer: StatusWriter,
  { spec, status }: BackupSchedule,
  backups: readonly KubeObject[],
): Promise<Outcome> {
  const { now } = context;
  const time = now();
  const cron = parseCron(spec.schedule, spec.timeZone);
  const next = cron.next(time);
  const nextScheduleTime = next === undefined || spec.suspend ? undefined : rfc3339(next);
  if (spec.suspend) {
    await show(context, writer, { nextScheduleTime }, scheduled('False', 'Suspended', 'it is suspended'));
    return DONE;
  }
  const { creationTimestamp } = writer.object.metadata;
  const since = Date.parse(status.lastScheduleTime ?? creationTimestamp ?? rfc3339(time));
  const due = cron.previous(time);
  const active = backups.find((backup) => !isFinished(readJobStatus(backup)));
  const message = next === undefined ? 'the schedule never comes' : `the next backup is due at ${rfc3339(next)}`;
  const condition = scheduled(
    next === undefined ? 'False' : 'True',
    next === undefined ? 'Never' : 'Scheduled',
    message,
  );
  if (due === undefined || due.getTime() <= since) {
    await show(context, writer, { nextScheduleTime }, condition);
  } else if (active !== undefined) {
    const waits = `a backup is due since ${rfc3339(due)} and waits for ${active.metadata.name}`;
    await show(context, writer, { nextScheduleTime }, scheduled('True', 'Waiting', waits));
  } else {
    const name = await create(context, writer.object, spec, due);
    await show(context, writer, { nextScheduleTime, lastScheduleTime: rfc3339(due), lastBackup: name }, condition);
  }
  const left = next === undefined ? LONGEST_NAP_MS : next.getTime() - time.getTime();
  return { again: 'at', ms: Math.min(Math.max(left, 1), LONGEST_NAP_MS) };
}

/** The name comes from the time, so that nobody creates it twice. */
async function create(
  context: OperatorContext,
  schedule: KubeObject,
  { backupServerConfigRef, useInternalBackupServer, externalDatabases }: ScheduleSpec,
  due: Date,
): Promise<string> {
  const { cluster, signal } = context;
  const { name, namespace, uid = '' } = schedule.metadata;
  const backup: KubeObject = {
    apiVersion: apiVersionOf(CLUSTER_BACKUP),
    kind: CLUSTER_BACKUP.kind,
    metadata: {
      name: `${name.slice(0, 230)}-${rfc3339(due).replace(/[^\d]/g, '').slice(0, 12)}`,
      ...(namespace !== undefined && { namespace }),
      labels: { [SCHEDULE_LABEL]: labelOf(name), [REASON_LABEL]: 'schedule' },
      ownerReferences: [{ apiVersion: schedule.apiVersion, kind: schedule.kind, name, uid, controller: true }],
    },
    spec: { backupServerConfigRef, useInternalBackupServer, externalDatabases },
  };
  try {
    await cluster.create(CLUSTER_BACKUP, backup, { signal });
  } catch (error) {
    if (!EngineError.is(error, 'already-exists')) throw error;
    return backup.metadata.name;
  }
  const message = `created ${backup.metadata.name}`;
  await tell(context, schedule, { type: 'Normal', reason: 'BackupCreated', message });
  return backup.metadata.name;
}

/** Writes only what is new: each write is told of. */
async function show(
  { signal }: OperatorContext,
  writer: StatusWriter,
  fields: Readonly<Record<string, string | undefined>>,
  condition: NewCondition,
): Promise<void> {
  const { status, metadata } = writer.object;
  const { conditions } = readBackupSchedule(writer.object).status;
  const before = conditions.find(({ type }) => type === condition.type);
  const policy = conditions.find(({ type }) => type === POLICY_APPLIED);
  const message = policy?.status === 'False' ? `Error: ${policy.message}` : condition.message;
  const all = { ...fields, message, observedGeneration: metadata.generation };
  const same =
    Object.entries(all).every(([name, value]) => status?.[name] === value) &&
    before?.status === condition.status &&
    before.reason === condition.reason;
  if (!same) await writer.write(all, [condition], { signal });
}

const scheduled = (status: 'True' | 'False', reason: string, message: string): NewCondition => ({
  type: 'Scheduled',
  status,
  reason,
  message,
});
