/** The cluster at work, and the namespace that is meant in it. */
import type { Cluster } from '@restic-engine/che-state';
import type { CheContext } from './context.ts';

export type CheState = typeof import('@restic-engine/che-state');

/** Where Che is installed by its documentation, today's place first. */
const USUAL = ['eclipse-che', 'che'] as const;

/** The cluster of the flags; the caller disposes of it. */
export async function connect({
  flags,
  signal,
}: CheContext): Promise<{ readonly cluster: Cluster; readonly che: CheState }> {
  const che = await import('@restic-engine/che-state');
  const { kubeconfig, context } = flags;
  const cluster = await che.connectCluster({ kubeconfig: kubeconfig || undefined, context, signal });
  return { cluster, che };
}

/** Connects to the cluster of the flags, does the work, and closes everything. */
export async function withCluster<T>(
  context: CheContext,
  work: (cluster: Cluster, che: CheState) => Promise<T>,
): Promise<T> {
  const { cluster, che } = await connect(context);
  await using open = cluster;
  return await work(open, che);
}

/** What somebody says, as far as anybody does. */
export function namedNamespace({ flags, env }: Pick<CheContext, 'flags' | 'env'>): string | undefined {
  return flags.chenamespace || env['CHE_NAMESPACE'] || undefined;
}

/**
 * The namespace of Che: the one that is named; else the one with the only CheCluster; else `eclipse-che` or `che`,
 * whichever exists. Who may not look gets the usual one.
 */
export async function findNamespace(context: CheContext, cluster: Cluster, che: CheState): Promise<string> {
  const named = namedNamespace(context);
  if (named !== undefined) return named;
  const { signal } = context;
  const kinds = { today: che.CHE_CLUSTER_V2, old: che.CHE_CLUSTER_V1 };
  try {
    const kind = (await cluster.serves(kinds.today, { signal })) ? kinds.today : kinds.old;
    const namespaces = new Set<string>();
    for await (const { metadata } of cluster.list(kind, { signal })) namespaces.add(metadata.namespace ?? '');
    const [only] = namespaces;
    if (only !== undefined && namespaces.size === 1) return only;
  } catch (error) {
    await refuseUnlessDenied(error);
  }
  for (const name of USUAL) {
    try {
      const found = await cluster.get({ kind: che.NAMESPACE, namespace: undefined, name }, { signal });
      if (found !== undefined) return name;
    } catch (error) {
      await refuseUnlessDenied(error);
      return cluster.namespace ?? name;
    }
  }
  return USUAL[0];
}

async function refuseUnlessDenied(error: unknown): Promise<void> {
  const { EngineError } = await import('restic-engine');
  if (!EngineError.is(error, 'denied')) throw error;
}
