/** Backups that a schedule made. */
import { BACKUP_SCHEDULE, CLUSTER_BACKUP } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import { SCHEDULE_LABEL } from '../resources/backup.ts';
import type { OperatorContext } from './context.ts';

/** Values of labels are shorter than names. */
export function labelOf(name: string): string {
  return name.slice(0, 63).replace(/[^a-z0-9]+$/, '');
}

/** Of the snapshots of a schedule. */
export function scheduleTag(name: string): string {
  return `schedule:${name}`;
}

/** The schedule that made a backup. */
export function scheduleOf({ metadata }: KubeObject): string | undefined {
  if (metadata.labels?.[SCHEDULE_LABEL] === undefined) return undefined;
  return metadata.ownerReferences?.find((owner) => owner.kind === BACKUP_SCHEDULE.kind)?.name;
}

export async function backupsOf(
  { cluster, signal }: OperatorContext,
  namespace: string,
  schedule: string,
): Promise<readonly KubeObject[]> {
  const labelSelector = `${SCHEDULE_LABEL}=${labelOf(schedule)}`;
  const all = await Array.fromAsync(cluster.list(CLUSTER_BACKUP, { namespace, labelSelector, signal }));
  return all.filter(({ metadata }) => metadata.ownerReferences?.some(({ name }) => name === schedule));
}
