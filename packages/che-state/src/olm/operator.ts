/** The Che operator as it runs: a Deployment, whoever has made it. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { itemsAt, textAt } from '../objects/fields.ts';
import { DEPLOYMENT } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';

/** Upstream's, and those of CodeReady Workspaces and Dev Spaces. */
const DEPLOYMENTS = ['che-operator', 'codeready-operator', 'devspaces-operator'];
/** Where operators for all namespaces are: on OpenShift, and with OLM elsewhere. */
export const OPERATOR_NAMESPACES: readonly string[] = ['openshift-operators', 'operators'];

/**
 * The version of the Che operator that is deployed in Che's namespace, or for all namespaces; undefined when there is none.
 * Rejects with `denied` when it is found nowhere and may be where one must not look.
 */
export async function operatorVersion(
  cluster: Cluster,
  namespace: string,
  call: ClusterCall = {},
): Promise<string | undefined> {
  const deployment = await findOperator(cluster, [namespace], call);
  return deployment === undefined ? undefined : versionOf(deployment);
}

/** The operator's Deployment, in the first of `namespaces` that has one, or where operators for all namespaces are. */
export async function findOperator(
  cluster: Cluster,
  namespaces: readonly (string | undefined)[],
  call: ClusterCall,
): Promise<KubeObject | undefined> {
  let denied: EngineError | undefined;
  for (const namespace of new Set([...namespaces, ...OPERATOR_NAMESPACES])) {
    if (namespace === undefined) continue;
    for (const name of DEPLOYMENTS) {
      try {
        const found = await cluster.get({ kind: DEPLOYMENT, namespace, name }, call);
        if (found !== undefined) return found;
      } catch (error) {
        if (!EngineError.is(error, 'denied')) throw error;
        denied ??= error;
      }
    }
  }
  if (denied !== undefined) throw denied;
  return undefined;
}

/** What a Deployment of the Che operator says of its version; undefined for one of something else. */
export function versionOf(deployment: KubeObject): string | undefined {
  const [container] = itemsAt(deployment, 'spec', 'template', 'spec', 'containers');
  const variable = itemsAt(container, 'env').find((each) => textAt(each, 'name') === 'CHE_VERSION');
  return textAt(variable, 'value');
}
