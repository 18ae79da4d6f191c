/** Comparing what a backup has with what the cluster has. */
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { DEV_WORKSPACE, NAMESPACE } from '../objects/kinds.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import { OWNER_ANNOTATION } from '../objects/strip.ts';
import type { SavedObject, SavedState } from '../state/state.ts';
import { adapt, adaptRef, type Move } from './adapt.ts';
import { differenceOf } from './apply.ts';
import { eachOf } from './parallel.ts';

/** One object of a backup beside the one of its name in the cluster. */
export interface Compared {
  readonly saved: SavedObject;
  /** Of both, in the cluster. */
  readonly ref: ObjectRef;
  readonly live: KubeObject | undefined;
  /** Name of the DevWorkspace that owns it in the backup. */
  readonly owner: string | undefined;
  /** JSON merge patch that makes the live one equal; undefined when nothing has to be done. */
  readonly patch: Readonly<Record<string, unknown>> | undefined;
}

/** Names an object among all of a cluster. */
export function keyOf({ kind, namespace = '', name }: ObjectRef): string {
  return `${kind.group}/${kind.kind}/${namespace}/${name}`;
}

/** Reads an object of a backup as it is to be in the target. */
export async function readAdapted(
  state: SavedState,
  move: Move,
  saved: SavedObject,
  call: ClusterCall,
): Promise<KubeObject> {
  return adapt(move, await state.read(saved, call));
}

/**
 * Reads the objects of the backup and compares each, some at a time and in no order. A few are in memory at once. Rejects
 * with `corrupt` for what cannot be read.
 */
export async function compareAll(
  cluster: Cluster,
  state: SavedState,
  move: Move,
  objects: readonly SavedObject[],
  call: ClusterCall,
  found: (compared: Compared) => void,
): Promise<void> {
  const groups = Map.groupBy(objects, ({ ref }) => `${ref.kind.plural}.${ref.kind.group}/${ref.namespace ?? ''}`);
  await eachOf(groups.values(), async (group) => {
    const live = await liveObjects(cluster, move, group, call);
    await eachOf(group, async (saved) => {
      const ref = adaptRef(move, saved.ref);
      const object = await readAdapted(state, move, saved, call);
      const there = live.get(keyOf(ref));
      const patch = there === undefined ? { ...object } : differenceOf(there, object);
      found({ saved, ref, live: there, owner: ownerOf(object), patch });
    });
  });
}

function ownerOf({ metadata }: KubeObject): string | undefined {
  const [kind, name] = metadata.annotations?.[OWNER_ANNOTATION]?.split('/') ?? [];
  return kind === DEV_WORKSPACE.kind ? name : undefined;
}

/** Those that are being deleted count as gone. */
async function liveObjects(
  cluster: Cluster,
  move: Move,
  group: readonly SavedObject[],
  call: ClusterCall,
): Promise<ReadonlyMap<string, KubeObject>> {
  const found = new Map<string, KubeObject>();
  const refs = group.map(({ ref }) => adaptRef(move, ref));
  const [first] = refs;
  if (first === undefined) return found;
  const { kind, namespace } = first;
  const keep = (object: KubeObject): void => {
    const { name, deletionTimestamp } = object.metadata;
    if (deletionTimestamp === undefined) found.set(keyOf({ kind, namespace, name }), object);
  };
  if (refs.length > 1) {
    const wanted = new Set(refs.map(({ name }) => name));
    for await (const object of cluster.list(kind, { ...call, namespace })) {
      if (wanted.has(object.metadata.name)) keep(object);
    }
    return found;
  }
  const object = await cluster.get(first, call);
  if (object !== undefined) keep(object);
  return found;
}

/** Is there a namespace of that name that stays? */
export async function hasNamespace(cluster: Cluster, name: string, call: ClusterCall): Promise<boolean> {
  const found = await cluster.get({ kind: NAMESPACE, namespace: undefined, name }, call);
  return found !== undefined && found.metadata.deletionTimestamp === undefined;
}
