/** Snapshots that belong together (restic manual, "Grouping snapshots"). */
import { compareNames } from '@restic-engine/repo-format';
import type { GroupBy, SnapshotEntry } from './find.ts';

/** What the members have in common, with restic's names; null where snapshots are not grouped by it, or have no tags. */
export interface GroupKey {
  readonly hostname: string;
  /** In byte order. */
  readonly paths: readonly string[] | null;
  /** In byte order. */
  readonly tags: readonly string[] | null;
}

/** Snapshots that have the parts of the key in common. */
export interface SnapshotGroup {
  readonly key: GroupKey;
  readonly snapshots: readonly SnapshotEntry[];
}

/** Groups in the order of their keys' JSON; members keep their order. */
export function groupSnapshots(snapshots: readonly SnapshotEntry[], by: readonly GroupBy[]): SnapshotGroup[] {
  const groups = Map.groupBy(snapshots, (snapshot) => JSON.stringify(keyOf(snapshot, by)));
  return [...groups.values()].map((members) => ({ key: keyOf(members[0], by), snapshots: members })).toSorted(byKey);
}

function keyOf(snapshot: SnapshotEntry | undefined, by: readonly GroupBy[]): GroupKey {
  const { tags = [] } = snapshot ?? {};
  return {
    hostname: by.includes('host') ? (snapshot?.hostname ?? '') : '',
    paths: by.includes('paths') ? (snapshot?.paths ?? []).toSorted(compareNames) : null,
    tags: by.includes('tags') && tags.length > 0 ? tags.toSorted(compareNames) : null,
  };
}

function byKey(a: SnapshotGroup, b: SnapshotGroup): number {
  return compareNames(JSON.stringify(a.key), JSON.stringify(b.key));
}
