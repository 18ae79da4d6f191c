/** Backs up an installation: from the cluster straight into a snapshot. */
import { backup, EngineError, objects } from 'restic-engine';
import type { ObjectEntry, Repository, SnapshotSummary } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { collect } from '../collect/collect.ts';
import { findInstallation } from '../collect/find-installation.ts';
import type { Installation } from '../collect/installation.ts';
import type { StateDatabase } from '../database/database.ts';
import type { ObjectRef } from '../objects/object.ts';
import { databasePath, INFO_PATH } from '../objects/path.ts';
import { toYaml } from '../objects/yaml.ts';
import { findSubscription } from '../olm/subscription.ts';
import { hostOf, tagsOf } from './find.ts';
import type { BackupInfo, BackupReason, OperatorInfo } from './info.ts';

const MADE_BY = 'che-backup 0.1.0';
/** Secrets are among them: nobody but who restores them to files need read those. */
const MODE = 0o600;

export interface BackupStateOptions extends ClusterCall {
  readonly cluster: Cluster;
  /** Default: the one in `namespace`, or the only one of the cluster. */
  readonly installation?: Installation | undefined;
  readonly namespace?: string | undefined;
  readonly reason: BackupReason;
  /** Those of the installation; one that is skipped is only noted. Default: none. */
  readonly databases?: readonly StateDatabase[] | undefined;
  /** Tags beside those that every backup has. */
  readonly tags?: readonly string[] | undefined;
  /** Wait this long for locks of the repository, in ms. @default 0 */
  readonly retryLockMs?: number | undefined;
  /** At most ten times a second. */
  readonly onProgress?: ((progress: BackupStateProgress) => void) | undefined;
}

/** Cumulative; sizes in bytes of what was read, dumps among it. */
export interface BackupStateProgress {
  readonly objectsDone: number;
  readonly bytesDone: number;
}

export interface BackupStateResult {
  /** 64 hex digits. */
  readonly snapshotId: string;
  readonly info: BackupInfo;
  /** Objects in the backup. */
  readonly objects: number;
  /** What the CheCluster names and the cluster did not have. */
  readonly missing: readonly ObjectRef[];
  /** What is new in the repository, in bytes and blobs. */
  readonly summary: SnapshotSummary;
}

/**
 * Writes a backup of an installation as a snapshot: objects as they come, dumps as they are made, `backup-info.yaml` last.
 * Nothing is kept on disk or in memory, and what has not changed since the last backup is not stored again. When anything
 * fails, a database's dump for one, there is no snapshot.
 *
 * Rejects as finding the installation, collecting, dumping, and `backup` do.
 */
export async function backupState(repository: Repository, options: BackupStateOptions): Promise<BackupStateResult> {
  const { cluster, namespace, reason, databases = [], tags = [], retryLockMs, signal, onProgress } = options;
  const call = { signal };
  const installation = options.installation ?? (await findInstallation(cluster, { namespace, signal }));
  const operator = await operatorOf(cluster, installation, call);
  const info = infoOf(installation, { reason, databases, operator, now: new Date() });
  const missing: ObjectRef[] = [];
  let objectsDone = 0;

  async function* entries(): AsyncGenerator<ObjectEntry> {
    // First, so that they are as old as the objects.
    for (const database of databases) {
      if (database.by === 'skipped') continue;
      yield { path: databasePath(database.name), content: database.dump(call), mode: MODE };
    }
    for await (const { path, yaml } of collect(cluster, installation, {
      signal,
      onMissing: (ref) => missing.push(ref),
    })) {
      yield { path, content: yaml, mode: MODE };
      objectsDone++;
    }
    yield { path: INFO_PATH, content: await toYaml(info), mode: MODE };
  }

  const { snapshotId, snapshot, summary } = await backup(repository, {
    source: objects(entries()),
    hostname: hostOf(installation),
    tags: [...tagsOf(installation, reason), ...tags],
    groupBy: ['host', 'paths'],
    retryLockMs,
    signal,
    onProgress: ({ bytesDone }) => onProgress?.({ objectsDone, bytesDone }),
  });
  if (snapshotId === undefined)
    throw new EngineError('io', 'no snapshot was written', { paths: snapshot.paths.join() });
  return { snapshotId, info, objects: objectsDone, missing, summary };
}

/** How the Che operator was installed is worth noting, but no reason to do without a backup. */
async function operatorOf(
  cluster: Cluster,
  { namespace, flavor }: Installation,
  call: ClusterCall,
): Promise<OperatorInfo | undefined> {
  try {
    const found = await findSubscription(cluster, { namespace, flavor, ...call });
    if (found === undefined) return undefined;
    const { package: _package, csvPrefix: _csvPrefix, ...operator } = found;
    return operator;
  } catch (error) {
    if (EngineError.is(error, 'denied') || EngineError.is(error, 'ambiguous')) return undefined;
    throw error;
  }
}

interface About {
  readonly reason: BackupReason;
  readonly databases: readonly StateDatabase[];
  readonly operator: OperatorInfo | undefined;
  readonly now: Date;
}

/** What a backup says of itself. */
function infoOf(installation: Installation, { reason, databases, operator, now }: About): BackupInfo {
  return {
    metadataFileVersion: 'v1',
    creationDate: now.toISOString(),
    cheVersion: installation.cheVersion ?? '',
    infrastructure: installation.infrastructure,
    appsDomain: installation.appsDomain,
    namespace: installation.namespace,
    generation: installation.generation,
    flavor: installation.flavor,
    clusterUid: installation.clusterUid,
    kubernetesVersion: installation.kubernetesVersion,
    madeBy: MADE_BY,
    reason,
    operator,
    databases: databases.map(({ name, by }) => ({ name, by })),
  };
}
