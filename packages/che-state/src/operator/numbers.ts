/** Which numbers an operator gives; docs describe them. */
import type { KubeObject } from '../objects/object.ts';
import { readJobStatus } from '../resources/job.ts';
import type { Tallies } from './context.ts';
import type { Metric, Sample } from './metrics.ts';

export interface OperatorNumbers {
  readonly leads: boolean;
  readonly depth: number;
  /** What there is. */
  readonly objects: readonly KubeObject[];
  readonly tallies: Tallies;
}

const JOBS = ['CheClusterBackup', 'CheClusterRestore'];

export function describeOperator({ leads, depth, objects, tallies }: OperatorNumbers): readonly Metric[] {
  const jobs = objects.filter(({ kind }) => JOBS.includes(kind));
  const gauge = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name,
    type: 'gauge',
    help,
    samples,
  });
  const counter = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name,
    type: 'counter',
    help,
    samples,
  });
  return [
    gauge('leader', 'Whether this replica works.', [{ labels: {}, value: Number(leads) }]),
    gauge('queue_depth', 'Objects that wait to be looked at, or are.', [{ labels: {}, value: depth }]),
    gauge('objects', 'Backups and restores there are, by state.', byState(jobs)),
    gauge('last_success_timestamp_seconds', 'When a backup or a restore last succeeded.', lastSuccess(jobs)),
    counter('jobs_total', 'Backups and restores that ended.', tallies.finished.samples()),
    counter('job_seconds_total', 'How long those took.', tallies.seconds.samples()),
    counter('job_retries_total', 'Errors after which was tried again.', tallies.retries.samples()),
    counter('stored_bytes_total', 'What backups added to repositories, as stored.', tallies.bytes.samples()),
    counter('forgotten_snapshots_total', 'Snapshots that policies removed.', tallies.forgotten.samples()),
  ];
}

const labelsOf = ({ kind, metadata }: KubeObject): Readonly<Record<'kind' | 'namespace', string>> => ({
  kind,
  namespace: metadata.namespace ?? '',
});

function byState(jobs: readonly KubeObject[]): readonly Sample[] {
  const counts = new Map<string, { readonly labels: Sample['labels']; value: number }>();
  for (const job of jobs) {
    const labels = { ...labelsOf(job), state: readJobStatus(job).state ?? 'New' };
    const key = JSON.stringify(labels);
    const entry = counts.get(key) ?? { labels, value: 0 };
    entry.value++;
    counts.set(key, entry);
  }
  return [...counts.values()];
}

/** From the objects, so that it outlives the process. */
function lastSuccess(jobs: readonly KubeObject[]): readonly Sample[] {
  const last = new Map<string, { readonly labels: Sample['labels']; value: number }>();
  for (const job of jobs) {
    const { state, completionTime } = readJobStatus(job);
    const value = Date.parse(completionTime ?? '') / 1000;
    if (state !== 'Succeeded' || Number.isNaN(value)) continue;
    const labels = labelsOf(job);
    const key = JSON.stringify(labels);
    if ((last.get(key)?.value ?? 0) < value) last.set(key, { labels, value });
  }
  return [...last.values()];
}
