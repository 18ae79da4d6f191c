/** What the catalog of a Subscription offers (the aggregated API `packages.operators.coreos.com`). */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { itemsAt, textAt } from '../objects/fields.ts';
import type { Kind, KubeObject } from '../objects/object.ts';

const PACKAGE_MANIFEST: Kind = {
  group: 'packages.operators.coreos.com',
  version: 'v1',
  kind: 'PackageManifest',
  plural: 'packagemanifests',
  namespaced: true,
};

/**
 * The channel that offers `csv`, the Subscription's own if that does. Rejects with `not-found` when the catalog says what
 * it has, and has it not; undefined when the catalog does not say.
 */
export async function channelWith(
  cluster: Cluster,
  subscription: KubeObject,
  csv: string,
  call: ClusterCall,
): Promise<string | undefined> {
  const { namespace } = subscription.metadata;
  const name = textAt(subscription.spec, 'name') ?? '';
  if (!(await cluster.serves(PACKAGE_MANIFEST, call))) return undefined;
  const manifest = await cluster.get({ kind: PACKAGE_MANIFEST, namespace, name }, call);
  // Several catalogs may have a package of this name.
  const source = textAt(subscription.spec, 'source');
  if (manifest === undefined || textAt(manifest.status, 'catalogSource') !== source) return undefined;
  const channels = itemsAt(manifest.status, 'channels');
  const offering = channels
    .filter((each) => itemsAt(each, 'entries').some((entry) => textAt(entry, 'name') === csv))
    .flatMap((each) => textAt(each, 'name') ?? []);
  if (offering.length === 0) {
    // Old versions of OLM tell the newest of each channel only.
    if (!channels.every((each) => itemsAt(each, 'entries').length > 0)) return undefined;
    throw new EngineError('not-found', `the catalog ${source ?? ''} does not offer ${csv}`, { package: name, csv });
  }
  const own = textAt(subscription.spec, 'channel');
  return own !== undefined && offering.includes(own) ? own : offering[0];
}
