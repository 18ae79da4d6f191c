/** How two backups differ, or a backup and the cluster. */
import { createHash } from 'node:crypto';
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { collect } from '../collect/collect.ts';
import type { Installation } from '../collect/installation.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';
import { normalize } from '../objects/strip.ts';
import { diffObjects } from './diff-objects.ts';
import type { FieldChange } from './diff-objects.ts';
import type { SavedObject } from './state.ts';

/** One of the two: a `SavedState`, or what {@link liveState} makes. */
export interface StateSide {
  readonly objects: readonly Pick<SavedObject, 'ref' | 'path' | 'fingerprint'>[];
  /** Rejects with `not-found` for what is not there any more. */
  read(object: Pick<SavedObject, 'ref' | 'path'>, call?: ClusterCall): Promise<KubeObject>;
}

export interface StateDifference {
  readonly ref: ObjectRef;
  /** Where it is in backups. */
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** What differs, secrets masked; empty unless `changed`. */
  readonly fields: readonly FieldChange[];
}

/** Objects that are compared at once. */
const AT_ONCE = 8;

/**
 * What must be done to `before` to make it `after`, in order of the paths. Objects that are the same to the byte are not
 * read. Rejects as reading does.
 */
export async function* diffStates(
  before: StateSide,
  after: StateSide,
  call: ClusterCall = {},
): AsyncGenerator<StateDifference> {
  const old = new Map(before.objects.map((object) => [object.path, object]));
  const current = new Map(after.objects.map((object) => [object.path, object]));
  const paths = [...new Set([...old.keys(), ...current.keys()])].toSorted();
  const underway: Promise<StateDifference | undefined>[] = [];
  let next = 0;
  const compareNext = (): void => {
    for (let path = paths[next++]; path !== undefined; path = paths[next++]) {
      const [was, is] = [old.get(path), current.get(path)];
      if (was?.fingerprint === is?.fingerprint) continue;
      const difference = compareObject({ state: before, object: was }, { state: after, object: is }, call);
      // Met below, when its turn comes.
      difference.catch(() => undefined);
      underway.push(difference);
      return;
    }
  };
  for (let i = 0; i < AT_ONCE; i++) compareNext();
  for (let first = underway.shift(); first !== undefined; first = underway.shift()) {
    const difference = await first;
    compareNext();
    if (difference !== undefined) yield difference;
  }
}

interface Place {
  readonly state: StateSide;
  readonly object: Pick<SavedObject, 'ref' | 'path'> | undefined;
}

async function compareObject(before: Place, after: Place, call: ClusterCall): Promise<StateDifference | undefined> {
  const object = after.object ?? before.object;
  if (object === undefined) return undefined;
  const { ref, path } = object;
  if (before.object === undefined) return { ref, path, change: 'added', fields: [] };
  if (after.object === undefined) return { ref, path, change: 'removed', fields: [] };
  const [was, is] = await Promise.all([readIfThere(before, call), readIfThere(after, call)]);
  if (was === undefined || is === undefined) {
    return was === is ? undefined : { ref, path, change: was === undefined ? 'added' : 'removed', fields: [] };
  }
  const fields = diffObjects(was, is);
  return fields.length === 0 ? undefined : { ref, path, change: 'changed', fields };
}

async function readIfThere({ state, object }: Place, call: ClusterCall): Promise<KubeObject | undefined> {
  if (object === undefined) return undefined;
  try {
    return await state.read(object, call);
  } catch (error) {
    if (EngineError.is(error, 'not-found')) return undefined;
    throw error;
  }
}

/**
 * An installation as it is now, to be compared with backups. Keeps names and fingerprints; contents are read again where
 * they differ. Rejects as {@link collect} does.
 */
export async function liveState(
  cluster: Cluster,
  installation: Installation,
  call: ClusterCall = {},
): Promise<StateSide> {
  const objects: Pick<SavedObject, 'ref' | 'path' | 'fingerprint'>[] = [];
  for await (const { ref, path, yaml } of collect(cluster, installation, { signal: call.signal })) {
    // What a snapshot has of a short file: the id of its only blob.
    objects.push({ ref, path, fingerprint: createHash('sha256').update(yaml).digest('hex') });
  }
  return {
    objects,
    read: async ({ ref }, readCall = {}) => {
      const live = await cluster.get(ref, readCall);
      if (live !== undefined) return normalize(live);
      throw new EngineError('not-found', `${ref.kind.kind} ${ref.name} is gone`, {
        kind: ref.kind.kind,
        name: ref.name,
      });
    },
  };
}
