/** From a kubeconfig, or from within a pod, to the cluster. */
import { findAccess } from './access.ts';
import { Api } from './api.ts';
import { clusterOf } from './client.ts';
import type { Cluster, ClusterCall } from './cluster.ts';
import { throwIfAborted } from './wait.ts';

export interface ConnectOptions extends ClusterCall {
  /** A kubeconfig file. Default: those of `KUBECONFIG`, `~/.kube/config`, the service account of the pod. */
  readonly kubeconfig?: string | undefined;
  /** Default: the kubeconfig's current one. */
  readonly context?: string | undefined;
  /** Whom to impersonate. */
  readonly as?: { readonly name: string; readonly groups?: readonly string[] | undefined } | undefined;
}

/**
 * Reads what is needed to talk to a cluster, and says nothing to it yet. The caller disposes of it. Rejects with
 * `not-found` when there is no kubeconfig, with `bad-request` when it is none, and `io`.
 */
export async function connectCluster(options: ConnectOptions = {}): Promise<Cluster> {
  throwIfAborted(options.signal);
  const access = await findAccess(options);
  const cluster = clusterOf(new Api(access), access.namespace, access.close);
  if (options.as === undefined) return cluster;
  return { ...cluster.as(options.as), [Symbol.asyncDispose]: cluster[Symbol.asyncDispose] };
}
