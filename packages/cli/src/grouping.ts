/** Snapshots that belong together (restic manual, "Grouping snapshots"). */
import type { GroupBy, SnapshotEntry } from 'restic-engine';

/** What the members have in common, with restic's names; null where the snapshots have none or are not grouped by it. */
export interface GroupKey {
  readonly hostname: string;
  readonly paths: readonly string[] | null;
  readonly tags: readonly string[] | null;
}

export interface SnapshotGroup {
  readonly key: GroupKey;
  readonly snapshots: readonly SnapshotEntry[];
}

/** Groups in the order of their keys' JSON; members keep their order. */
export function groupSnapshots(snapshots: readonly SnapshotEntry[], by: readonly GroupBy[]): SnapshotGroup[] {
  const groups = Map.groupBy(snapshots, (snapshot) => JSON.stringify(keyOf(snapshot, by)));
  return [...groups.values()].map((members) => ({ key: keyOf(members[0], by), snapshots: members })).toSorted(byKey);
}

/** The last `count` snapshots of each group. `snapshots` are sorted by time. */
export function latestOfGroups(
  snapshots: readonly SnapshotEntry[],
  by: readonly GroupBy[],
  count: number,
): SnapshotEntry[] {
  const kept = new Set(groupSnapshots(snapshots, by).flatMap((group) => group.snapshots.slice(-count)));
  return snapshots.filter((snapshot) => kept.has(snapshot));
}

function keyOf(snapshot: SnapshotEntry | undefined, by: readonly GroupBy[]): GroupKey {
  const sorted = (names: readonly string[] | undefined): readonly string[] | null =>
    names === undefined || names.length === 0 ? null : names.toSorted();
  return {
    hostname: by.includes('host') ? (snapshot?.hostname ?? '') : '',
    paths: by.includes('paths') ? sorted(snapshot?.paths) : null,
    tags: by.includes('tags') ? sorted(snapshot?.tags) : null,
  };
}

function byKey(a: SnapshotGroup, b: SnapshotGroup): number {
  const [first, second] = [JSON.stringify(a.key), JSON.stringify(b.key)];
  return first < second ? -1 : Number(first > second);
}
