/** A cluster whose user dies in the middle of something: after one of its changes, or before it, nothing answers any more. */
import { EngineError } from 'restic-engine';
import type { Cluster } from '@restic-engine/che-state';

export interface Mortal {
  readonly cluster: Cluster;
  /** Changes that were asked for so far. */
  changes(): number;
}

export interface Death {
  /** The change that is the last one, from 1 on. */
  readonly at: number;
  /** `before` it gets to the API, or `after` the API has made it, without its answer. */
  readonly when: 'before' | 'after';
}

/** Without a death it only counts. Disposing of it is up to who made `cluster`. */
export function mortal(cluster: Cluster, death?: Death): Mortal {
  const state = { changes: 0, dead: false };
  const alive = (): void => {
    if (state.dead) throw new EngineError('io', 'the connection is gone');
  };
  const change = async <T>(make: () => Promise<T>): Promise<T> => {
    alive();
    const isLast = ++state.changes === death?.at;
    if (isLast && death.when === 'before') state.dead = true;
    alive();
    const made = await make();
    if (isLast) state.dead = true;
    alive();
    return made;
  };
  const read = async <T>(make: () => Promise<T>): Promise<T> => {
    alive();
    const found = await make();
    alive();
    return found;
  };
  const wrapped = (inner: Cluster): Cluster => ({
    ...inner,
    server: inner.server,
    namespace: inner.namespace,
    serves: (...args) => read(() => inner.serves(...args)),
    version: (...args) => read(() => inner.version(...args)),
    findKind: (...args) => read(() => inner.findKind(...args)),
    async *list(...args) {
      alive();
      yield* inner.list(...args);
    },
    get: (...args) => read(() => inner.get(...args)),
    create: (...args) => change(() => inner.create(...args)),
    apply: (...args) => change(() => inner.apply(...args)),
    replace: (...args) => change(() => inner.replace(...args)),
    merge: (...args) => change(() => inner.merge(...args)),
    remove: (...args) => change(() => inner.remove(...args)),
    async *watch(...args) {
      alive();
      yield* inner.watch(...args);
    },
    exec: (...args) => change(() => inner.exec(...args)),
    as: (user) => wrapped(inner.as(user)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  return { cluster: wrapped(cluster), changes: () => state.changes };
}
