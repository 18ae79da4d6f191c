/** How the objects of an entry of the table are asked for: with few calls, and without what would be thrown away. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall, ListOptions } from '../cluster/cluster.ts';
import type { Kind, KubeObject } from '../objects/object.ts';
import type { Installation } from './installation.ts';
import type { Entry, Selection } from './table.ts';

/** Up to so many namespaces are asked one by one; beyond, all at once. */
const FEW_NAMESPACES = 16;
/** Lists that are begun before their turn comes: each has a page in memory. */
const AHEAD = 4;

/** Begins a list. */
export type Listing = (call: ClusterCall) => AsyncIterable<KubeObject>;

export interface Scope {
  readonly cluster: Cluster;
  readonly installation: Installation;
  readonly userNamespaces: ReadonlySet<string>;
}

/** The lists that together have every object which `entry` may take, some of them more than once, and others. */
export function listingsOf(entry: Entry, scope: Scope): readonly Listing[] {
  const { cluster, installation, userNamespaces } = scope;
  const { kind, place, takes } = entry;
  switch (place) {
    case 'che':
      return [list(cluster, kind, { namespace: installation.namespace })];
    case 'cluster':
      return takes.map(({ names, labels }) =>
        names === undefined
          ? list(cluster, kind, { labelSelector: labelSelector(labels) })
          : getAll(cluster, kind, names(installation)),
      );
    case 'anywhere':
      return [orEach(cluster, kind, list(cluster, kind, {}), [installation.namespace, ...userNamespaces])];
    case 'users': {
      const namespaces = [...userNamespaces];
      if (namespaces.length <= FEW_NAMESPACES) {
        return namespaces.map((namespace) => list(cluster, kind, { namespace }));
      }
      return selectors(takes, installation).map((selector) =>
        orEach(cluster, kind, list(cluster, kind, selector), namespaces),
      );
    }
  }
}

function list(cluster: Cluster, kind: Kind, options: ListOptions): Listing {
  return (call) => cluster.list(kind, { ...options, ...call });
}

function getAll(cluster: Cluster, kind: Kind, names: readonly string[]): Listing {
  return async function* (call) {
    if (names.length === 0 || !(await cluster.serves(kind, call))) return;
    for (const name of names) {
      const object = await cluster.get({ kind, namespace: undefined, name }, call);
      if (object !== undefined) yield object;
    }
  };
}

/** Who may not list everywhere may be allowed to in each namespace. */
function orEach(cluster: Cluster, kind: Kind, everywhere: Listing, namespaces: readonly string[]): Listing {
  return async function* (call) {
    try {
      yield* everywhere(call);
      return;
    } catch (error) {
      if (!EngineError.is(error, 'denied')) throw error;
    }
    for (const namespace of namespaces) yield* cluster.list(kind, { namespace, ...call });
  };
}

/** What narrows lists of all namespaces; one without limits when a selection has no others. */
function selectors(takes: readonly Selection[], installation: Installation): readonly ListOptions[] {
  const all: ListOptions[] = [];
  for (const { names, labels } of takes) {
    if (names === undefined && labels === undefined) return [{}];
    if (names === undefined) all.push({ labelSelector: labelSelector(labels) });
    else all.push(...names(installation).map((name) => ({ fieldSelector: `metadata.name=${name}` })));
  }
  return all;
}

function labelSelector(labels: Selection['labels']): string | undefined {
  if (labels === undefined) return undefined;
  return Object.entries(labels)
    .map(([name, value]) => (value === true ? name : `${name}=${value}`))
    .join(',');
}

/** All objects of all lists, list after list, while the next ones are already on their way. */
export async function* inTurn<T>(
  listings: readonly ((call: ClusterCall) => AsyncIterable<T>)[],
  { signal }: ClusterCall,
): AsyncGenerator<T> {
  const stop = new AbortController();
  const call = { signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]) };
  const begun: { readonly items: AsyncIterator<T>; readonly first: Promise<IteratorResult<T>> }[] = [];
  let next = 0;
  const beginNext = (): void => {
    const listing = listings[next++];
    if (listing === undefined) return;
    const items = listing(call)[Symbol.asyncIterator]();
    const first = items.next();
    // Met below, when its turn comes.
    first.catch(() => undefined);
    begun.push({ items, first });
  };
  try {
    for (let i = 0; i < AHEAD; i++) beginNext();
    for (let turn = begun.shift(); turn !== undefined; turn = begun.shift()) {
      beginNext();
      for (let item = await turn.first; item.done !== true; item = await turn.items.next()) yield item.value;
    }
  } finally {
    stop.abort();
  }
}
