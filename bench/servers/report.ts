/** Servers as a table for people. */
import type { Figures } from '../macro/figures.ts';
import type { Operation } from './compare.ts';
import type { RequestCount } from './requests.ts';

export interface KindResult {
  readonly kind: string;
  readonly about: string;
  /** By the name of the line. */
  readonly lines: Readonly<Record<string, Figures<Operation>>>;
  /** Only where requests can be counted. */
  readonly requests: readonly RequestCount[] | undefined;
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);

/** Rows for each server, line and operation: medians of both programs and how many times faster ours is. */
export function table(results: readonly KindResult[], bytes: number): string {
  const rows: string[] = [];
  for (const { about, lines, requests } of results) {
    rows.push(about, '');
    for (const [line, figures] of Object.entries(lines)) {
      rows.push(`${line.padEnd(20)}restic-engine            restic                   restic ÷ ours`);
      for (const [operation, { 'restic-engine': ours, restic }] of Object.entries(figures)) {
        const columns = [ours, restic].map(({ seconds, cpuSeconds, peakRssBytes }) => {
          const rate = operation === 'backup' || operation === 'restore' ? mib(bytes / seconds) : '';
          return `${seconds.toFixed(2).padStart(6)} s${rate.padStart(6)}${cpuSeconds.toFixed(2).padStart(7)}${mib(peakRssBytes).padStart(6)}`;
        });
        const times = `${(restic.seconds / ours.seconds).toFixed(2)}×  ${(restic.cpuSeconds / ours.cpuSeconds).toFixed(2)}×`;
        rows.push(`${operation.padEnd(17)}${columns.join(' ')}   ${times}`);
      }
      rows.push('');
    }
    for (const { command, requests: counts } of requests ?? []) {
      rows.push(
        `requests: ${command.padEnd(26)} ${counts['restic-engine']} by restic-engine, ${counts.restic} by restic`,
      );
    }
    if (requests !== undefined) rows.push('');
  }
  rows.push(
    'columns: wall clock, MiB of data a second, processor time in s, peak memory in MiB; then time, processor time',
  );
  return rows.join('\n');
}
