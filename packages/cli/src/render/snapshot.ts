/** Snapshots as restic shows them. */
import type { SnapshotEntry } from 'restic-engine';
import type { Engine } from '../open.ts';
import { formatBytes } from './bytes.ts';
import { renderTable } from './table.ts';
import type { Column } from './table.ts';
import { formatExactTime, formatLocalTime } from './time.ts';

/** The members of a snapshot and its ids, without the braces. */
export function snapshotMembers(engine: Engine, snapshot: SnapshotEntry): string {
  const json = Buffer.from(engine.encodeSnapshot(snapshot)).toString();
  return `${json.slice(1, -1)},"id":"${snapshot.id}","short_id":"${snapshot.id.slice(0, 8)}"`;
}

/** `c1c8107b of [/srv] at 2026-11-22 13:58:09.034143347 +0000 UTC by root@vm` */
export function describeSnapshot(snapshot: SnapshotEntry): string {
  const { id, paths, time, username = '', hostname = '' } = snapshot;
  return `${id.slice(0, 8)} of [${paths.join(' ')}] at ${formatExactTime(time)} by ${username}@${hostname}`;
}

/** The table of `snapshots`. */
export function snapshotTable(snapshots: readonly SnapshotEntry[], compact: boolean): string[] {
  const columns: Column<SnapshotEntry>[] = [
    { header: 'ID', cell: ({ id }) => id.slice(0, 8) },
    { header: 'Time', cell: ({ time }) => formatLocalTime(time) },
    { header: compact ? 'Host' : 'Host      ', cell: ({ hostname = '' }) => hostname },
    { header: compact ? 'Tags  ' : 'Tags      ', cell: ({ tags = [] }) => tags.join(compact ? '\n' : ',') },
  ];
  if (!compact) columns.push({ header: 'Paths', cell: ({ paths }) => paths.join('\n') });
  if (snapshots.some(({ summary }) => summary !== undefined)) {
    columns.push({
      header: 'Size',
      cell: ({ summary }) => (summary === undefined ? '' : formatBytes(summary.totalBytesProcessed)),
    });
  }
  const spaced = !compact && snapshots.some(({ paths }) => paths.length > 1);
  return [
    ...renderTable(columns, snapshots, spaced),
    'Timestamps shown in local time',
    `${snapshots.length} snapshots`,
  ];
}
