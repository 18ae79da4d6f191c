/** Applying what belongs to one stage. */
import { EngineError } from 'restic-engine';
import type { Cluster } from '../cluster/cluster.ts';
import { DEV_WORKSPACE, NAMESPACE } from '../objects/kinds.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import { isSameKind } from '../objects/path.ts';
import type { SavedObject } from '../state/state.ts';
import { applyObject } from './apply.ts';
import { creatorsOf } from './creators.ts';
import { keyOf, readAdapted } from './live.ts';
import { type ObjectStage, waves } from './order.ts';
import { eachOf } from './parallel.ts';
import type { PlannedObject } from './plan.ts';
import type { HeldRecord } from './record.ts';
import { waitFor } from './wait-for.ts';
import type { RestoreWork } from './work.ts';

/**
 * Applies what a stage has to create or replace. What the API refuses is noted as the reason of a difference; without the
 * CheCluster or a namespace there is no going on.
 */
export async function applyStage(work: RestoreWork, stage: ObjectStage): Promise<void> {
  const { plan, record } = work;
  await applyPlanned(
    work,
    plan.objects.filter((planned) => planned.stage === stage && isToBeApplied(record, planned)),
  );
}

/** Applies objects of the backup, kind after kind. */
export async function applyPlanned(work: RestoreWork, wanted: readonly PlannedObject[]): Promise<void> {
  const { state, progress, reasons, counts } = work;
  const saved = new Map(state.objects.map((object) => [object.path, object]));
  const create = creatorsOf(work);
  for (const wave of waves(wanted)) {
    await eachOf(wave, async ({ ref, stage, path = '' }) => {
      const object = saved.get(path);
      if (object === undefined) throw new EngineError('not-found', 'the backup has no such object any more', { path });
      try {
        const done = await applySaved(work, ref, object, create);
        if (done !== 'unchanged') counts[done]++;
      } catch (error) {
        if (!isRefusal(error) || stage === 'cr' || isSameKind(ref.kind, NAMESPACE)) throw error;
        reasons.set(keyOf(ref), error.message);
      }
      progress.objectsDone++;
      work.tell();
    });
  }
}

/** With the CheCluster went what it owned, whatever the plan has seen. */
export function isToBeApplied(record: HeldRecord, { action, stage, path }: PlannedObject): boolean {
  if (action === 'create' || action === 'replace') return true;
  const recreated = record.current().replacedUid !== '';
  return action === 'unchanged' && path !== undefined && recreated && (stage === 'objects' || stage === 'cr');
}

async function applySaved(
  work: RestoreWork,
  ref: ObjectRef,
  saved: SavedObject,
  create: (object: KubeObject) => Promise<KubeObject | undefined>,
): Promise<'created' | 'changed' | 'unchanged'> {
  const { cluster, state, move, record, readyTimeoutMs, signal } = work;
  const object = await readAdapted(state, move, saved, { signal });
  const deadOwner = record.current().replacedUid;
  return applyObject(cluster, ref, object, {
    timeoutMs: readyTimeoutMs,
    signal,
    ...(deadOwner === '' ? {} : { deadOwner }),
    ...(isSameKind(ref.kind, DEV_WORKSPACE) ? { create } : {}),
  });
}

/** The API will not have the object, now or later. */
function isRefusal(error: unknown): error is EngineError {
  return (['bad-request', 'denied', 'too-large', 'conflict'] as const).some((code) => EngineError.is(error, code));
}

/** Creates Che's own namespace where there is none. Rejects with `timeout` when an old one is on its way out for too long. */
export async function ensureNamespace(
  cluster: Cluster,
  name: string,
  { readyTimeoutMs, signal }: { readonly readyTimeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<void> {
  const ref = { kind: NAMESPACE, namespace: undefined, name };
  const live = await waitFor(cluster, ref, (object) => object?.metadata.deletionTimestamp === undefined, {
    timeoutMs: readyTimeoutMs,
    signal,
    what: 'the namespace to be gone, which is being deleted',
  });
  if (live !== undefined) return;
  const namespace: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
  try {
    await cluster.create(NAMESPACE, namespace, { signal });
  } catch (error) {
    if (!EngineError.is(error, 'already-exists')) throw error;
  }
}
