/** Giving what belongs to a DevWorkspace to the one that is there now, so that it goes when that goes. */
import { EngineError } from 'restic-engine';
import { DEV_WORKSPACE } from '../objects/kinds.ts';
import { apiVersionOf, type OwnerReference } from '../objects/object.ts';
import { isWorkspace } from '../objects/strip.ts';
import { eachOf } from './parallel.ts';
import type { PlannedObject } from './plan.ts';
import type { RestoreWork } from './work.ts';

export async function linkOwners(work: RestoreWork): Promise<void> {
  const owned = work.plan.objects.filter(({ owner, action }) => owner !== undefined && action !== 'skip');
  const byNamespace = Map.groupBy(owned, ({ ref }) => ref.namespace ?? '');
  await eachOf(byNamespace, async ([namespace, group]) => {
    const uids = new Map<string, string>();
    for await (const { metadata } of work.cluster.list(DEV_WORKSPACE, { namespace, signal: work.signal })) {
      if (metadata.uid !== undefined && metadata.deletionTimestamp === undefined) uids.set(metadata.name, metadata.uid);
    }
    await eachOf(group, (planned) => link(work, planned, uids));
  });
}

/** Times an object is tried that a controller, such as that of volumes, changes meanwhile. */
const TRIES = 5;

async function link(work: RestoreWork, planned: PlannedObject, uids: ReadonlyMap<string, string>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await linkOnce(work, planned, uids);
      return;
    } catch (error) {
      if (!EngineError.is(error, 'conflict') || tries === TRIES) throw error;
    }
  }
}

async function linkOnce(
  { cluster, signal }: RestoreWork,
  { ref, owner = '' }: PlannedObject,
  uids: ReadonlyMap<string, string>,
): Promise<void> {
  const uid = uids.get(owner);
  const live = await cluster.get(ref, { signal });
  // What is missing is told at the end.
  if (uid === undefined || live === undefined) return;
  const owners = live.metadata.ownerReferences ?? [];
  if (owners.some((one) => one.uid === uid)) return;
  const wanted: OwnerReference = {
    apiVersion: apiVersionOf(DEV_WORKSPACE),
    kind: DEV_WORKSPACE.kind,
    name: owner,
    uid,
  };
  const others = owners.filter((one) => !isWorkspace(one));
  const { resourceVersion } = live.metadata;
  await cluster.merge(ref, { metadata: { resourceVersion, ownerReferences: [...others, wanted] } }, { signal });
}
