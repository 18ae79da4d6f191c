/** PostgreSQL's programs in the database's own pod, where its superuser needs no password. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { POD } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import type { DatabaseClient } from './client.ts';
import { connectionString } from './quote.ts';

export interface DatabasePod {
  readonly namespace: string;
  readonly labelSelector: string;
}

/**
 * Images of software collections find their programs only after reading this file, as bash does there. What follows runs as
 * it is, and not through the shell.
 */
const RUN = '[ -z "$BASH_ENV" ] || . "$BASH_ENV"; exec "$@"';

/** Rejects with `not-found` where no pod of the database runs. */
export async function podClient(cluster: Cluster, where: DatabasePod, call: ClusterCall): Promise<DatabaseClient> {
  const { namespace } = where;
  const { pod, container } = await findPod(cluster, where, call);
  return {
    connection: (database) => connectionString({ dbname: database, user: 'postgres' }),
    run: (program, args, { stdin, signal }) =>
      cluster.exec({
        namespace,
        pod,
        container,
        command: ['/bin/sh', '-c', RUN, 'sh', program, ...args],
        stdin,
        signal,
      }),
    close: async () => undefined,
  };
}

async function findPod(
  cluster: Cluster,
  { namespace, labelSelector }: DatabasePod,
  { signal }: ClusterCall,
): Promise<{ readonly pod: string; readonly container: string }> {
  for await (const object of cluster.list(POD, { namespace, labelSelector, signal })) {
    const container = firstContainer(object);
    if (object.status?.['phase'] !== 'Running' || object.metadata.deletionTimestamp !== undefined) continue;
    if (container !== undefined) return { pod: object.metadata.name, container };
  }
  const message = `no pod of the database runs in ${namespace}: there is none with ${labelSelector}`;
  throw new EngineError('not-found', message, { namespace, labelSelector });
}

function firstContainer({ spec }: KubeObject): string | undefined {
  const containers = spec?.['containers'];
  const first: unknown = Array.isArray(containers) ? containers[0] : undefined;
  if (typeof first !== 'object' || first === null || !('name' in first)) return undefined;
  return typeof first.name === 'string' ? first.name : undefined;
}
