/** Brings the Che operator of a version: through OLM where it came from there, else from manifests. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { refOf } from '../cluster/paths.ts';
import { SUBSCRIPTION } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import { findChange, forgetChange } from './change.ts';
import { applyManifests } from './manifests.ts';
import { findOperator, versionOf } from './operator.ts';
import { type Known, subscribeTo } from './subscribe.ts';
import { type FindSubscriptionOptions, findSubscriptionObject } from './subscription.ts';

/** What is being done. */
export interface OperatorProgress {
  readonly step: 'remove-subscription' | 'remove-csv' | 'create-subscription' | 'approve' | 'apply' | 'wait';
  /** The CSV that is removed, approved or waited for, and OLM's word for its state. */
  readonly csv?: string | undefined;
  readonly phase?: string | undefined;
  /** Manifests that are applied, of how many. */
  readonly done?: number | undefined;
  readonly total?: number | undefined;
}

export interface BringOptions extends ClusterCall {
  /** Such as `7.42.0`. */
  readonly version: string;
  /** Che's namespace. */
  readonly namespace: string;
  /** The installation's, where several Subscriptions may be there. */
  readonly flavor?: string | undefined;
  /** What to apply where OLM has not installed the operator: everything of that version, its Deployment among it. */
  readonly manifests?: readonly KubeObject[] | undefined;
  /** Milliseconds until the version must run, from the first change on. */
  readonly timeoutMs: number;
  readonly onProgress?: ((progress: OperatorProgress) => void) | undefined;
}

export interface BroughtOperator {
  readonly version: string;
  readonly by: 'olm' | 'manifests';
  /** false: it ran already. */
  readonly changed: boolean;
}

/**
 * Brings the Che operator of `version` and resolves when it runs. Everything that is needed is read before anything is
 * removed, and a call that was interrupted is completed by the next one. Through OLM the approval of updates becomes
 * manual; the annotation `backup.che.eclipse.org/approval-before` of the Subscription says what it was.
 *
 * Rejects with `not-found` when the catalog does not offer the version, `bad-request` without Subscription and manifests,
 * `mismatch` when the manifests are of another version or for another namespace, `timeout`, and as calls of a cluster do.
 */
export async function bringOperator(cluster: Cluster, options: BringOptions): Promise<BroughtOperator> {
  const { version, namespace, flavor, signal, manifests } = options;
  const known = await whatIsKnown(cluster, { namespace, flavor, signal });
  const home = (known.subscription ?? known.begun?.subscription)?.metadata.namespace;
  const operator = await findOperator(cluster, [home, namespace], { signal });
  const runs = operator !== undefined && versionOf(operator) === version;
  const by = home === undefined ? 'manifests' : 'olm';
  if (runs && !(await isUnderWay(cluster, known, { signal }))) return { version, by, changed: false };
  if (home !== undefined) await subscribeTo(cluster, known, options);
  else if (manifests !== undefined) await applyManifests(cluster, manifests, operator, options);
  else {
    throw new EngineError(
      'bad-request',
      `OLM has not installed the Che operator here: give the manifests of version ${version}`,
    );
  }
  return { version, by, changed: true };
}

/** A change that was begun says which Subscription it is about: when that is gone, another one is not meant. */
async function whatIsKnown(
  cluster: Cluster,
  options: FindSubscriptionOptions & { readonly namespace: string },
): Promise<Known> {
  const begun = await findChange(cluster, options);
  if (begun === undefined) return { begun, subscription: await findSubscriptionObject(cluster, options) };
  const { signal } = options;
  return { begun, subscription: await cluster.get(refOf(SUBSCRIPTION, begun.subscription), { signal }) };
}

/** A change that was noted, and has not removed anything yet, is forgotten. */
async function isUnderWay(cluster: Cluster, { begun, subscription }: Known, call: ClusterCall): Promise<boolean> {
  if (begun === undefined) return false;
  if (subscription?.metadata.uid !== begun.replaces) return true;
  await forgetChange(cluster, begun, call);
  return false;
}
