/** Doing what a plan says. */
import type { Repository } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { throwIfAborted } from '../cluster/wait.ts';
import { findInstallation } from '../collect/find-installation.ts';
import type { Installation } from '../collect/installation.ts';
import type { StateDatabase } from '../database/database.ts';
import { databasesOf } from '../database/databases-of.ts';
import { backupState } from '../state/backup.ts';
import { openState } from '../state/open.ts';
import { applyPlanned, applyStage, ensureNamespace, isToBeApplied } from './apply-stage.ts';
import { linkOwners } from './links.ts';
import { keyOf } from './live.ts';
import { loadDatabases, type RestoredDatabase, restartServers } from './load-databases.ts';
import type { RestoreStage } from './order.ts';
import type { RestorePlan } from './plan.ts';
import { waitUntilReady } from './ready.ts';
import { claimRecord, findRecord, type HeldRecord, type RestoreRecord } from './record.ts';
import { requestDeletion, waitUntilDeleted } from './recreate.ts';
import { removeOthers } from './remove.ts';
import { installationOf, moveOf } from './target.ts';
import { leftDifferences } from './verify.ts';
import type { LeftDifference, RestoreProgress, RestoreWork } from './work.ts';

const READY_TIMEOUT_MS = 15 * 60_000;
const TAKE_OVER_AFTER_MS = 30_000;
/** Others may be removing snapshots or data. */
const LOCK_PATIENCE_MS = 30_000;

export interface RestoreStateOptions extends ClusterCall {
  readonly cluster: Cluster;
  readonly repository: Repository;
  /** What `planRestore` said, of the same cluster and repository. */
  readonly plan: RestorePlan;
  /** Back up what is there before it is changed. @default true */
  readonly safety?: boolean | undefined;
  /** The databases of an installation, for when they are dumped for safety, and loaded. Default: those in the cluster. */
  readonly databases?: ((installation: Installation) => Promise<readonly StateDatabase[]>) | undefined;
  /** How long each thing is waited for, in milliseconds. @default 900000 */
  readonly readyTimeoutMs?: number | undefined;
  /** Create workspaces as the users they belong to, which takes the right to impersonate. @default false */
  readonly impersonate?: boolean | undefined;
  /** A restore that makes no sign of life for this long is taken over, in milliseconds. @default 30000 */
  readonly takeOverAfterMs?: number | undefined;
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
}

export interface RestoreResult {
  readonly snapshotId: string;
  /** 64 hex digits; undefined when there was nothing to be saved, or that was not wanted. */
  readonly safetySnapshotId: string | undefined;
  /** Did it go on where another had been interrupted? */
  readonly resumed: boolean;
  /** Objects that were created or changed, this time. */
  readonly applied: number;
  readonly removed: number;
  readonly databases: readonly RestoredDatabase[];
  /** In what the cluster still differs from the backup. */
  readonly differences: readonly LeftDifference[];
}

/**
 * Makes the cluster what a plan says: backs up what is there, applies the objects in the order in which they need each
 * other, waits for Che, loads databases, and compares everything with the backup at the end.
 *
 * From before the first change until after the last there is a ConfigMap `che-restore-progress` in Che's namespace. When
 * the restore is interrupted, planning and calling it again with the same options goes on.
 *
 * Rejects with `conflict` when another restore is under way or unfinished, `locked` when somebody else has the repository for
 * himself, `not-found` when the snapshot has been removed since it was planned, `timeout` when something did not get ready
 * or did not go, `database`, `bad-request` and `denied` when the API refuses the CheCluster or a namespace, and as the calls
 * of {@link Cluster} and the repository do.
 */
