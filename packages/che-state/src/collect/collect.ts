/** Reads an installation of Che from its cluster, object by object. */
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { CHE_CLUSTER_V1, CHE_CLUSTER_V2, NAMESPACE } from '../objects/kinds.ts';
import type { Kind, KubeObject, ObjectRef } from '../objects/object.ts';
import { pathOf } from '../objects/path.ts';
import { normalize } from '../objects/strip.ts';
import { toYaml } from '../objects/yaml.ts';
import type { Installation } from './installation.ts';
import { inTurn, listingsOf } from './listing.ts';
import type { Scope } from './listing.ts';
import { selectionOf, TABLE } from './table.ts';
import type { Entry } from './table.ts';

export interface CollectedObject {
  readonly ref: ObjectRef;
  /** Where it is in a backup, such as `secrets/che-tls.yaml`. */
  readonly path: string;
  /** As it is saved. */
  readonly object: KubeObject;
  readonly yaml: string;
}

export interface CollectOptions extends ClusterCall {
  /** Told what the CheCluster names and the cluster does not have. */
  readonly onMissing?: ((ref: ObjectRef) => void) | undefined;
}

/**
 * Yields everything of an installation that belongs to a backup (`collect/table.ts`), each object once, the CheCluster
 * first: in the same order while the cluster stays the same. Rights to read suffice. Objects are handed on as they come; of
 * those before only the names are kept. What goes away meanwhile is not there.
 *
 * Rejects with `denied` when a right is missing, and as the calls of {@link Cluster} do.
 */
export async function* collect(
  cluster: Cluster,
  installation: Installation,
  options: CollectOptions = {},
): AsyncGenerator<CollectedObject> {
  const taken = new Set<string>();
  const save = async (kind: Kind, live: KubeObject): Promise<CollectedObject | undefined> => {
    const ref = { kind, namespace: kind.namespaced ? live.metadata.namespace : undefined, name: live.metadata.name };
    const path = pathOf(ref, installation.namespace);
    if (taken.has(path)) return undefined;
    taken.add(path);
    const object = normalize(live);
    return { ref, path, object, yaml: await toYaml(object) };
  };
  const cheCluster = await save(
    installation.generation === 'v1' ? CHE_CLUSTER_V1 : CHE_CLUSTER_V2,
    installation.cheCluster,
  );
  if (cheCluster !== undefined) yield cheCluster;

  const userNamespaces = new Set<string>();
  const referred: ObjectRef[] = [];
  const found = listEntries(cluster, installation, userNamespaces, options);
  for await (const { entry, live } of found) {
    const item = await save(entry.kind, live);
    if (item === undefined) continue;
    referred.push(...(entry.refersTo?.(live) ?? []));
    yield item;
  }
  for (const ref of referred) {
    const live = await cluster.get(ref, options);
    const item = live === undefined ? undefined : await save(ref.kind, live);
    if (item !== undefined) yield item;
  }
}

interface Found {
  readonly entry: Entry;
  readonly live: KubeObject;
}

/** What the entries take: namespaces first, for that says where users' objects are. */
async function* listEntries(
  cluster: Cluster,
  installation: Installation,
  userNamespaces: Set<string>,
  options: CollectOptions,
): AsyncGenerator<Found> {
  const scope = { cluster, installation, userNamespaces };
  const isNamespace = ({ kind }: Entry): boolean => kind === NAMESPACE;
  for await (const found of listed(TABLE.filter(isNamespace), scope, options)) {
    userNamespaces.add(found.live.metadata.name);
    yield found;
  }
  yield* listed(
    TABLE.filter((entry) => !isNamespace(entry) && entry.takes.length > 0),
    scope,
    options,
  );
}

async function* listed(
  entries: readonly Entry[],
  scope: Scope,
  { signal, onMissing }: CollectOptions,
): AsyncGenerator<Found> {
  const { installation } = scope;
  const missing = requiredOf(entries, installation);
  const lists = entries.flatMap((entry) =>
    listingsOf(entry, scope).map(
      (listing) =>
        async function* (call: ClusterCall): AsyncGenerator<Found> {
          for await (const live of listing(call)) yield { entry, live };
        },
    ),
  );
  for await (const found of inTurn(lists, { signal })) {
    const { entry, live } = found;
    missing.delete(nameOf(entry, live.metadata.name));
    const isElsewhere = entry.place === 'users' && !scope.userNamespaces.has(live.metadata.namespace ?? '');
    if (!isElsewhere && selectionOf(entry, live, installation) !== undefined) yield found;
  }
  for (const ref of missing.values()) onMissing?.(ref);
}

/** What must be there, for the CheCluster names it. */
function requiredOf(entries: readonly Entry[], installation: Installation): Map<string, ObjectRef> {
  const required = new Map<string, ObjectRef>();
  for (const entry of entries) {
    const namespace = entry.kind.namespaced ? installation.namespace : undefined;
    for (const { names, isRequired } of entry.takes) {
      if (isRequired !== true || names === undefined) continue;
      for (const name of names(installation)) required.set(nameOf(entry, name), { kind: entry.kind, namespace, name });
    }
  }
  return required;
}

function nameOf({ place, kind }: Entry, name: string): string {
  return `${place}/${kind.kind}/${name}`;
}
