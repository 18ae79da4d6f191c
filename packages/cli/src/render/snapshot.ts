/** Snapshots as restic shows them. */
import type { GroupBy, GroupKey, SnapshotEntry, TimeZone } from 'restic-engine';
import type { Engine } from '../open.ts';
import { formatBytes } from './bytes.ts';
import { PAPER } from './screen.ts';
import type { Screen } from './screen.ts';
import { renderTable } from './table.ts';
import type { Column } from './table.ts';
import { canonicalTime, formatExactTime, formatLocalTime } from './time.ts';

/** A snapshot as the JSON of its file, without members of other programs, and with times as restic writes them. */
export function snapshotJson(engine: Engine, { summary, ...snapshot }: SnapshotEntry): string {
  const time = canonicalTime(snapshot.time);
  const times = summary && {
    backupStart: canonicalTime(summary.backupStart),
    backupEnd: canonicalTime(summary.backupEnd),
  };
  const known = { unknown: undefined };
  const shown = { ...snapshot, ...known, time, ...(summary && { summary: { ...summary, ...known, ...times } }) };
  return Buffer.from(engine.encodeSnapshot(shown)).toString();
}

/** The members of a snapshot and its ids, without the braces. */
export function snapshotMembers(engine: Engine, snapshot: SnapshotEntry): string {
  const json = snapshotJson(engine, snapshot);
  return `${json.slice(1, -1)},"id":"${snapshot.id}","short_id":"${snapshot.id.slice(0, 8)}"`;
}

/** `c1c8107b of [/srv] at 2026-11-22 13:58:09.034143347 +0000 UTC by root@vm` */
export function describeSnapshot(snapshot: SnapshotEntry, { name }: Screen = PAPER): string {
  const { id, paths, time, username = '', hostname = '' } = snapshot;
  const who = `${name(username)}@${name(hostname)}`;
  return `${id.slice(0, 8)} of [${paths.map(name).join(' ')}] at ${formatExactTime(time)} by ${who}`;
}

/** `[{…},{…}]` */
export function snapshotArray(engine: Engine, snapshots: readonly SnapshotEntry[]): string {
  return `[${snapshots.map((snapshot) => `{${snapshotMembers(engine, snapshot)}}`).join(',')}]`;
}

/** As restic shows it: paths, and tags that are grouped by, in byte order. */
export function shownIn(engine: Engine, snapshot: SnapshotEntry, by: readonly GroupBy[]): SnapshotEntry {
  const { paths, tags } = snapshot;
  const sorted = { ...snapshot, paths: paths.toSorted(engine.compareNames) };
  return by.includes('tags') ? { ...sorted, tags: tags?.toSorted(engine.compareNames) } : sorted;
}

/** `snapshots for (host [vm], paths [/srv]):`, or nothing where the snapshots have nothing in common. */
export function groupTitle({ hostname, paths, tags }: GroupKey, { name }: Screen): string[] {
  const parts: string[] = [];
  if (hostname !== '') parts.push(`host [${name(hostname)}]`);
  if (tags !== null) parts.push(`tags [${tags.map(name).join(', ')}]`);
  if (paths !== null) parts.push(`paths [${paths.map(name).join(', ')}]`);
  return parts.length === 0 ? [] : [`snapshots for (${parts.join(', ')}):`];
}

export interface TableOptions {
  /** @default PAPER */
  readonly screen?: Screen;
  readonly compact: boolean;
  /** Why a snapshot is kept, for a column of its own. */
  readonly reasonsOf?: ((snapshot: SnapshotEntry) => readonly string[]) | undefined;
  /** The zone in which times are shown. */
  readonly zone: TimeZone;
}

/** The table of `snapshots` and `forget`. */
export function snapshotTable(
  snapshots: readonly SnapshotEntry[],
  { compact, reasonsOf, zone, screen = PAPER }: TableOptions,
): string[] {
  const columns: Column<SnapshotEntry>[] = [
    { header: 'ID', cell: ({ id }) => id.slice(0, 8) },
    { header: 'Time', cell: ({ time }) => formatLocalTime(time) },
    { header: compact ? 'Host' : 'Host      ', wraps: true, cell: ({ hostname = '' }) => screen.name(hostname) },
    {
      header: compact ? 'Tags  ' : 'Tags      ',
      wraps: true,
      cell: ({ tags = [] }) => tags.map(screen.name).join(compact ? '\n' : ','),
    },
  ];
  if (!compact && reasonsOf !== undefined) {
    columns.push({ header: 'Reasons', wraps: true, cell: (snapshot) => reasonsOf(snapshot).join('\n') });
  }
  if (!compact) columns.push({ header: 'Paths', wraps: true, cell: ({ paths }) => paths.map(screen.name).join('\n') });
  if (snapshots.some(({ summary }) => summary !== undefined)) {
    columns.push({
      header: 'Size',
      cell: ({ summary }) => (summary === undefined ? '' : formatBytes(summary.totalBytesProcessed)),
    });
  }
  const spaced = !compact && snapshots.some(({ paths }) => paths.length > 1);
  return [
    ...renderTable(columns, snapshots, { spaced, screen }),
    `Timestamps shown in ${zone.name === undefined || zone.name === 'Local' ? 'local time' : zone.name}`,
    `${snapshots.length} snapshots`,
  ];
}
