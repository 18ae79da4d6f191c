/** `CheBackupSchedule`: creates backups when they are due, and forgets what the policy does not keep. */
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
import { retain } from './retention.ts';

/** Timers of more than 24 days do not exist, and clocks are set. */
const LONGEST_NAP_MS = 3_600_000;

export const reconcileSchedule: Reconcile = async (context, namespace, name) => {
  const { cluster, signal, now } = context;
  const found = await cluster.get({ kind: BACKUP_SCHEDULE, namespace, name }, { signal });
  if (found === undefined || found.metadata.deletionTimestamp !== undefined) return DONE;
  const writer = new StatusWriter(cluster, BACKUP_SCHEDULE, found, now);
  const schedule = readBackupSchedule(found);
  const backups = await backupsOf(context, namespace, name);
  let nap: Outcome;
  try {
    nap = await beginDue(context, writer, schedule, backups);
  } catch (error) {
    // Nothing but another spec helps, which is told of.
    if (!EngineError.is(error, 'bad-request')) throw error;
    await show(context, writer, { nextScheduleTime: undefined }, scheduled('False', reasonOf(error), describe(error)));
    return DONE;
  }
  await tidy(context, schedule.spec, backups);
  await keepPolicy(context, writer, namespace, backups);
  return nap;
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

/** Values of labels are shorter than names. */
function labelOf(name: string): string {
  return name.slice(0, 63).replace(/[^a-z0-9]+$/, '');
}

async function backupsOf(
  { cluster, signal }: OperatorContext,
  namespace: string,
  schedule: string,
): Promise<readonly KubeObject[]> {
  const labelSelector = `${SCHEDULE_LABEL}=${labelOf(schedule)}`;
  const all = await Array.fromAsync(cluster.list(CLUSTER_BACKUP, { namespace, labelSelector, signal }));
  return all.filter(({ metadata }) => metadata.ownerReferences?.some(({ name }) => name === schedule));
}

const endOf = (backup: KubeObject): string => readJobStatus(backup).completionTime ?? '';

/** Removes objects of backups that ended long ago; snapshots are the policy's. The last that succeeded stays. */
async function tidy(
  { cluster, signal }: OperatorContext,
  { historyLimit }: ScheduleSpec,
  backups: readonly KubeObject[],
): Promise<void> {
  const finished = backups.filter((backup) => isFinished(readJobStatus(backup)));
  const newestFirst = finished.toSorted((a, b) => endOf(b).localeCompare(endOf(a)));
  const good = newestFirst.find((backup) => readJobStatus(backup).state === 'Succeeded');
  for (const backup of newestFirst.slice(historyLimit)) {
    if (backup === good) continue;
    const { name, namespace, uid } = backup.metadata;
    await cluster.remove({ kind: CLUSTER_BACKUP, namespace, name }, { uid, signal });
  }
}

/** After each backup that succeeded the policy is applied once. */
async function keepPolicy(
  context: OperatorContext,
  writer: StatusWriter,
  namespace: string,
  backups: readonly KubeObject[],
): Promise<void> {
  const { spec, status } = readBackupSchedule(writer.object);
  const { signal, now, turns } = context;
  const succeeded = backups.filter((backup) => readJobStatus(backup).state === 'Succeeded');
  const newest = succeeded.toSorted((a, b) => endOf(a).localeCompare(endOf(b))).at(-1);
  if (newest === undefined) return;
  const { backupServer, completionTime: lastSuccessTime = rfc3339(now()) } = readJobStatus(newest);
  if (lastSuccessTime !== status.lastSuccessTime) await writer.write({ lastSuccessTime }, [], { signal });
  const applied = status.lastForgetTime !== undefined && status.lastForgetTime >= lastSuccessTime;
  if (spec.retention === undefined || backupServer === undefined || applied) return;
  try {
    const policy = { retention: spec.retention, prune: spec.prune, lastPrune: status.lastPruneTime };
    const result = await turns.take(namespace, signal, () => retain(context, namespace, backupServer, policy));
    const time = rfc3339(now());
    const { removed } = result;
    const pruned = result.pruned ? { lastPruneTime: time } : {};
    const message = `removed ${removed} snapshots${result.pruned ? ' and pruned' : ''}`;
    context.tallies.forgotten.add({ namespace }, removed);
    // A backup that ends in this very second must not count as looked at.
    await writer.write({ lastForgetTime: lastSuccessTime, ...pruned }, [retained('True', 'Applied', message)], {
      signal,
    });
    if (removed > 0) await tell(context, writer.object, { type: 'Normal', reason: 'PolicyApplied', message });
  } catch (error) {
    if (signal.aborted) throw error;
    const text = describe(error);
    await writer.write({ message: `Error: ${text}` }, [retained('False', reasonOf(error), text)], { signal });
    throw error;
  }
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
  const all = { ...fields, message: condition.message, observedGeneration: metadata.generation };
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

const retained = (status: 'True' | 'False', reason: string, message: string): NewCondition => ({
  type: 'PolicyApplied',
  status,
  reason,
  message,
});
