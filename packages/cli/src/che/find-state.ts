/** The backup that a word names. */
import type { FindStateOptions } from '@restic-engine/che-state';
import { connect, findNamespace } from './cluster.ts';
import type { CheContext } from './context.ts';
import type { Place } from './server.ts';

/** `latest` is that of the installation at hand; where there is no cluster to ask, that of whichever installation. */
export async function findOptions(context: CheContext, which: string): Promise<FindStateOptions> {
  const { flags, signal } = context;
  if (which !== 'latest') return { signal };
  const { EngineError } = await import('restic-engine');
  try {
    const { cluster, che } = await connect(context);
    await using _closed = cluster;
    const namespace = await findNamespace(context, cluster, che);
    return { signal, host: await hostAt(context, { cluster, che, namespace }) };
  } catch (error) {
    if (flags.kubeconfig || !EngineError.is(error, 'not-found')) throw error;
    return { signal, anyInstallation: true };
  }
}

/** The name under which an installation at this place keeps its backups. */
export async function hostAt({ signal }: CheContext, { cluster, che, namespace }: Place): Promise<string> {
  return che.hostOf({ namespace, clusterUid: await che.clusterUidOf(cluster, { signal }) });
}
