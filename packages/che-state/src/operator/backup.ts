/** `CheClusterBackup`: one backup of the installation in its namespace. */
import { EngineError, listSnapshots, type Repository, type SnapshotEntry } from 'restic-engine';
import { findInstallation } from '../collect/find-installation.ts';
import { databasesOf } from '../database/databases-of.ts';
import { CLUSTER_BACKUP } from '../objects/kinds.ts';
import { readClusterBackup } from '../resources/backup.ts';
import { findRecord } from '../restore/record.ts';
import { withServerRepository } from '../server/repository.ts';
import { serverFromConfiguration } from '../server/from-configuration.ts';
import { backupState } from '../state/backup.ts';
import { entryOf } from '../state/find.ts';
import type { Reconcile } from './context.ts';
import { type JobKind, reconcileJob, type RunningJob } from './job.ts';
import { scheduleOf, scheduleTag } from './scheduled.ts';
import { backupServerOf, retryShown } from './server.ts';

const STAGES = {
  internalServer: 'Setting up the backup server in the cluster',
  repository: 'Connecting to the backup server',
  collect: 'Collecting Che installation data and sending it to the backup server',
} as const;

const BACKUP: JobKind = { kind: CLUSTER_BACKUP, noun: 'Backup', work: backUp, isFinal: () => false };

export const reconcileBackup: Reconcile = (context, namespace, name) => reconcileJob(context, BACKUP, namespace, name);

async function backUp(job: RunningJob): ReturnType<JobKind['work']> {
  const { context, namespace, object, signal } = job;
  const { cluster, tallies } = context;
  const { spec, reason } = readClusterBackup(object);
  await refuseDuringRestore(job);
  const name = await backupServerOf(job, spec, () => job.stage(STAGES.internalServer));
  await job.stage(STAGES.repository, { backupServer: name });
  const server = await serverFromConfiguration(cluster, name, { namespace, signal });
  return withServerRepository(server, { create: true, retry: retryShown(job), signal }, async (repository) => {
    const tag = tagOf(object.metadata.uid);
    const before = await findOwn(repository, tag, signal);
    if (before !== undefined) return ended(before.id, entryOf(before)?.cheVersion, undefined);
    const installation = await findInstallation(cluster, { namespace, signal });
    const databases = await databasesOf(cluster, installation, { external: spec.externalDatabases, signal });
    await job.stage(STAGES.collect);
    const schedule = scheduleOf(object);
    const tags = schedule === undefined ? [tag] : [tag, scheduleTag(schedule)];
    const result = await backupState(repository, { cluster, installation, reason, databases, tags, signal });
    const bytes = result.summary.dataAddedPacked;
    tallies.bytes.add({ namespace }, bytes);
    return ended(result.snapshotId, result.info.cheVersion, bytes);
  });
}

/** Says of a snapshot whose object made it: whoever dies between its last byte and its status finds it again. */
function tagOf(uid: string | undefined): string {
  return `object:${uid ?? ''}`;
}

async function findOwn(repository: Repository, tag: string, signal: AbortSignal): Promise<SnapshotEntry | undefined> {
  for await (const snapshot of listSnapshots(repository, { filter: { tags: [[tag]] }, signal })) return snapshot;
  return undefined;
}

function ended(id: string, version: string | undefined, bytesAdded: number | undefined) {
  const snapshot = { snapshotId: id.slice(0, 8), snapshotFullId: id };
  const fields = { ...snapshot, cheVersion: version === '' ? undefined : version, bytesAdded };
  return { fields, message: 'Backup succeeded' };
}

/** What is neither the old nor the new state is no backup. */
async function refuseDuringRestore({ context: { cluster }, namespace, signal }: RunningJob): Promise<void> {
  const restore = await findRecord(cluster, namespace, namespace, signal);
  if (restore === undefined) return;
  const { snapshotId } = restore.record;
  throw new EngineError('locked', 'a restore of this installation is not complete', { snapshotId });
}
