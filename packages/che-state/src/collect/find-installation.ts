/** Finds the installation of Che that is meant, and what must be known of it and its cluster. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { fieldAt, textAt } from '../objects/fields.ts';
import { CHE_CLUSTER_V1, CHE_CLUSTER_V2, CLUSTER_VERSION, CONFIG_MAP, NAMESPACE, ROUTE } from '../objects/kinds.ts';
import type { Kind, KubeObject } from '../objects/object.ts';
import type { FindInstallationOptions, Infrastructure, Installation } from './installation.ts';

/** What the operator is called where nothing says otherwise. */
const UPSTREAM = 'che';

/**
 * The installation in a namespace, or the only one there is. Rejects with `not-found` when there is none, `ambiguous` when
 * there are several, and as the calls of {@link Cluster} do.
 */
export async function findInstallation(
  cluster: Cluster,
  { namespace, signal }: FindInstallationOptions = {},
): Promise<Installation> {
  const call = { signal };
  const isV2 = await cluster.serves(CHE_CLUSTER_V2, call);
  const cheCluster = await findCheCluster(cluster, isV2 ? CHE_CLUSTER_V2 : CHE_CLUSTER_V1, namespace, call);
  const own = cheCluster.metadata.namespace ?? '';
  const generation = isV2 ? 'v2' : 'v1';
  const infrastructure = await infrastructureOf(cluster, call);
  const flavor = textAt(cheCluster.spec, 'server', 'cheFlavor') ?? (await flavorOf(cluster, own, call));
  return {
    generation,
    cheCluster,
    namespace: own,
    flavor,
    cheVersion: textAt(cheCluster.status, 'cheVersion'),
    infrastructure,
    appsDomain: appsDomainOf(cheCluster, { infrastructure, flavor }) ?? '',
    clusterUid: await clusterUidOf(cluster, call),
    kubernetesVersion: await cluster.version(call),
  };
}

async function findCheCluster(
  cluster: Cluster,
  kind: Kind,
  namespace: string | undefined,
  call: ClusterCall,
): Promise<KubeObject> {
  const found = await listCheClusters(cluster, kind, namespace, call);
  const [only] = found;
  const place = namespace === undefined ? 'the cluster' : `namespace ${namespace}`;
  if (only === undefined) throw new EngineError('not-found', `no CheCluster is in ${place}`, placeOf(namespace));
  if (found.length > 1) {
    const places = found.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(', ');
    throw new EngineError('ambiguous', `several CheClusters are in ${place}: ${places}`, placeOf(namespace));
  }
  return only;
}

function placeOf(namespace: string | undefined): { readonly namespace?: string } {
  return namespace === undefined ? {} : { namespace };
}

/** Who may not look everywhere sees the namespace he works in. */
async function listCheClusters(
  cluster: Cluster,
  kind: Kind,
  namespace: string | undefined,
  call: ClusterCall,
): Promise<KubeObject[]> {
  try {
    return await Array.fromAsync(cluster.list(kind, { namespace, ...call }));
  } catch (error) {
    const nearest = cluster.namespace;
    if (namespace !== undefined || nearest === undefined || !EngineError.is(error, 'denied')) throw error;
    return Array.fromAsync(cluster.list(kind, { namespace: nearest, ...call }));
  }
}

export async function infrastructureOf(cluster: Cluster, call: ClusterCall): Promise<Infrastructure> {
  if (!(await cluster.serves(ROUTE, call))) return 'Kubernetes';
  return (await cluster.serves(CLUSTER_VERSION, call)) ? 'Openshift 4' : 'Openshift 3';
}

/** The operator writes it on everything that it makes; the ConfigMap of its server has the same name everywhere. */
async function flavorOf(cluster: Cluster, namespace: string, call: ClusterCall): Promise<string> {
  const config = await cluster.get({ kind: CONFIG_MAP, namespace, name: 'che' }, call);
  return textAt(config?.metadata.labels, 'app.kubernetes.io/name') ?? UPSTREAM;
}

/** A cluster has no name of its own that everybody may read; this namespace lives as long as it does. */
export async function clusterUidOf(cluster: Cluster, call: ClusterCall): Promise<string> {
  const system = await cluster.get({ kind: NAMESPACE, namespace: undefined, name: 'kube-system' }, call);
  if (system?.metadata.uid === undefined) {
    throw new EngineError(
      'not-found',
      'the cluster has no namespace kube-system, by which it could be told from others',
    );
  }
  return system.metadata.uid;
}

/** undefined when it is not known: on OpenShift, while Che is not installed or where somebody has chosen its host. */
function appsDomainOf(
  { spec, status, metadata: { namespace } }: KubeObject,
  { infrastructure, flavor }: Pick<Installation, 'infrastructure' | 'flavor'>,
): string | undefined {
  const said =
    infrastructure === 'Kubernetes'
      ? (textAt(spec, 'networking', 'domain') ?? textAt(spec, 'k8s', 'ingressDomain'))
      : undefined;
  const found = textAt(status, 'workspaceBaseDomain') ?? textAt(status, 'devworkspaceStatus', 'workspaceBaseDomain');
  if (said !== undefined || found !== undefined) return said ?? found;
  const url = fieldAt(status, 'cheURL');
  if (typeof url !== 'string' || !URL.canParse(url)) return undefined;
  const [first = '', ...domain] = new URL(url).hostname.split('.');
  // Generated hosts begin with the flavor, and the namespace where there may be several.
  return [flavor, UPSTREAM, `${flavor}-${namespace}`, `${UPSTREAM}-${namespace}`].includes(first)
    ? domain.join('.')
    : undefined;
}