export async function restoreState(options: RestoreStateOptions): Promise<RestoreResult> {
  const { cluster, plan, signal } = options;
  const { namespace } = plan.target;
  const noted = await findRecord(cluster, namespace, namespace, signal);
  if (noted === undefined && plan.stages.length === 0) return nothingDone(plan);
  // Until the end, for nobody may remove the backup when what it replaces is gone.
  const lock = await options.repository.lock({ retryMs: LOCK_PATIENCE_MS, signal });
  try {
    return await restoreLocked({ ...options, signal: lock.signal });
  } catch (error) {
    throw lock.lost ?? error;
  } finally {
    // What is done is done; a lock that stays is stale after half an hour.
    await Promise.allSettled([lock[Symbol.asyncDispose]()]);
  }
}

async function restoreLocked(options: RestoreStateOptions): Promise<RestoreResult> {
  const { cluster, plan, readyTimeoutMs = READY_TIMEOUT_MS, signal } = options;
  const { namespace } = plan.target;
  const state = await openState(options.repository, plan.snapshotId, { signal });
  await ensureNamespace(cluster, namespace, { readyTimeoutMs, signal });
  const record = await claimRecord(cluster, {
    namespace,
    record: recordOf(plan),
    takeOverAfterMs: options.takeOverAfterMs ?? TAKE_OVER_AFTER_MS,
    signal,
  });
  const work: RestoreWork = {
    cluster,
    state,
    plan,
    move: moveOf(plan.info, plan.target),
    record,
    impersonate: options.impersonate ?? false,
    readyTimeoutMs,
    signal: signal === undefined ? record.lost : AbortSignal.any([signal, record.lost]),
    progress: startOf(plan, record),
    tell: () => options.onProgress?.({ ...work.progress }),
    reasons: new Map(),
    counts: { created: 0, changed: 0, removed: 0 },
  };
  try {
    const result = await runStages(work, options);
    await record.finish();
    return result;
  } catch (error) {
    // What went wrong counts, not that the note of it could not be written.
    await Promise.allSettled([record.release()]);
    throwIfAborted(signal);
    throw record.lost.aborted ? record.lost.reason : error;
  }
}

async function runStages(work: RestoreWork, options: RestoreStateOptions): Promise<RestoreResult> {
  const { plan, record, counts } = work;
  const databasesIn =
    options.databases ?? ((where: Installation) => databasesOf(work.cluster, where, { signal: work.signal }));
  const stage = (name: RestoreStage): Promise<void> => enter(work, name);
  if (isUntouched(record)) {
    await stage('safety');
    if (options.safety ?? true) await makeSafe(work, options, databasesIn);
  }
  await stage('request-deletion');
  await requestDeletion(work);
  await stage('cleanup');
  await waitUntilDeleted(work);
  await stage('objects');
  await applyStage(work, 'objects');
  await stage('cr');
  await applyStage(work, 'cr');
  await stage('wait-clean');
  const cheCluster = plan.objects.find((object) => object.stage === 'cr' && object.path !== undefined);
  if (cheCluster !== undefined) await waitUntilReady(work, cheCluster.ref);
  await stage('namespaces');
  await applyStage(work, 'namespaces');
  await stage('workspaces');
  await applyStage(work, 'workspaces');
  await stage('links');
  await linkOwners(work);
  const databases = plan.databases.length === 0 ? [] : await restoreDatabases(work, stage, databasesIn);
  await stage('remove');
  await removeOthers(work);
  await stage('verify');
  const differences = await verified(work);
  return {
    snapshotId: plan.snapshotId,
    safetySnapshotId: record.current().safetySnapshotId || undefined,
    resumed: record.resumed,
    applied: counts.created + counts.changed,
    removed: counts.removed,
    databases,
    differences,
  };
}

/**
 * What is still not as it is to be. Others had their part in it meanwhile: a garbage collector takes what belonged to the
 * old CheCluster, an operator merges what it finds. So there is one more try, but for what Che is being built from.
 */
