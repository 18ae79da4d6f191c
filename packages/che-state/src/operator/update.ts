/**
 * Backs an installation up before its operator changes it: when an InstallPlan of OLM waits for approval, and when an
 * operator runs that is newer than what is installed. A plan that waits is approved after its backup, where that is wanted.
 */
import { EngineError } from 'restic-engine';
import { findInstallation } from '../collect/find-installation.ts';
import type { Installation } from '../collect/installation.ts';
import { CLUSTER_BACKUP } from '../objects/kinds.ts';
import { apiVersionOf, type KubeObject } from '../objects/object.ts';
import { approveInstallPlan, type PendingInstallPlan, pendingInstallPlan } from '../olm/install-plan.ts';
import { findOperator, versionOf } from '../olm/operator.ts';
import { findSubscription } from '../olm/subscription.ts';
import { REASON_LABEL } from '../resources/backup.ts';
import { readJobStatus } from '../resources/job.ts';
import { DONE, type OperatorContext, type Reconcile, tell } from './context.ts';
import { isNewer } from './version.ts';

/** On the CheCluster: `"true"` approves an update that waits as soon as there is a backup. */
export const APPROVE_ANNOTATION = 'backup.che.eclipse.org/approve-updates';
/** On the CheCluster: `"true"` approves it also when the backup has failed. */
export const UNSAFE_ANNOTATION = 'backup.che.eclipse.org/update-without-backup';
/** On a backup: the update it was made for, so that the next update to the same version gets one of its own. */
const UPDATE_ANNOTATION = 'backup.che.eclipse.org/update';
/** On a backup for a plan that was approved: the operator that came of it. */
const CARRIED_ANNOTATION = 'backup.che.eclipse.org/update-carried-out';

/** After one that failed. */
const NEXT_ATTEMPT_MS = 10 * 60_000;

interface Update {
  readonly from: string;
  readonly to: string;
  /** Tells this update from others between the same versions. */
  readonly id: string;
  readonly plan: PendingInstallPlan | undefined;
}

/** By the name of a CheCluster. */
export const reconcileUpdate: Reconcile = async (context, namespace) => {
  const installation = await installed(context, namespace);
  if (installation === undefined) return DONE;
  const again = { again: 'at', ms: context.resyncMs } as const;
  const update = await pendingUpdate(context, installation);
  if (update === undefined) return again;
  const backups = await updateBackups(context, namespace, update);
  const mine = backups.findLast(({ metadata }) => metadata.annotations?.[UPDATE_ANNOTATION] === update.id);
  if (mine === undefined) {
    if (update.plan === undefined && (await isCarriedOut(context, backups, update))) return again;
    await createBackup(context, installation, update, backups);
    return again;
  }
  await afterBackup(context, installation, update, { mine, backups });
  return again;
};

interface Attempts {
  /** The last one for this update. */
  readonly mine: KubeObject;
  readonly backups: readonly KubeObject[];
}

async function afterBackup(
  context: OperatorContext,
  installation: Installation,
  update: Update,
  { mine, backups }: Attempts,
): Promise<void> {
  const { cluster, signal, approveUpdates, now } = context;
  const { cheCluster } = installation;
  const { annotations = {} } = cheCluster.metadata;
  const { state, completionTime } = readJobStatus(mine);
  const failed = state === 'Failed';
  const enough = state === 'Succeeded' || (failed && annotations[UNSAFE_ANNOTATION] === 'true');
  if (failed && !enough) {
    const since = now().getTime() - Date.parse(completionTime ?? '');
    if (!(since < NEXT_ATTEMPT_MS)) await createBackup(context, installation, update, backups);
    return;
  }
  const approve = approveUpdates || annotations[APPROVE_ANNOTATION] === 'true';
  if (update.plan === undefined || !enough || !approve) return;
  await approveInstallPlan(cluster, update.plan, { signal });
  const message = `approved the update to ${update.to}, after ${mine.metadata.name}`;
  await tell(context, cheCluster, { type: 'Normal', reason: 'UpdateApproved', message });
}

async function installed({ cluster, signal }: OperatorContext, namespace: string): Promise<Installation | undefined> {
  try {
    return await findInstallation(cluster, { namespace, signal });
  } catch (error) {
    if (!EngineError.is(error, 'not-found')) throw error;
    return undefined;
  }
}

