/** Waiting for Che, and for what is made anew of it. */
import type { Cluster } from '../cluster/cluster.ts';
import { fieldAt, textAt } from '../objects/fields.ts';
import { DEPLOYMENT } from '../objects/kinds.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import { waitFor } from './wait-for.ts';
import type { RestoreWork } from './work.ts';

/** `status.chePhase` of Che with DevWorkspaces, `status.cheClusterRunning` of the one before it. */
function phaseOf(cheCluster: KubeObject | undefined): string {
  return textAt(cheCluster?.status, 'chePhase') ?? textAt(cheCluster?.status, 'cheClusterRunning') ?? '';
}

function isReady(cheCluster: KubeObject | undefined): boolean {
  return (
    fieldAt(cheCluster?.status, 'chePhase') === 'Active' ||
    textAt(cheCluster?.status, 'cheClusterRunning') === 'Available'
  );
}

/** Rejects with `timeout`. */
export async function waitUntilReady({ cluster, readyTimeoutMs, signal }: RestoreWork, ref: ObjectRef): Promise<void> {
  await waitFor(cluster, ref, isReady, {
    timeoutMs: readyTimeoutMs,
    signal,
    what: 'Che to be ready',
    describe: phaseOf,
  });
}

/** All pods are those of the newest template, and serve. */
function isRolledOut(deployment: KubeObject | undefined): boolean {
  if (deployment === undefined) return true;
  const { metadata, spec, status } = deployment;
  const replicas = fieldAt(spec, 'replicas') ?? 1;
  return (
    Number(fieldAt(status, 'observedGeneration') ?? 0) >= (metadata.generation ?? 0) &&
    (fieldAt(status, 'updatedReplicas') ?? 0) === replicas &&
    (fieldAt(status, 'replicas') ?? 0) === replicas &&
    (fieldAt(status, 'availableReplicas') ?? 0) === replicas
  );
}

/**
 * Starts the pods of a Deployment anew, if there is one, and waits until they serve. Only once for the same time `at`.
 * Rejects with `timeout`.
 */
export async function restartDeployment(
  cluster: Cluster,
  { namespace, name, at }: { readonly namespace: string; readonly name: string; readonly at: string },
  { readyTimeoutMs, signal }: Pick<RestoreWork, 'readyTimeoutMs' | 'signal'>,
): Promise<void> {
  const ref = { kind: DEPLOYMENT, namespace, name };
  if ((await cluster.get(ref, { signal })) === undefined) return;
  const annotations = { 'kubectl.kubernetes.io/restartedAt': at };
  await cluster.merge(ref, { spec: { template: { metadata: { annotations } } } }, { signal });
  await waitFor(cluster, ref, isRolledOut, {
    timeoutMs: readyTimeoutMs,
    signal,
    what: `the Deployment ${name} to be available`,
  });
}