async function verified(work: RestoreWork): Promise<readonly LeftDifference[]> {
  const { plan, progress } = work;
  const found = await leftDifferences(work);
  const again = new Set(found.filter(({ reason }) => reason === undefined).map(({ ref }) => keyOf(ref)));
  const objects = plan.objects.filter(
    ({ ref, path, stage }) => path !== undefined && stage !== 'cr' && again.has(keyOf(ref)),
  );
  if (objects.length === 0) return found;
  progress.objectsTotal += objects.length;
  await applyPlanned(work, objects);
  await linkOwners(work);
  return leftDifferences(work);
}

/** Tells that a stage with something to do begins, and that it is still this process that does it. */
async function enter({ plan, record, progress, signal, tell }: RestoreWork, stage: RestoreStage): Promise<void> {
  throwIfAborted(signal);
  if (!plan.stages.includes(stage) && !(record.resumed && isOf(plan, stage))) return;
  await record.update({ stage });
  progress.stage = stage;
  tell();
}

/** What goes on may have something to do that a plan no longer shows, but nothing that was never asked for. */
function isOf({ recreate, remove }: RestorePlan, stage: RestoreStage): boolean {
  if (stage === 'request-deletion' || stage === 'cleanup') return recreate;
  return stage !== 'remove' || remove;
}

/** Nothing has been changed before the stages that come after these. */
function isUntouched(record: HeldRecord): boolean {
  const { stage, safetySnapshotId } = record.current();
  return safetySnapshotId === '' && (stage === 'download' || stage === 'safety');
}

async function makeSafe(
  { cluster, state, plan, record, signal }: RestoreWork,
  { repository }: RestoreStateOptions,
  databasesIn: (installation: Installation) => Promise<readonly StateDatabase[]>,
): Promise<void> {
  const { target, objects } = plan;
  const isThere = target.cheCluster !== undefined;
  if (!isThere && !objects.some(({ action }) => action === 'replace' || action === 'remove')) return;
  // Where Che is away its users' objects may be there; the CheCluster beside them is the one that comes.
  const installation = isThere
    ? await findInstallation(cluster, { namespace: target.namespace, signal })
    : await installationOf(state, target, { signal });
  const databases = isThere ? await databasesIn(installation) : [];
  const saved = await backupState(repository, { cluster, installation, reason: 'before-restore', databases, signal });
  await record.update({ safetySnapshotId: saved.snapshotId });
}

async function restoreDatabases(
  work: RestoreWork,
  stage: (name: RestoreStage) => Promise<void>,
  databasesIn: (installation: Installation) => Promise<readonly StateDatabase[]>,
): Promise<readonly RestoredDatabase[]> {
  const { cluster, plan, signal } = work;
  await stage('database');
  const installation = await findInstallation(cluster, { namespace: plan.target.namespace, signal });
  const databases = await loadDatabases(work, await databasesIn(installation));
  await stage('wait-final');
  await restartServers(work, installation);
  return databases;
}

function recordOf(plan: RestorePlan): RestoreRecord {
  const { only, remove, recreate, target } = plan;
  return {
    snapshotId: plan.snapshotId,
    request: JSON.stringify({ only, remove, recreate }),
    domain: target.domain,
    safetySnapshotId: '',
    replacedUid: recreate ? (target.cheCluster?.uid ?? '') : '',
    loaded: [],
    stage: 'download',
    startedAt: new Date().toISOString(),
  };
}

function startOf({ objects, databases }: RestorePlan, record: HeldRecord): RestoreWork['progress'] {
  const wanted = objects.filter((planned) => isToBeApplied(record, planned));
  return {
    stage: 'download',
    objectsDone: 0,
    objectsTotal: wanted.length,
    removed: 0,
    databasesDone: 0,
    databasesTotal: databases.length,
    bytesDone: 0,
    bytesTotal: databases.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}

function nothingDone({ snapshotId }: RestorePlan): RestoreResult {
  return {
    snapshotId,
    safetySnapshotId: undefined,
    resumed: false,
    applied: 0,
    removed: 0,
    databases: [],
    differences: [],
  };
}
