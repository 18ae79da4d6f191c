/** Comparing the cluster with the backup once more. */
import type { SavedObject } from '../state/state.ts';
import { compareAll, keyOf } from './live.ts';
import { changedFields } from './merge-patch.ts';
import { eachOf } from './parallel.ts';
import type { LeftDifference, RestoreWork } from './work.ts';

/** In what they differ still, ordered as the plan is. */
export async function leftDifferences(work: RestoreWork): Promise<readonly LeftDifference[]> {
  const { cluster, state, plan, move, reasons, signal } = work;
  const left = new Map<string, LeftDifference>();
  const chosen = new Set(plan.objects.map(({ path, action }) => (action === 'skip' ? undefined : path)));
  const objects = state.objects.filter(({ path }: SavedObject) => chosen.has(path));
  await compareAll(cluster, state, move, objects, { signal }, ({ ref, live, patch }) => {
    const key = keyOf(ref);
    const reason = reasons.get(key);
    if (live === undefined) left.set(key, { ref, problem: 'missing', fields: [], reason });
    else if (patch !== undefined || reason !== undefined) {
      left.set(key, { ref, problem: 'different', fields: changedFields(patch ?? {}), reason });
    }
  });
  for (const { ref, action } of plan.objects) {
    const reason = 'the cluster does not know such objects';
    if (action === 'skip') left.set(keyOf(ref), { ref, problem: 'missing', fields: [], reason });
  }
  const removed = plan.objects.filter(({ action }) => action === 'remove');
  await eachOf(removed, async ({ ref }) => {
    const live = await cluster.get(ref, { signal });
    if (live === undefined || live.metadata.deletionTimestamp !== undefined) return;
    left.set(keyOf(ref), { ref, problem: 'extra', fields: [], reason: reasons.get(keyOf(ref)) });
  });
  return plan.objects.flatMap(({ ref }) => left.get(keyOf(ref)) ?? []);
}
