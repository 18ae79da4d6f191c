/** Finding backups of Che among the snapshots of a repository. */
import { compareTimestamps, EngineError, findSnapshot, listSnapshots } from 'restic-engine';
import type { ListSnapshotsOptions, Repository, SnapshotEntry } from 'restic-engine';
import type { Installation } from '../collect/installation.ts';
import { BACKUP_REASONS } from './info.ts';
import type { BackupReason } from './info.ts';

/** Every backup of ours has it. */
export const STATE_TAG = 'che';
/** What the old operator backed up. It set no tags, and its host was another one each time. */
const OLD_PATH = '/tmp/che-backup-data';

/** What a snapshot says of the backup in it, before anything of that is read. */
export interface StateEntry {
  readonly snapshot: SnapshotEntry;
  /** The old operator made it, which says nothing of the rest. */
  readonly isOld: boolean;
  readonly namespace: string | undefined;
  readonly cheVersion: string | undefined;
  readonly reason: BackupReason | undefined;
}

export interface ListStatesOptions extends Pick<ListSnapshotsOptions, 'signal' | 'onBroken'> {
  /** One installation: what {@link hostOf} says. Default: all. */
  readonly host?: string | undefined;
  /** Che's namespace. Default: all. */
  readonly namespace?: string | undefined;
}

export interface FindStateOptions extends Pick<ListSnapshotsOptions, 'signal'> {
  /** The installation whose `latest` backup is meant: what {@link hostOf} says. */
  readonly host?: string | undefined;
  /** `latest` is that of whichever installation. @default false */
  readonly anyInstallation?: boolean | undefined;
}

/** The host of an installation's snapshots: the same for as long as namespace and cluster exist. */
export function hostOf({ namespace, clusterUid }: Pick<Installation, 'namespace' | 'clusterUid'>): string {
  return `${namespace}@${clusterUid}`;
}

/** The tags of a backup's snapshot. */
export function tagsOf({ namespace, cheVersion }: Installation, reason: BackupReason): readonly string[] {
  return [
    STATE_TAG,
    `namespace:${namespace}`,
    ...(cheVersion === undefined ? [] : [`version:${cheVersion}`]),
    `reason:${reason}`,
  ];
}

/** The backups in a repository, oldest first. Those of the old operator may be of any installation, so all have them. */
export async function listStates(repository: Repository, options: ListStatesOptions = {}): Promise<StateEntry[]> {
  const { host, namespace, signal, onBroken } = options;
  const states: StateEntry[] = [];
  for await (const snapshot of listSnapshots(repository, { signal, onBroken })) {
    const entry = entryOf(snapshot);
    const isAsked =
      (host === undefined || snapshot.hostname === host) && (namespace === undefined || entry?.namespace === namespace);
    if (entry !== undefined && (entry.isOld || isAsked)) states.push(entry);
  }
  return states.toSorted((a, b) => compareTimestamps(a.snapshot.time, b.snapshot.time));
}

/**
 * The snapshot of a backup: `latest` of the installation, or the one with an id or the unique beginning of one. What was
 * saved before a restore is never the latest.
 * Rejects with `not-found`, `ambiguous`, `bad-request` when `latest` is asked without saying of which installation, and
 * `mismatch` for a snapshot of something else.
 */
export async function findState(
  repository: Repository,
  which: string,
  { host, anyInstallation = false, signal }: FindStateOptions = {},
): Promise<SnapshotEntry> {
  if (which !== 'latest') {
    if (which.includes(':')) throw new EngineError('bad-request', 'a whole snapshot is wanted', { snapshot: which });
    const { snapshot } = await findSnapshot(repository, which, { signal });
    if (entryOf(snapshot) !== undefined) return snapshot;
    throw new EngineError('mismatch', `snapshot ${which} is no backup of Che`, { snapshot: which });
  }
  if (host === undefined && !anyInstallation) {
    throw new EngineError('bad-request', 'latest needs an installation whose backup is meant', { snapshot: which });
  }
  const states = await listStates(repository, { host: anyInstallation ? undefined : host, signal });
  // The old operator's may be of another installation: one of this is better.
  const latest = states.findLast(isForRestoring) ?? states.findLast(({ isOld }) => isOld);
  if (latest !== undefined) return latest.snapshot;
  throw new EngineError('not-found', 'the repository has no backup of this installation of Che', { snapshot: which });
}

/** What a restore saves before it begins is what was to be replaced: who restores `latest` once more wants the backup. */
function isForRestoring({ isOld, reason }: StateEntry): boolean {
  return !isOld && reason !== 'before-restore';
}

/** undefined for a snapshot of something else. */
export function entryOf(snapshot: SnapshotEntry): StateEntry | undefined {
  const { tags = [], paths } = snapshot;
  const isOld = paths.includes(OLD_PATH);
  if (!isOld && !tags.includes(STATE_TAG)) return undefined;
  const valueOf = (name: string): string | undefined =>
    tags.find((tag) => tag.startsWith(`${name}:`))?.slice(name.length + 1);
  const reason = valueOf('reason');
  return {
    snapshot,
    isOld,
    namespace: valueOf('namespace'),
    cheVersion: valueOf('version'),
    reason: BACKUP_REASONS.find((known) => known === reason),
  };
}
