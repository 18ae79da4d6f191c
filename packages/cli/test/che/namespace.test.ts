import type { Cluster, KubeObject } from '@restic-engine/che-state';
import * as che from '@restic-engine/che-state';
import { EngineError } from 'restic-engine';
import { expect, it } from 'vitest';
import { findNamespace } from '../../src/che/cluster.ts';
import { createCheContext } from '../../src/che/context.ts';

interface Seen {
  /** Namespaces with a CheCluster; undefined: one may not look. */
  readonly cheClusters?: readonly string[] | undefined;
  /** Undefined: one may not look. */
  readonly namespaces?: readonly string[] | undefined;
  /** Of the kubeconfig's context. */
  readonly own?: string;
  readonly kind?: 'v1' | 'v2';
}

const named = (name: string, namespace?: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Any',
  metadata: { name, ...(namespace !== undefined && { namespace }) },
});

const denied = (): never => {
  throw new EngineError('denied', 'forbidden');
};

/** As much of a cluster as is looked at. */
function clusterWith({ cheClusters, namespaces, own, kind = 'v2' }: Seen): Cluster {
  const seen: Pick<Cluster, 'namespace' | 'serves' | 'list' | 'get'> = {
    namespace: own,
    serves: async ({ version }) => version === kind,
    async *list({ version }) {
      expect(version).toBe(kind);
      yield* cheClusters?.map((namespace) => named('che', namespace)) ?? denied();
    },
    get: async ({ name }) => ((namespaces ?? denied()).includes(name) ? named(name) : undefined),
  };
  return seen as Cluster;
}

it.each<[string, Seen, { flag?: string; variable?: string }, string]>([
  ['the one of the flag', { cheClusters: ['a'], namespaces: [] }, { flag: 'f', variable: 'v' }, 'f'],
  ['the one of the environment', { cheClusters: ['a'], namespaces: [] }, { variable: 'v' }, 'v'],
  ['the one with the only CheCluster', { cheClusters: ['a'], namespaces: ['eclipse-che'] }, { variable: '' }, 'a'],
  ['the same of an old one', { cheClusters: ['a'], namespaces: [], kind: 'v1' }, {}, 'a'],
  ['eclipse-che, of several', { cheClusters: ['a', 'b'], namespaces: ['che', 'eclipse-che'] }, {}, 'eclipse-che'],
  ['che, where there is no other', { cheClusters: [], namespaces: ['che'] }, {}, 'che'],
  ['eclipse-che, where there is nothing', { cheClusters: [], namespaces: [] }, {}, 'eclipse-che'],
  ['one by its name, where CheClusters may not be listed', { namespaces: ['che'] }, {}, 'che'],
  ['that of the kubeconfig, where one may see nothing', { own: 'mine' }, {}, 'mine'],
  ['eclipse-che, where one may see nothing at all', {}, {}, 'eclipse-che'],
])('the namespace is %s', async (_title, seen, { flag, variable }, expected) => {
  const flags = flag === undefined ? {} : { chenamespace: flag };
  const context = createCheContext(flags, { CHE_NAMESPACE: variable }, new AbortController().signal);
  expect(await findNamespace(context, clusterWith(seen), che)).toBe(expected);
});
