/** Writing the status of a backup or a restore. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import type { Json, Kind, KubeObject, ObjectRef } from '../objects/object.ts';
import { type Condition, readConditions, withCondition } from '../resources/conditions.ts';

type Fields = Readonly<Record<string, Json | undefined>>;
export type NewCondition = Omit<Condition, 'lastTransitionTime'>;

/** The status of one object, as it was written last. */
export class StatusWriter {
  readonly #cluster: Cluster;
  readonly #ref: ObjectRef;
  readonly #now: () => Date;
  #object: KubeObject;

  constructor(cluster: Cluster, kind: Kind, object: KubeObject, now: () => Date) {
    const { name, namespace } = object.metadata;
    this.#cluster = cluster;
    this.#ref = { kind, namespace, name };
    this.#object = object;
    this.#now = now;
  }

  get object(): KubeObject {
    return this.#object;
  }

  /**
   * Changes fields; undefined removes one. Rejects with `not-found` when the object is gone or is another one by now, of
   * the same name.
   */
  async write(fields: Fields, conditions: readonly NewCondition[], call: ClusterCall): Promise<void> {
    const { uid, generation } = this.#object.metadata;
    let all = readConditions(this.#object.status);
    for (const condition of conditions) {
      all = withCondition(all, { ...condition, observedGeneration: generation }, this.#now());
    }
    const removed = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value ?? null]));
    const status = { ...removed, ...(conditions.length > 0 && { conditions: all }) };
    try {
      const options = { ...call, subresource: 'status' } as const;
      this.#object = await this.#cluster.merge(this.#ref, { metadata: { uid }, status }, options);
    } catch (error) {
      // A patch with another uid is a conflict that no repetition ends.
      if (!EngineError.is(error, 'conflict')) throw error;
      const found = await this.#cluster.get(this.#ref, call);
      if (found?.metadata.uid === uid) throw error;
      throw new EngineError('not-found', 'the object has been deleted meanwhile', { name: this.#ref.name });
    }
  }
}
