/** `CheClusterRestore`: brings the installation of its namespace back to a backup. */
import { EngineError, type Repository, type SnapshotEntry } from 'restic-engine';
import { clusterUidOf } from '../collect/find-installation.ts';
import { databasesOf } from '../database/databases-of.ts';
import { CLUSTER_RESTORE } from '../objects/kinds.ts';
import { type ClusterRestore, type PlanCounts, readClusterRestore } from '../resources/restore.ts';
import type { RestoreStage } from '../restore/order.ts';
import { planRestore, type RestorePlan } from '../restore/plan.ts';
import { type RestoreResult, restoreState } from '../restore/restore.ts';
import type { LeftDifference } from '../restore/work.ts';
import { chooseConfiguration } from '../server/choose.ts';
import { serverFromConfiguration } from '../server/from-configuration.ts';
import { withServerRepository } from '../server/repository.ts';
import { findState, hostOf } from '../state/find.ts';
import { openState } from '../state/open.ts';
import type { Reconcile } from './context.ts';
import { type JobKind, reconcileJob, type RunningJob } from './job.ts';
import { retryShown } from './server.ts';

const STAGES: Readonly<Record<RestoreStage, string>> = {
  download: 'Reading the backup from the backup server',
  safety: 'Backing up the installation as it is',
  'request-deletion': 'Asking for the deletion of the existing Che',
  cleanup: 'Waiting until the existing Che is gone',
  objects: 'Restoring Che related cluster objects',
  cr: 'Restoring the CheCluster',
  'wait-clean': 'Waiting until Che is ready',
  namespaces: 'Restoring namespaces of users',
  workspaces: 'Restoring workspaces',
  links: 'Linking objects to their workspaces',
  database: 'Restoring databases',
  'wait-final': 'Waiting until Che is ready with its databases',
  remove: 'Removing what is not in the backup',
  verify: 'Comparing everything with the backup',
};

/** As many are shown in a status. */
const MAX_DIFFERENCES = 100;

const RESTORE: JobKind = {
  kind: CLUSTER_RESTORE,
  noun: 'Restore',
  work: restore,
  // The spec says how long to wait.
  isFinal: (error) => EngineError.is(error, 'timeout'),
};

export const reconcileRestore: Reconcile = (context, namespace, name) =>
  reconcileJob(context, RESTORE, namespace, name);

async function restore(job: RunningJob): ReturnType<JobKind['work']> {
  const { context, namespace, object, signal } = job;
  const { cluster } = context;
  const { spec } = readClusterRestore(object);
  const name =
    spec.backupServerConfigRef ??
    (await chooseConfiguration(cluster, { namespace, purpose: 'restore-object', signal })) ??
    '';
  await job.stage(STAGES.download, { backupServer: name });
  const server = await serverFromConfiguration(cluster, name, { namespace, signal });
  return withServerRepository(server, { create: false, retry: retryShown(job), signal }, async (repository) => {
    const plan = await planned(job, repository);
    const counts = countsOf(plan);
    if (spec.dryRun) return { fields: { plan: counts }, message: 'Restore planned, nothing was changed' };
    await job.stage(STAGES.download, { plan: counts });
    const result = await restoreState({
      cluster,
      repository,
      plan,
      safety: !spec.skipSafetySnapshot,
      databases: (installation) => databasesOf(cluster, installation, { external: spec.externalDatabases, signal }),
      readyTimeoutMs: spec.readyTimeoutMs,
      impersonate: spec.impersonate,
      takeOverAfterMs: context.takeOverAfterMs,
      signal,
      onProgress: ({ stage }) => job.stageSoon(STAGES[stage]),
    });
    const differences = result.differences.slice(0, MAX_DIFFERENCES).map(differenceText);
    return { fields: { safetySnapshotId: result.safetySnapshotId, differences }, message: outcomeOf(result) };
  });
}

/** What is not as in the backup belongs to what is said first. */
export function outcomeOf({ differences, databases }: Pick<RestoreResult, 'differences' | 'databases'>): string {
  const left = differences.length === 0 ? '' : `, with ${differences.length} differences from the backup`;
  const missing = databases.filter(({ loaded }) => !loaded);
  return `Restore succeeded${left}${missing.map(({ name, reason }) => `; the database ${name} was not loaded: ${reason}`).join('')}`;
}

/** The snapshot that is found first is the one that is restored, whichever are made until then. */
async function planned(job: RunningJob, repository: Repository): Promise<RestorePlan> {
  const { context, namespace, object, signal } = job;
  const { spec, status } = readClusterRestore(object);
  const { cluster } = context;
  const snapshot = await snapshotOf(job, repository, spec.snapshotId, status.snapshotFullId);
  const state = await openState(repository, snapshot, { signal });
  const { id } = snapshot;
  const cheVersion = state.info.cheVersion === '' ? undefined : state.info.cheVersion;
  await job.stage(STAGES.download, { snapshotId: id.slice(0, 8), snapshotFullId: id, cheVersion });
  const { domain, allow, only, remove, recreate } = spec;
  return planRestore({ cluster, state, namespace, domain, allow, only, remove, recreate, signal });
}

async function snapshotOf(
  { context: { cluster }, namespace, object, signal }: RunningJob,
  repository: Repository,
  asked: string,
  found: string | undefined,
): Promise<SnapshotEntry> {
  if (found !== undefined) return findState(repository, found, { signal });
  if (asked !== 'latest') return findState(repository, asked, { signal });
  const { allow }: ClusterRestore['spec'] = readClusterRestore(object).spec;
  const host = hostOf({ namespace, clusterUid: await clusterUidOf(cluster, { signal }) });
  try {
    return await findState(repository, asked, { host, signal });
  } catch (error) {
    const elsewhere = allow.includes('cluster') || allow.includes('namespace');
    if (!elsewhere || !EngineError.is(error, 'not-found')) throw error;
    return findState(repository, asked, { anyInstallation: true, signal });
  }
}

function countsOf({ objects }: RestorePlan): PlanCounts {
  const counts: Record<string, number> = {};
  for (const { action } of objects) counts[action] = (counts[action] ?? 0) + 1;
  return counts;
}

/** Names of objects and fields, never what they contain. */
function differenceText({ ref, problem, fields, reason }: LeftDifference): string {
  const { kind, namespace, name } = ref;
  const what = [kind.kind, namespace, name].filter((part) => part !== undefined).join('/');
  const details = [fields.join(', '), reason].filter((part) => part !== undefined && part !== '').join('; ');
  return details === '' ? `${what} is ${problem}` : `${what} is ${problem}: ${details}`;
}
