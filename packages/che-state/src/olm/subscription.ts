/** How OLM installs the Che operator: a Subscription, and ClusterServiceVersions ("CSVs") named after versions. */
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { textAt } from '../objects/fields.ts';
import { SUBSCRIPTION } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import type { OperatorInfo } from '../state/info.ts';
import { OPERATOR_NAMESPACES } from './operator.ts';

/** Packages of the Che operator, the flavor of Che that each installs, and what its CSVs are called before `.v<version>`. */
const PACKAGES: Readonly<Record<string, { readonly flavor: string; readonly csv: string }>> = {
  'eclipse-che': { flavor: 'che', csv: 'eclipse-che' },
  'codeready-workspaces': { flavor: 'codeready', csv: 'crwoperator' },
  devspaces: { flavor: 'devspaces', csv: 'devspacesoperator' },
};

/** The Subscription of the Che operator. */
export interface FoundSubscription extends OperatorInfo {
  /** `eclipse-che`, `codeready-workspaces` or `devspaces`. */
  readonly package: string;
  /** What its CSVs are called before `.v<version>`. */
  readonly csvPrefix: string;
}

export interface FindSubscriptionOptions extends ClusterCall {
  /** Che's namespace. */
  readonly namespace?: string | undefined;
  /** The installation's: only a Subscription for it is meant. */
  readonly flavor?: string | undefined;
}

/**
 * The Subscription of the Che operator: the one in Che's namespace, else where operators for all namespaces are, else
 * anywhere; undefined when there is none, or no OLM. Rejects with `ambiguous`.
 */
export async function findSubscription(
  cluster: Cluster,
  options: FindSubscriptionOptions = {},
): Promise<FoundSubscription | undefined> {
  const found = await findSubscriptionObject(cluster, options);
  return found === undefined ? undefined : describeSubscription(found);
}

export async function findSubscriptionObject(
  cluster: Cluster,
  { namespace, flavor, signal }: FindSubscriptionOptions,
): Promise<KubeObject | undefined> {
  const all = await listWhereAllowed(cluster, namespace, { signal });
  const ours = all.filter((each) => isForChe(each, flavor));
  // Users may make Subscriptions in namespaces of their own.
  const byPlace = [
    (place = '') => place === namespace,
    (place = '') => OPERATOR_NAMESPACES.includes(place),
    () => true,
  ];
  for (const isHere of byPlace) {
    const here = ours.filter(({ metadata }) => isHere(metadata.namespace));
    if (here.length === 1) return here[0];
    if (here.length === 0) continue;
    const names = here.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).join(', ');
    throw new EngineError('ambiguous', `several Subscriptions are for the Che operator: ${names}`);
  }
  return undefined;
}

export function isForChe({ spec }: KubeObject, flavor: string | undefined): boolean {
  const known = PACKAGES[textAt(spec, 'name') ?? ''];
  return known !== undefined && (flavor === undefined || known.flavor === flavor);
}

async function listWhereAllowed(
  cluster: Cluster,
  namespace: string | undefined,
  call: ClusterCall,
): Promise<readonly KubeObject[]> {
  try {
    return await Array.fromAsync(cluster.list(SUBSCRIPTION, call));
  } catch (error) {
    if (namespace === undefined || !EngineError.is(error, 'denied')) throw error;
    return Array.fromAsync(cluster.list(SUBSCRIPTION, { namespace, ...call }));
  }
}

export function describeSubscription({ metadata, spec, status }: KubeObject): FoundSubscription {
  const name = textAt(spec, 'name') ?? '';
  const installedCsv = textAt(status, 'installedCSV');
  const known = installedCsv ?? textAt(status, 'currentCSV') ?? textAt(spec, 'startingCSV');
  return {
    subscription: metadata.name,
    namespace: metadata.namespace ?? '',
    package: name,
    channel: textAt(spec, 'channel'),
    source: textAt(spec, 'source'),
    sourceNamespace: textAt(spec, 'sourceNamespace'),
    installedCsv,
    approval: textAt(spec, 'installPlanApproval'),
    csvPrefix: (known === undefined ? undefined : splitCsv(known)?.prefix) ?? PACKAGES[name]?.csv ?? name,
  };
}

/** `eclipse-che.v7.42.0` in its parts; undefined for a name of another kind. */
export function splitCsv(name: string): { readonly prefix: string; readonly version: string } | undefined {
  const [, prefix, version] = /^(.+?)\.v(\d.*)$/.exec(name) ?? [];
  return prefix === undefined || version === undefined ? undefined : { prefix, version };
}
