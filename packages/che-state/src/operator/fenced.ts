import { EngineError } from 'restic-engine';
import type { Cluster } from '../cluster/cluster.ts';
import type { Leadership } from './lease.ts';

/**
 * The cluster as a leader may use it: when another replica may be the leader by now — this process was stopped for a
 * while, say — nothing is changed any more. Rejects with `aborted` then.
 */
export function fenced(cluster: Cluster, { isOver }: Pick<Leadership, 'isOver'>): Cluster {
  const check = (): void => {
    if (isOver()) throw new EngineError('aborted', 'another replica may be the leader by now');
  };
  const guard =
    <A extends readonly unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      check();
      return call(...args);
    };
  return {
    server: cluster.server,
    namespace: cluster.namespace,
    serves: (...args) => cluster.serves(...args),
    version: (...args) => cluster.version(...args),
    findKind: (...args) => cluster.findKind(...args),
    list: (...args) => cluster.list(...args),
    get: (...args) => cluster.get(...args),
    watch: (...args) => cluster.watch(...args),
    create: guard((...args) => cluster.create(...args)),
    apply: guard((...args) => cluster.apply(...args)),
    replace: guard((...args) => cluster.replace(...args)),
    merge: guard((...args) => cluster.merge(...args)),
    remove: guard((...args) => cluster.remove(...args)),
    exec: guard((...args) => cluster.exec(...args)),
    as: (user) => fenced(cluster.as(user), { isOver }),
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}
