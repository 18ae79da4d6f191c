/** InstallPlans: what OLM is about to install, where somebody has to approve it first. */
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { fieldAt, textsAt } from '../objects/fields.ts';
import { INSTALL_PLAN } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import { type FoundSubscription, splitCsv } from './subscription.ts';

/** An InstallPlan that waits for approval. */
export interface PendingInstallPlan {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  /** The CSV of the Che operator that it installs, and its version. */
  readonly csv: string;
  readonly version: string;
}

/**
 * The InstallPlan that waits for approval and installs another version of the Che operator than the one there is: the one
 * made last, when there are several. undefined when nothing waits.
 */
export async function pendingInstallPlan(
  cluster: Cluster,
  subscription: FoundSubscription,
  call: ClusterCall = {},
): Promise<PendingInstallPlan | undefined> {
  const all = await listPending(cluster, subscription, call);
  return all.filter(({ csv }) => csv !== subscription.installedCsv).at(-1);
}

/** Those that wait for approval and install a version of the Che operator, oldest first. */
export async function listPending(
  cluster: Cluster,
  { namespace, csvPrefix }: FoundSubscription,
  call: ClusterCall,
): Promise<readonly PendingInstallPlan[]> {
  const plans = await Array.fromAsync(cluster.list(INSTALL_PLAN, { namespace, ...call }));
  const age = ({ metadata }: KubeObject): string => metadata.creationTimestamp ?? '';
  return plans
    .toSorted((a, b) => age(a).localeCompare(age(b)) || generationOf(a) - generationOf(b))
    .flatMap((plan) => readPending(plan, csvPrefix) ?? []);
}

/** OLM counts the plans of a namespace; those of one second are told apart by that. */
function generationOf({ spec }: KubeObject): number {
  const generation = fieldAt(spec, 'generation');
  return typeof generation === 'number' ? generation : 0;
}

function readPending({ metadata, spec }: KubeObject, csvPrefix: string): PendingInstallPlan | undefined {
  const { name, namespace, uid, deletionTimestamp } = metadata;
  if (fieldAt(spec, 'approved') !== false || namespace === undefined || uid === undefined) return undefined;
  if (deletionTimestamp !== undefined) return undefined;
  const ours = textsAt(spec, 'clusterServiceVersionNames').filter((csv) => splitCsv(csv)?.prefix === csvPrefix);
  const [csv = ''] = ours;
  const version = splitCsv(csv)?.version;
  // One that installs two versions leads further than where it is said to lead.
  return ours.length !== 1 || version === undefined ? undefined : { name, namespace, uid, csv, version };
}

/** Approves exactly this plan. Rejects with `not-found` when it is gone, `bad-request` when another one has its name. */
export async function approveInstallPlan(
  cluster: Cluster,
  { name, namespace, uid }: PendingInstallPlan,
  call: ClusterCall = {},
): Promise<void> {
  const patch = { metadata: { uid }, spec: { approved: true } };
  await cluster.merge({ kind: INSTALL_PLAN, namespace, name }, patch, call);
}
