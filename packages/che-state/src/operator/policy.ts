/** What becomes of backups that a schedule made: its policy, and the objects of those that ended long ago. */
import { BACKUP_SCHEDULE, CLUSTER_BACKUP } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import { rfc3339 } from '../resources/conditions.ts';
import { isFinished, readJobStatus } from '../resources/job.ts';
import { readBackupSchedule, type ScheduleSpec } from '../resources/schedule.ts';
import { DONE, type OperatorContext, type Reconcile, tell } from './context.ts';
import { describe, reasonOf } from './failure.ts';
import { type NewCondition, StatusWriter } from './job-status.ts';
import { type Retained, retain } from './retention.ts';
import { backupsOf } from './scheduled.ts';

/** The condition that says whether the policy could be applied last time. */
export const POLICY_APPLIED = 'PolicyApplied';

/** By the name of a schedule. Rejects when the policy cannot be applied, which is shown; new backups do not wait for it. */
export const reconcilePolicy: Reconcile = async (context, namespace, name) => {
  const { cluster, signal, now } = context;
  const found = await cluster.get({ kind: BACKUP_SCHEDULE, namespace, name }, { signal });
  if (found === undefined || found.metadata.deletionTimestamp !== undefined) return DONE;
  const writer = new StatusWriter(cluster, BACKUP_SCHEDULE, found, now);
  const backups = await backupsOf(context, namespace, name);
  await tidy(context, readBackupSchedule(found).spec, backups);
  await keepPolicy(context, writer, namespace, backups);
  return DONE;
};

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
  if (status.lastForgetTime !== undefined && status.lastForgetTime >= lastSuccessTime) return;
  if (spec.retention === undefined || backupServer === undefined) return;
  const schedule = writer.object.metadata.name;
  const policy = { schedule, retention: spec.retention, prune: spec.prune, lastPrune: status.lastPruneTime };
  try {
    const result = await turns.take(namespace, signal, () => retain(context, namespace, backupServer, policy));
    await showApplied(context, writer, lastSuccessTime, result);
  } catch (error) {
    if (!signal.aborted) await showFailure(context, writer, error);
    throw error;
  }
}

async function showApplied(
  context: OperatorContext,
  writer: StatusWriter,
  lastForgetTime: string,
  { removed, pruned }: Retained,
): Promise<void> {
  const { signal, now, tallies } = context;
  const message = `removed ${removed} snapshots${pruned ? ' and pruned' : ''}`;
  const fields = { lastForgetTime, ...(pruned && { lastPruneTime: rfc3339(now()) }) };
  await writer.write(fields, [applied('True', 'Applied', message)], { signal });
  tallies.forgotten.add({ namespace: writer.object.metadata.namespace ?? '' }, removed);
  if (removed === 0) return;
  const event = { type: 'Normal', reason: POLICY_APPLIED, message } as const;
  await tell(context, writer.object, event);
}

/** Once: each write is told of, and would bring it here again. */
async function showFailure({ signal }: OperatorContext, writer: StatusWriter, error: unknown): Promise<void> {
  const { conditions } = readBackupSchedule(writer.object).status;
  const before = conditions.find(({ type }) => type === POLICY_APPLIED);
  const text = describe(error);
  if (before?.status === 'False' && before.message === text) return;
  await writer.write({}, [applied('False', reasonOf(error), text)], { signal });
}

const applied = (status: 'True' | 'False', reason: string, message: string): NewCondition => ({
  type: POLICY_APPLIED,
  status,
  reason,
  message,
});
