/** What `forget` says of a policy and of what it keeps. */
import type { ForgetGroup, GroupBy, KeepPolicy, SnapshotEntry } from 'restic-engine';
import type { Engine } from '../open.ts';
import type { Screen } from './screen.ts';
import { groupTitle, shownIn, snapshotArray, snapshotMembers, snapshotTable } from './snapshot.ts';

/** `keep 2 daily snapshots and all snapshots within 1y of the newest` */
export function describePolicy(policy: KeepPolicy): string {
  const { last, hourly, daily, weekly, monthly, yearly } = policy;
  const counted = Object.entries({ latest: last, hourly, daily, weekly, monthly, yearly }).flatMap(
    ([name, count = 0]) => (count === 0 ? [] : `${count === 'unlimited' ? 'all' : count} ${name}`),
  );
  const { withinHourly, withinDaily, withinWeekly, withinMonthly, withinYearly } = policy;
  const within = { hourly: withinHourly, daily: withinDaily, weekly: withinWeekly, monthly: withinMonthly };
  const spans = Object.entries({ ...within, yearly: withinYearly }).flatMap(([name, span]) =>
    plainSpan(span) === '' ? [] : `${name} snapshots within ${plainSpan(span)}`,
  );
  const tags = policy.tags?.map((list) => `[${list.join(', ')}]`) ?? [];
  const periods = [...(counted.length > 0 ? [`${counted.join(', ')} snapshots`] : []), ...spans];
  const parts = [
    ...(periods.length > 0 ? [periods.join(', ')] : []),
    ...(tags.length > 0 ? [`all snapshots with tags [${tags.join(' ')}]`] : []),
    ...(plainSpan(policy.within) === '' ? [] : [`all snapshots within ${plainSpan(policy.within)} of the newest`]),
  ];
  return parts.length === 0 ? 'remove' : `keep ${parts.join(' and ')}`;
}

/** Years first, nothing that is 0; of two numbers with one unit the last counts. */
function plainSpan(span = ''): string {
  const last = new Map(Array.from(span.matchAll(/(\d+)([ymdh])/g), ([, digits, unit]) => [unit, Number(digits)]));
  return ['y', 'm', 'd', 'h'].map((unit) => (last.get(unit) ? `${last.get(unit)}${unit}` : '')).join('');
}

export interface ForgetLinesOptions {
  readonly groupBy: readonly GroupBy[];
  readonly compact: boolean;
  /** Also say what the snapshots of the group have in common. */
  readonly title: boolean;
  readonly screen: Screen;
}

/** The tables of one group, oldest snapshot first. */
export function forgetLines(engine: Engine, group: ForgetGroup, options: ForgetLinesOptions): string[] {
  const { groupBy, compact, title, screen } = options;
  const { zone } = engine.nodePlatform();
  const reasons = new Map(group.keep.map((kept) => [kept.snapshot.id, kept.reasons]));
  const table = (word: string, snapshots: readonly SnapshotEntry[], withReasons: boolean): string[] => {
    if (snapshots.length === 0) return [];
    const reasonsOf = withReasons ? ({ id }: SnapshotEntry) => reasons.get(id) ?? [] : undefined;
    const shown = snapshots.map((snapshot) => shownIn(engine, snapshot, groupBy)).toReversed();
    return [
      `${word} ${snapshots.length} snapshots:`,
      ...snapshotTable(shown, { compact, reasonsOf, zone, screen }),
      '',
    ];
  };
  return [
    ...(title ? groupTitle(group.key, screen) : []),
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