/** What a running operator does cannot be held up, so it comes first. */
async function pendingUpdate(
  { cluster, signal }: OperatorContext,
  { namespace, flavor, cheVersion: from, cheCluster }: Installation,
): Promise<Update | undefined> {
  if (from === undefined || cheCluster.metadata.deletionTimestamp !== undefined) return undefined;
  const operator = await findOperator(cluster, [namespace], { signal });
  const running = operator === undefined ? undefined : versionOf(operator);
  if (operator !== undefined && running !== undefined && isNewer(running, from)) {
    const { uid = '', generation = 0 } = operator.metadata;
    return { from, to: running, id: `${from} ${running} ${uid} ${generation}`, plan: undefined };
  }
  const subscription = await findSubscription(cluster, { namespace, flavor, signal });
  if (subscription === undefined) return undefined;
  const plan = await pendingInstallPlan(cluster, subscription, { signal });
  if (plan === undefined || !isNewer(plan.version, from)) return undefined;
  return { from, to: plan.version, id: `${from} ${plan.version} ${plan.uid}`, plan };
}

const nameOf = ({ to }: Update): string => `backup-before-update-to-${to.replace(/[^a-z0-9]+/g, '-')}`;

/** All attempts for updates to a version, oldest first. */
async function updateBackups(
  { cluster, signal }: OperatorContext,
  namespace: string,
  update: Update,
): Promise<readonly KubeObject[]> {
  const first = nameOf(update);
  const found: { readonly object: KubeObject; readonly attempt: number }[] = [];
  for await (const object of cluster.list(CLUSTER_BACKUP, { namespace, signal })) {
    const { name } = object.metadata;
    const attempt = name === first ? 1 : Number(/^-(\d+)$/.exec(name.slice(first.length))?.[1]);
    if (name.startsWith(first) && attempt > 0) found.push({ object, attempt });
  }
  return found.toSorted((a, b) => a.attempt - b.attempt).map(({ object }) => object);
}

/** Was the backup made before OLM brought this operator? It serves for one. */
async function isCarriedOut(
  { cluster, signal }: OperatorContext,
  backups: readonly KubeObject[],
  { from, to, id }: Update,
): Promise<boolean> {
  const good = backups.findLast((backup) => readJobStatus(backup).state === 'Succeeded');
  if (good === undefined) return false;
  const { name, namespace, annotations = {} } = good.metadata;
  const [madeFrom, madeTo, ...rest] = (annotations[UPDATE_ANNOTATION] ?? '').split(' ');
  // One for a plan has one word more, one for an operator two.
  if (madeFrom !== from || madeTo !== to || rest.length !== 1) return false;
  const carried = annotations[CARRIED_ANNOTATION];
  if (carried !== undefined) return carried === id;
  const patch = { metadata: { annotations: { [CARRIED_ANNOTATION]: id } } };
  await cluster.merge({ kind: CLUSTER_BACKUP, namespace, name }, patch, { signal });
  return true;
}

async function createBackup(
  context: OperatorContext,
  { cheCluster, namespace }: Installation,
  update: Update,
  backups: readonly KubeObject[],
): Promise<void> {
  const first = nameOf(update);
  const last = backups.at(-1)?.metadata.name;
  const attempt = last === undefined ? 1 : Number(/-(\d+)$/.exec(last.slice(first.length))?.[1] ?? 1) + 1;
  const name = attempt === 1 ? first : `${first}-${attempt}`;
  const backup: KubeObject = {
    apiVersion: apiVersionOf(CLUSTER_BACKUP),
    kind: CLUSTER_BACKUP.kind,
    metadata: {
      name,
      namespace,
      labels: { [REASON_LABEL]: 'before-update' },
      annotations: { [UPDATE_ANNOTATION]: update.id },
    },
    spec: {},
  };
  await context.cluster.create(CLUSTER_BACKUP, backup, { signal: context.signal });
  const message = `created ${name}: an update from ${update.from} to ${update.to} is coming`;
  await tell(context, cheCluster, { type: 'Normal', reason: 'BackupBeforeUpdate', message });
}
