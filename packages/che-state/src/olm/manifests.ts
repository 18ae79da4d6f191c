/** Brings a version of the Che operator from its manifests. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { refOf } from '../cluster/paths.ts';
import { fieldAt } from '../objects/fields.ts';
import { DEPLOYMENT } from '../objects/kinds.ts';
import type { Kind, KubeObject } from '../objects/object.ts';
import type { BringOptions } from './bring.ts';
import { Deadline } from './deadline.ts';
import { versionOf } from './operator.ts';

/** What others need comes first; the operator, when it finds everything. */
const FIRST = ['Namespace', 'CustomResourceDefinition', 'ServiceAccount', 'Secret', 'ConfigMap'];

export async function applyManifests(
  cluster: Cluster,
  manifests: readonly KubeObject[],
  current: KubeObject | undefined,
  options: BringOptions,
): Promise<void> {
  const { timeoutMs, signal, namespace, onProgress = () => undefined } = options;
  const operator = checked(manifests, current, options);
  const rank = ({ kind }: KubeObject): number => {
    const at = FIRST.indexOf(kind);
    return kind === DEPLOYMENT.kind ? FIRST.length + 1 : at === -1 ? FIRST.length : at;
  };
  const deadline = new Deadline(timeoutMs, { signal });
  const ordered = manifests.toSorted((a, b) => rank(a) - rank(b));
  for (const [done, manifest] of ordered.entries()) {
    onProgress({ step: 'apply', done, total: ordered.length });
    const kind = await servedKind(cluster, manifest, deadline, { signal });
    await cluster.apply(kind, placed(manifest, kind, namespace), { signal });
  }
  onProgress({ step: 'wait', done: ordered.length, total: ordered.length });
  const ref = refOf(DEPLOYMENT, placed(operator, DEPLOYMENT, namespace));
  for (;;) {
    const deployment = await cluster.get(ref, { signal });
    if (deployment !== undefined && rolledOut(deployment)) return;
    await deadline.pause('the Deployment of the Che operator to be rolled out');
  }
}

/** The operator among the manifests, which must be of the wanted version and take the place of the one that runs. */
function checked(
  manifests: readonly KubeObject[],
  current: KubeObject | undefined,
  { version, namespace }: BringOptions,
): KubeObject {
  const operators = manifests.filter((each) => each.kind === DEPLOYMENT.kind && versionOf(each) !== undefined);
  const [operator] = operators;
  if (operator === undefined || operators.length > 1) {
    throw new EngineError('bad-request', 'the manifests have not exactly one Deployment of the Che operator');
  }
  const found = versionOf(operator) ?? '';
  if (found !== version) {
    throw new EngineError('mismatch', `the manifests are of version ${found}, not ${version}`, { found, version });
  }
  const place = operator.metadata.namespace ?? namespace;
  const now = current?.metadata;
  if (now !== undefined && (now.namespace !== place || now.name !== operator.metadata.name)) {
    throw new EngineError('mismatch', 'the manifests would bring a second Che operator beside the one that runs', {
      runs: `${now.namespace}/${now.name}`,
      manifests: `${place}/${operator.metadata.name}`,
    });
  }
  return operator;
}

/** Che's namespace is meant where a manifest names none. */
function placed(manifest: KubeObject, kind: Kind, namespace: string): KubeObject {
  if (!kind.namespaced || manifest.metadata.namespace !== undefined) return manifest;
  return { ...manifest, metadata: { ...manifest.metadata, namespace } };
}

/** A kind that has just been defined is served a little later. */
async function servedKind(
  cluster: Cluster,
  { apiVersion, kind }: KubeObject,
  deadline: Deadline,
  call: ClusterCall,
): Promise<Kind> {
  for (;;) {
    const found = await cluster.findKind(apiVersion, kind, call);
    if (found !== undefined) return found;
    await deadline.pause(`the API to serve ${kind} of ${apiVersion}`);
  }
}

/** As `kubectl rollout status` has it. */
function rolledOut({ metadata, spec, status }: KubeObject): boolean {
  const count = (name: string): number => {
    const value = fieldAt(status, name);
    return typeof value === 'number' ? value : 0;
  };
  const wanted = fieldAt(spec, 'replicas');
  const replicas = typeof wanted === 'number' ? wanted : 1;
  const updated = count('updatedReplicas');
  if (count('observedGeneration') < (metadata.generation ?? 0)) return false;
  return updated >= replicas && count('replicas') <= updated && count('availableReplicas') >= updated;
}
