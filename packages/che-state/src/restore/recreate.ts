/** Removing the CheCluster that is there, with everything that its operator made. */
import { EngineError } from 'restic-engine';
import { isSameKind } from '../objects/path.ts';
import { CHE_CLUSTER_V2 } from '../objects/kinds.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import { readAdapted } from './live.ts';
import { waitFor } from './wait-for.ts';
import type { RestoreWork } from './work.ts';

/** The CheCluster that is to go, if it has not gone yet. */
async function oldCheCluster({ cluster, plan, state, record, signal }: RestoreWork): Promise<ObjectRef | undefined> {
  const uid = record.current().replacedUid;
  const saved = state.objects.find(({ ref }) => isSameKind(ref.kind, CHE_CLUSTER_V2));
  if (uid === '' || saved === undefined) return undefined;
  const { namespace } = plan.target;
  const { kind } = saved.ref;
  for await (const { metadata } of cluster.list(kind, { namespace, signal })) {
    if (metadata.uid === uid) return { kind, namespace, name: metadata.name };
  }
  return undefined;
}

/** Rejects with `bad-request` when the API would not take the one of the backup; nothing is deleted then. */
export async function requestDeletion(work: RestoreWork): Promise<void> {
  const { cluster, record, signal } = work;
  const ref = await oldCheCluster(work);
  if (ref === undefined) return;
  const uid = record.current().replacedUid;
  const live = await cluster.get(ref, { signal });
  if (live?.metadata.deletionTimestamp !== undefined) return;
  await tryNew(work, ref);
  await cluster.remove(ref, { uid, signal });
}

/**
 * The API looks at the new CheCluster as at a change of the old one. Only what its schema says counts: an admission webhook
 * may miss Secrets, which come before it.
 */
async function tryNew(work: RestoreWork, { name }: ObjectRef): Promise<void> {
  const { cluster, state, move, signal } = work;
  const saved = state.objects.find(({ ref }) => isSameKind(ref.kind, CHE_CLUSTER_V2));
  if (saved === undefined) return;
  const object = await readAdapted(state, move, saved, { signal });
  const renamed: KubeObject = { ...object, metadata: { ...object.metadata, name } };
  try {
    await cluster.apply(saved.ref.kind, renamed, { dryRun: true, signal });
  } catch (error) {
    if (!EngineError.is(error) || error.context['reason'] === 'Invalid') throw error;
    if (error.code !== 'denied' && error.code !== 'bad-request') throw error;
  }
}

/** Rejects with `timeout` when finalizers hold it. */
export async function waitUntilDeleted(work: RestoreWork): Promise<void> {
  const { cluster, record, readyTimeoutMs, signal } = work;
  const ref = await oldCheCluster(work);
  if (ref === undefined) return;
  const uid = record.current().replacedUid;
  await waitFor(cluster, ref, (object) => object?.metadata.uid !== uid, {
    timeoutMs: readyTimeoutMs,
    signal,
    what: 'the old CheCluster to be gone',
    describe: (object) => `finalizers: ${object?.metadata.finalizers?.join(', ') ?? ''}`,
  });
}
