/** Forgetting and pruning: of this installation's snapshots, only those that one schedule made. */
import { EngineError, forget, type KeepPolicy, prune, removeStaleLocks } from 'restic-engine';
import { clusterUidOf } from '../collect/find-installation.ts';
import type { ScheduleSpec } from '../resources/schedule.ts';
import { serverFromConfiguration } from '../server/from-configuration.ts';
import { withServerRepository } from '../server/repository.ts';
import { hostOf, STATE_TAG } from '../state/find.ts';
import type { OperatorContext } from './context.ts';
import { scheduleTag } from './scheduled.ts';

export interface Retention {
  /** Name of the schedule: what others keep longer is not its own. */
  readonly schedule: string;
  readonly retention: KeepPolicy;
  readonly prune: ScheduleSpec['prune'];
  /** RFC 3339; undefined for never. */
  readonly lastPrune: string | undefined;
}

const WEEK_MS = 7 * 86_400_000;
/** Others may hold locks, a backup from the command line for one. */
const LOCK_PATIENCE_MS = 30_000;

export interface Retained {
  /** Snapshots that are gone. */
  readonly removed: number;
  readonly pruned: boolean;
}

/** Applies a policy. Rejects as opening the repository, `forget` and `prune` do. */
export async function retain(
  context: OperatorContext,
  namespace: string,
  configuration: string,
  policy: Retention,
): Promise<Retained> {
  const { cluster, signal } = context;
  const server = await serverFromConfiguration(cluster, configuration, { namespace, signal });
  const host = hostOf({ namespace, clusterUid: await clusterUidOf(cluster, { signal }) });
  const retry = { maxElapsedMs: context.serverPatienceMs };
  return withServerRepository(server, { create: false, retry, signal }, async (repository) => {
    const call = { retryLockMs: LOCK_PATIENCE_MS, signal };
    // Of whoever died at work, an operator for one: nobody else removes them.
    await removeStaleLocks(repository, { signal });
    const { removed, failed } = await forget(repository, {
      ...call,
      policy: policy.retention,
      filter: { hosts: [host], tags: [[STATE_TAG, 'reason:schedule', scheduleTag(policy.schedule)]] },
      groupBy: ['host'],
    });
    if (failed.length > 0) throw new EngineError('io', 'snapshots could not be removed', { failed: failed.length });
    const pruned = isPruneDue(policy, removed.length, context.now());
    if (pruned) await prune(repository, call);
    return { removed: removed.length, pruned };
  });
}

export function isPruneDue(
  { prune: when, lastPrune }: Pick<Retention, 'prune' | 'lastPrune'>,
  removed: number,
  now: Date,
): boolean {
  switch (when) {
    case 'Never':
      return false;
    case 'Always':
      return removed > 0;
    case 'Weekly':
      return lastPrune === undefined || now.getTime() - Date.parse(lastPrune) >= WEEK_MS;
  }
}
