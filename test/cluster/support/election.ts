/** Candidates for one Lease, each of which loses its connection as soon as it leads. */
import { once } from 'node:events';
import type { Cluster } from '@restic-engine/che-state';
import { EngineError } from 'restic-engine';
import { runElected } from '../../../packages/che-state/src/operator/lease.ts';
import { until } from './installation.ts';

export interface Contest {
  /** Who led, in order. */
  readonly terms: readonly string[];
  /** How many at the same time, at most. */
  readonly mostAtOnce: number;
}

const TIMES = { durationMs: 1000, renewDeadlineMs: 600, retryMs: 50 };
const TERMS = 4;

export async function contest(cluster: Cluster, namespace: string): Promise<Contest> {
  const stop = new AbortController();
  const { signal } = stop;
  const leading = new Set<string>();
  const terms: string[] = [];
  let mostAtOnce = 0;
  const candidate = (identity: string): Promise<void> => {
    let isCut = false;
    const unlessCut = <T>(call: () => Promise<T>): Promise<T> =>
      isCut ? Promise.reject(new EngineError('io', 'the line is cut')) : call();
    const line: Cluster = {
      ...cluster,
      get: (...args) => unlessCut(() => cluster.get(...args)),
      replace: (...args) => unlessCut(() => cluster.replace(...args)),
    };
    const ignore = (): void => undefined;
    const election = { ...TIMES, namespace, name: 'contested', identity, signal, onAnswer: ignore, onFailure: ignore };
    return runElected(line, election, async (leadership) => {
      leading.add(identity);
      mostAtOnce = Math.max(mostAtOnce, leading.size);
      terms.push(identity);
      // It cannot renew any more, so it must know in time that it leads no longer.
      isCut = true;
      if (!leadership.signal.aborted) await once(leadership.signal, 'abort');
      leading.delete(identity);
      setTimeout(() => (isCut = false), TIMES.durationMs * 1.5).unref();
    });
  };
  const all = ['one', 'two', 'three'].map(candidate);
  await until('there were some terms', () => Promise.resolve(terms.length >= TERMS));
  stop.abort();
  await Promise.all(all);
  return { terms, mostAtOnce };
}
