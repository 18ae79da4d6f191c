/** Which snapshot a backup is compared with (restic manual, "Backing up", parent snapshots). */
import { EngineError } from '@restic-engine/repo-format';
import type { Code, Id, Node, Timestamp } from '@restic-engine/repo-format';
import type { IndexedRepository, Repository } from '@restic-engine/repository';
import { findLatest, findSnapshot } from '../find.ts';
import type { GroupBy, SnapshotEntry, SnapshotFilter } from '../find.ts';
import type { Tracker } from './progress.ts';
import type { BackupOptions } from './types.ts';

export interface ParentQuery {
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly time: Timestamp;
  readonly tracker: Tracker;
  readonly signal: AbortSignal;
}

/**
 * The parent: none with `force`, the one that was asked for, or the latest before `time` that has in common what
 * `groupBy` says. Paths and tags may be more than asked for. Rejects with `not-found` for one that was asked for only.
 */
export async function findParent(
  repository: Repository,
  options: BackupOptions,
  query: ParentQuery,
): Promise<SnapshotEntry | undefined> {
  if (options.force === true) return undefined;
  const { hostname, paths, time, tracker, signal } = query;
  const groupBy: readonly GroupBy[] = options.groupBy ?? ['host', 'paths'];
  const filter: SnapshotFilter = {
    hosts: groupBy.includes('host') ? [hostname] : [],
    paths: groupBy.includes('paths') ? paths : [],
    tags: groupBy.includes('tags') ? [options.tags ?? []] : [],
  };
  if (options.parent === undefined) {
    // Damage in old snapshots must not stop new ones.
    const onBroken = (id: Id, error: EngineError): void => tracker.problem(`Ignoring "${id}": ${error.message}`);
    return findLatest(repository, { filter, notAfter: time, signal, onBroken });
  }
  return (await findSnapshot(repository, options.parent, { filter, notAfter: time, signal })).snapshot;
}

/** How a tree of an old snapshot may be damaged. */
const DAMAGES: ReadonlySet<Code> = new Set<Code>(['corrupt', 'not-found', 'out-of-range', 'too-large', 'unsupported']);

/**
 * The nodes of a tree of the parent snapshot; none without one, and none if it is damaged: its directory is then read
 * anew.
 */
export async function parentNodes(
  indexed: IndexedRepository,
  tree: Id | undefined,
  tracker: Tracker,
  signal: AbortSignal,
): Promise<readonly Node[]> {
  if (tree === undefined) return [];
  try {
    return await indexed.loadTree(tree, { signal });
  } catch (error) {
    if (!EngineError.is(error) || !DAMAGES.has(error.code)) throw error;
    tracker.problem(`parent tree ${tree} cannot be read: ${error.message}`);
    return [];
  }
}
