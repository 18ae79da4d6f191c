/** Deleting what the backup does not have. */
import { EngineError } from 'restic-engine';
import { keyOf } from './live.ts';
import { waves } from './order.ts';
import { eachOf } from './parallel.ts';
import type { RestoreWork } from './work.ts';

/** Workspaces before what they use. What the API refuses is noted as the reason of a difference. */
export async function removeOthers(work: RestoreWork): Promise<void> {
  const { cluster, plan, counts, progress, reasons, signal } = work;
  const others = plan.objects.filter(({ action }) => action === 'remove');
  for (const wave of waves(others).toReversed()) {
    await eachOf(wave, async ({ ref }) => {
      try {
        if (await cluster.remove(ref, { signal })) counts.removed++;
      } catch (error) {
        if (!EngineError.is(error, 'denied') && !EngineError.is(error, 'bad-request')) throw error;
        reasons.set(keyOf(ref), error.message);
      }
      progress.removed = counts.removed;
      work.tell();
    });
  }
}
