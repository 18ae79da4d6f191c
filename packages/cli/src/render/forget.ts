/** What `forget` says of a policy and of what it keeps. */
import type { ForgetGroup, GroupBy, KeepPolicy, SnapshotEntry } from 'restic-engine';
import type { Engine } from '../open.ts';
import { groupTitle, snapshotArray, snapshotMembers, snapshotTable, withSortedPaths } from './snapshot.ts';

/** `keep 2 daily snapshots and all snapshots within 1y of the newest` */
export function describePolicy(policy: KeepPolicy): string {
  const { last, hourly, daily, weekly, monthly, yearly } = policy;
  const counted = Object.entries({ latest: last, hourly, daily, weekly, monthly, yearly }).flatMap(
    ([name, count = 0]) => (count === 0 ? [] : `${count === 'unlimited' ? 'all' : count} ${name}`),
  );
  const { withinHourly, withinDaily, withinWeekly, withinMonthly, withinYearly } = policy;
  const within = { hourly: withinHourly, daily: withinDaily, weekly: withinWeekly, monthly: withinMonthly };
  const spans = Object.entries({ ...within, yearly: withinYearly }).flatMap(([name, span]) =>
    span === undefined ? [] : `${name} snapshots within ${span}`,
  );
  const tags = policy.tags?.map((list) => `[${list.join(', ')}]`) ?? [];
  const periods = [...(counted.length > 0 ? [`${counted.join(', ')} snapshots`] : []), ...spans];
  const parts = [
    ...(periods.length > 0 ? [periods.join(', ')] : []),
    ...(tags.length > 0 ? [`all snapshots with tags [${tags.join(' ')}]`] : []),
    ...(policy.within === undefined ? [] : [`all snapshots within ${policy.within} of the newest`]),
  ];
  return parts.length === 0 ? 'remove' : `keep ${parts.join(' and ')}`;
}

export interface ForgetLinesOptions {
  readonly groupBy: readonly GroupBy[];
  readonly compact: boolean;
  /** Also say what the snapshots of the group have in common. */
  readonly title: boolean;
}

/** The tables of one group, oldest snapshot first. */
export function forgetLines(engine: Engine, group: ForgetGroup, options: ForgetLinesOptions): string[] {
  const { groupBy, compact, title } = options;
  const reasons = new Map(group.keep.map((kept) => [kept.snapshot.id, kept.reasons]));
  const table = (word: string, snapshots: readonly SnapshotEntry[], withReasons: boolean): string[] => {
    if (snapshots.length === 0) return [];
    const reasonsOf = withReasons ? ({ id }: SnapshotEntry) => reasons.get(id) ?? [] : undefined;
    const shown = snapshots.map((snapshot) => shownIn(engine, snapshot, groupBy)).toReversed();
    return [`${word} ${snapshots.length} snapshots:`, ...snapshotTable(shown, { compact, reasonsOf }), ''];
  };
  return [
    ...(title && groupBy.length > 0 ? [groupTitle(group.key, groupBy)] : []),
    ...table(
      'keep',
      group.keep.map(({ snapshot }) => snapshot),
      true,
    ),
    ...table('remove', group.remove, false),
  ];
}

/** An array with one object for each group, newest snapshots first; null stands for what has no members. */
export function forgetJson(engine: Engine, groups: readonly ForgetGroup[], by: readonly GroupBy[]): string {
  const array = (snapshots: readonly SnapshotEntry[]): string =>
    snapshots.length === 0
      ? 'null'
      : snapshotArray(
          engine,
          snapshots.map((snapshot) => shownIn(engine, snapshot, by)),
        );
  const objects = groups.map(({ key, keep, remove }) => {
    const reasons = keep.map(({ snapshot, reasons: matches }) => {
      const members = snapshotMembers(engine, shownIn(engine, snapshot, by));
      return `{"snapshot":{${members}},"matches":${JSON.stringify(matches)}}`;
    });
    return [
      `{"tags":${JSON.stringify(key.tags)}`,
      `"host":${JSON.stringify(key.hostname)}`,
      `"paths":${JSON.stringify(key.paths)}`,
      `"keep":${array(keep.map(({ snapshot }) => snapshot))}`,
      `"remove":${array(remove)}`,
      `"reasons":${reasons.length === 0 ? 'null' : `[${reasons.join(',')}]`}}`,
    ].join(',');
  });
  return `[${objects.join(',')}]`;
}

/** Paths, and tags that are grouped by, in byte order, as restic shows them. */
function shownIn(engine: Engine, snapshot: SnapshotEntry, by: readonly GroupBy[]): SnapshotEntry {
  const sorted = withSortedPaths(engine, snapshot);
  return by.includes('tags') ? { ...sorted, tags: sorted.tags?.toSorted(engine.compareNames) } : sorted;
}
