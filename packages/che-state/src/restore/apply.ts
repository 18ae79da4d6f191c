/** Making one object of the cluster what it is in the backup. */
import { EngineError } from 'restic-engine';
import type { Cluster } from '../cluster/cluster.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import { normalize, OWNER_ANNOTATION } from '../objects/strip.ts';
import { mergePatch } from './merge-patch.ts';
import { waitFor } from './wait-for.ts';

/** Times an object is tried that somebody else changes meanwhile. */
const TRIES = 5;

export interface ApplyObjectOptions {
  /** How long an object that is being deleted is waited for, in milliseconds. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** uid of a deleted owner, with which the object would go. */
  readonly deadOwner?: string | undefined;
  /** Creates the object in another way than by applying it; undefined when it cannot. */
  readonly create?: ((object: KubeObject) => Promise<KubeObject | undefined>) | undefined;
}

/** What makes `live` equal to `saved`; undefined when they are, as far as a backup knows objects. */
export function differenceOf(live: KubeObject, saved: KubeObject): Readonly<Record<string, unknown>> | undefined {
  return mergePatch(normalize(live), saved);
}

/** Without the note of who owned it: that is linked when the owner is there. */
function withoutOwner(object: KubeObject): KubeObject {
  if (object.metadata.annotations?.[OWNER_ANNOTATION] === undefined) return object;
  const { annotations, ...metadata } = object.metadata;
  const { [OWNER_ANNOTATION]: _owner, ...rest } = annotations;
  return { ...object, metadata: Object.keys(rest).length === 0 ? metadata : { ...metadata, annotations: rest } };
}

/**
 * Applies the object, and takes away what only the cluster's has. Rejects with what the API says of it: `bad-request` and
 * `denied` when it refuses.
 */
export async function applyObject(
  cluster: Cluster,
  ref: ObjectRef,
  saved: KubeObject,
  options: ApplyObjectOptions,
): Promise<'created' | 'changed' | 'unchanged'> {
  const wanted = withoutOwner(saved);
  for (let tries = 1; ; tries++) {
    try {
      return await applyOnce(cluster, ref, wanted, options);
    } catch (error) {
      if (!EngineError.is(error, 'conflict') || tries === TRIES) throw error;
    }
  }
}

async function applyOnce(
  cluster: Cluster,
  ref: ObjectRef,
  wanted: KubeObject,
  options: ApplyObjectOptions,
): Promise<'created' | 'changed' | 'unchanged'> {
  const { signal } = options;
  const live = await liveObject(cluster, ref, options);
  if (live !== undefined) await disown(cluster, ref, live, options);
  if (live !== undefined && difference(live, wanted) === undefined) return 'unchanged';
  const created = live === undefined ? await options.create?.(wanted) : undefined;
  const applied = created ?? (await cluster.apply(ref.kind, wanted, { signal }));
  const patch = difference(applied, wanted);
  if (patch !== undefined) await cluster.merge(ref, atVersion(patch, applied), { signal });
  return live === undefined ? 'created' : 'changed';
}

const difference = (live: KubeObject, wanted: KubeObject) => mergePatch(withoutOwner(normalize(live)), wanted);

/** As it is; when it is being deleted, when it has gone. */
async function liveObject(
  cluster: Cluster,
  ref: ObjectRef,
  { timeoutMs, signal }: ApplyObjectOptions,
): Promise<KubeObject | undefined> {
  const live = await cluster.get(ref, { signal });
  if (live?.metadata.deletionTimestamp === undefined) return live;
  const what = `${ref.kind.kind} ${ref.name} to be gone, which is being deleted`;
  return waitFor(cluster, ref, (object) => object?.metadata.uid !== live.metadata.uid, { timeoutMs, signal, what });
}

/** Who is owned by what is not there any more is collected as garbage. */
async function disown(
  cluster: Cluster,
  ref: ObjectRef,
  live: KubeObject,
  { deadOwner, signal }: ApplyObjectOptions,
): Promise<void> {
  const owners = live.metadata.ownerReferences ?? [];
  const others = owners.filter(({ uid }) => uid !== deadOwner);
  if (others.length === owners.length) return;
  const ownerReferences = others.length === 0 ? null : others;
  await cluster.merge(ref, atVersion({ metadata: { ownerReferences } }, live), { signal });
}

/** The patch, refused with `conflict` when the object has been changed since. */
function atVersion(patch: Readonly<Record<string, unknown>>, { metadata }: KubeObject): Record<string, unknown> {
  const fields = patch['metadata'];
  const changed = typeof fields === 'object' ? fields : {};
  return { ...patch, metadata: { ...changed, resourceVersion: metadata.resourceVersion } };
}
