/** Where what is restored comes from: a server, a snapshot there, and a version of Che for it. */
import type { JobStatus, KubeObject } from '@restic-engine/che-state';
import { Fatal } from '../failure.ts';
import type { CheContext } from './context.ts';
import type { RestoreChoice } from './restore-choice.ts';
import { backupBeforeUpdate } from './rollback.ts';
import type { Place } from './server.ts';
import { serverChoice } from './server.ts';
import type { ServerChoice } from './server-choice.ts';
import type { ServerFlags } from './server-flags.ts';

export interface RestoreSource {
  readonly server: ServerChoice;
  /** An id, its beginning, or `latest`. */
  readonly snapshot: string;
  /** The version that the Che operator is to be of; undefined: as it is. */
  readonly version: string | undefined;
}

export async function findSource(
  context: CheContext,
  place: Place,
  choice: RestoreChoice,
  { current, flags }: { readonly current: string | undefined; readonly flags: ServerFlags },
): Promise<RestoreSource> {
  if (choice.by === 'snapshot') {
    return { server: serverChoice(context, flags), snapshot: choice.id, version: choice.version };
  }
  const { cluster, che, namespace } = place;
  const { signal } = context;
  const kind = che.CLUSTER_BACKUP;
  if (choice.by === 'rollback' && current === undefined) {
    throw new Fatal('there is no Che operator whose update could be taken back');
  }
  const name =
    choice.by === 'backup'
      ? choice.name
      : backupBeforeUpdate(await Array.fromAsync(cluster.list(kind, { namespace, signal })), current ?? '');
  const object = await cluster.get({ kind, namespace, name }, { signal });
  if (object === undefined) throw new Fatal(`the CheClusterBackup ${name} is not in the namespace ${namespace}`);
  return sourceOf(object, che.readClusterBackup(object));
}

interface Made {
  readonly spec: { readonly backupServerConfigRef: string | undefined };
  readonly status: Pick<JobStatus, 'state' | 'backupServer' | 'snapshotFullId' | 'snapshotId' | 'cheVersion'>;
}

/** What a CheClusterBackup has made, on the server that it names: nothing is guessed. */
export function sourceOf({ metadata }: Pick<KubeObject, 'metadata'>, { spec, status }: Made): RestoreSource {
  const what = `the CheClusterBackup ${metadata.name}`;
  if (status.state !== 'Succeeded') {
    throw new Fatal(`${what} has not succeeded: ${status.state ?? 'it has not begun'}`);
  }
  const name = status.backupServer ?? spec.backupServerConfigRef;
  const snapshot = status.snapshotFullId ?? status.snapshotId;
  const version = status.cheVersion;
  if (!name) throw new Fatal(`${what} does not say on which server it is`);
  if (!version) throw new Fatal(`${what} does not say of which version it is`);
  if (!snapshot) throw new Fatal(`${what} does not say which snapshot it is`);
  return { server: { by: 'configuration', name }, snapshot, version };
}
