/** Which backup an update can be taken back with. */
import type { KubeObject } from '@restic-engine/che-state';
import { Fatal } from '../failure.ts';

/**
 * The name of the newest that succeeded among the backups that were made before the update to `current`. `objects` are all
 * CheClusterBackups of the namespace.
 */
export function backupBeforeUpdate(objects: readonly KubeObject[], current: string): string {
  const name = `backup-before-update-to-${current.replaceAll('.', '-')}`;
  const made = objects.filter(
    ({ metadata }) => metadata.name.startsWith(name) && /^(?:-\d+)?$/.test(metadata.name.slice(name.length)),
  );
  const [newest] = made.filter(({ status }) => status?.['state'] === 'Succeeded').toSorted(newestFirst);
  if (newest !== undefined) return newest.metadata.name;
  throw new Fatal(
    made.length === 0
      ? `there is no CheClusterBackup ${name}, as there would be after an update to ${current}`
      : `no backup before the update to ${current} has succeeded: ${made.map(stateOf).join(', ')}`,
  );
}

function stateOf({ metadata, status }: KubeObject): string {
  const state = status?.['state'];
  return `${metadata.name} (${typeof state === 'string' ? state : 'not begun'})`;
}

/** Made later, or of the same second and a later attempt. */
function newestFirst(a: KubeObject, b: KubeObject): number {
  const [first = '', second = ''] = [a, b].map(({ metadata }) => metadata.creationTimestamp);
  if (first !== second) return first < second ? 1 : -1;
  return b.metadata.name.localeCompare(a.metadata.name, 'en', { numeric: true });
}
