/** Brings a version of the Che operator through OLM, which knows no way back: its Subscription is made anew. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { refOf } from '../cluster/paths.ts';
import { textAt } from '../objects/fields.ts';
import { CLUSTER_SERVICE_VERSION, SUBSCRIPTION } from '../objects/kinds.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import type { BringOptions, OperatorProgress } from './bring.ts';
import { channelWith } from './catalog.ts';
import { changeOf, forgetChange, type OperatorChange, saveChange } from './change.ts';
import { Deadline } from './deadline.ts';
import { approveInstallPlan, listPending } from './install-plan.ts';
import { findOperator, versionOf } from './operator.ts';
import { describeSubscription, splitCsv } from './subscription.ts';

/** CSVs of operators for all namespaces are copied into each of them, with this label. */
const COPIED = 'olm.copiedFrom';

type Report = (progress: OperatorProgress) => void;

/** What is known before anything is changed: the Subscription, a change that was begun, or both. */
export interface Known {
  readonly subscription: KubeObject | undefined;
  readonly begun: OperatorChange | undefined;
}

export async function subscribeTo(cluster: Cluster, known: Known, options: BringOptions): Promise<void> {
  const { signal, version, onProgress = () => undefined } = options;
  const call: ClusterCall = { signal };
  const { change, replaced } = await planned(cluster, known, options);
  const deadline = new Deadline(options.timeoutMs, call);
  await saveChange(cluster, change, call);
  const ref = refOf(SUBSCRIPTION, change.subscription);
  if (replaced !== undefined) {
    onProgress({ step: 'remove-subscription' });
    await cluster.remove(ref, { uid: change.replaces, signal });
    await gone(cluster, ref, change.replaces, deadline, call);
  }
  const isThere = (await cluster.get(ref, call)) !== undefined;
  await removeVersions(cluster, change, isThere, deadline, { call, onProgress });
  if (!isThere) {
    onProgress({ step: 'create-subscription' });
    await createAnew(cluster, change.subscription, call);
  }
  await installed(cluster, change, version, deadline, { call, onProgress });
  await forgetChange(cluster, change, call);
}

/** Reads everything that is needed and decides; changes nothing. */
async function planned(
  cluster: Cluster,
  { subscription, begun }: Known,
  { version, namespace, signal }: BringOptions,
): Promise<{ readonly change: OperatorChange; readonly replaced: KubeObject | undefined }> {
  const there = subscription ?? begun?.subscription;
  if (there === undefined) throw new TypeError('there is neither a Subscription nor a note of one');
  const csv = `${describeSubscription(there).csvPrefix}.v${version}`;
  const replaced = subscription?.metadata.uid === begun?.replaces ? subscription : undefined;
  const isNew = textAt(subscription?.spec, 'startingCSV') === csv;
  if (textAt(begun?.subscription.spec, 'startingCSV') === csv && begun !== undefined) {
    if (subscription === undefined || replaced !== undefined || isNew) return { change: begun, replaced };
  }
  const channel = await channelWith(cluster, there, csv, { signal });
  return { change: changeOf(there, csv, channel, namespace), replaced: subscription };
}

async function createAnew(cluster: Cluster, subscription: KubeObject, call: ClusterCall): Promise<void> {
  try {
    await cluster.create(SUBSCRIPTION, subscription, call);
  } catch (error) {
    // The answer to an earlier try may have been lost.
    if (!EngineError.is(error, 'already-exists')) throw error;
  }
}

/**
 * OLM installs nothing beside a version that no Subscription has installed, be it the wanted one. That is kept only when
 * the new Subscription is there, which may have installed it.
 */
async function removeVersions(
  cluster: Cluster,
  { subscription }: OperatorChange,
  keepWanted: boolean,
  deadline: Deadline,
  { call, onProgress }: { readonly call: ClusterCall; readonly onProgress: Report },
): Promise<void> {
  const wanted = textAt(subscription.spec, 'startingCSV');
  const { csvPrefix, namespace } = describeSubscription(subscription);
  for await (const { metadata } of cluster.list(CLUSTER_SERVICE_VERSION, { namespace, ...call })) {
    const { name, uid } = metadata;
    const isOurs = splitCsv(name)?.prefix === csvPrefix && metadata.labels?.[COPIED] === undefined;
    if (!isOurs || (keepWanted && name === wanted)) continue;
    onProgress({ step: 'remove-csv', csv: name });
    const ref = { kind: CLUSTER_SERVICE_VERSION, namespace, name };
    await cluster.remove(ref, { uid, ...call });
    await gone(cluster, ref, uid ?? '', deadline, call);
  }
}

async function gone(
  cluster: Cluster,
  ref: ObjectRef,
  uid: string,
  deadline: Deadline,
  call: ClusterCall,
): Promise<void> {
  while ((await cluster.get(ref, call))?.metadata.uid === uid) {
    await deadline.pause(`${ref.kind.kind} ${ref.name} to be gone`);
  }
}

/** Approves the plan of the wanted CSV, and of nothing else, and waits until that version runs. */
async function installed(
  cluster: Cluster,
  { subscription }: OperatorChange,
  version: string,
  deadline: Deadline,
  { call, onProgress }: { readonly call: ClusterCall; readonly onProgress: Report },
): Promise<void> {
  const found = describeSubscription(subscription);
  const { namespace } = found;
  const name = textAt(subscription.spec, 'startingCSV') ?? '';
  let told = '';
  for (;;) {
    const csv = await cluster.get({ kind: CLUSTER_SERVICE_VERSION, namespace, name }, call);
    const phase = textAt(csv?.status, 'phase') ?? 'Unknown';
    if (phase !== told) onProgress({ step: 'wait', csv: name, phase });
    told = phase;
    if (phase === 'Succeeded') {
      const now = await cluster.get(refOf(SUBSCRIPTION, subscription), call);
      const operator = await findOperator(cluster, [namespace], call);
      const runs = operator !== undefined && versionOf(operator) === version;
      if (runs && textAt(now?.status, 'installedCSV') === name) return;
    } else {
      for (const plan of await listPending(cluster, found, call)) {
        if (plan.csv !== name) continue;
        onProgress({ step: 'approve', csv: name });
        await approveInstallPlan(cluster, plan, call);
      }
    }
    await deadline.pause(`${name}, which is ${phase}`);
  }
}
