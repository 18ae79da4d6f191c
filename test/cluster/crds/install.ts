/**
 * Small definitions of the kinds of others that an installation of Che consists of. They keep every field and check none:
 * what is judged here is whether objects come back as they were.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kind, KubeObject } from '@restic-engine/che-state';
import type { Api } from '../support/api.ts';
import { KIND } from './kinds.ts';

export interface CrdOptions {
  /** Whose kinds there are beside Che's, by which the platform is told. @default 'openshift' */
  readonly platform?: 'kubernetes' | 'openshift';
  /** Which CheCluster is served: with `v2` both, of which v2 is stored; with `v1` only that. @default 'v2' */
  readonly che?: 'v1' | 'v2';
}

const EVERYWHERE: readonly Kind[] = [
  KIND.imagePuller,
  KIND.devWorkspace,
  KIND.devWorkspaceTemplate,
  KIND.devWorkspaceRouting,
  KIND.devWorkspaceConfig,
  KIND.subscription,
  KIND.installPlan,
  KIND.clusterServiceVersion,
];

const OPENSHIFT: readonly Kind[] = [
  KIND.oauthClient,
  KIND.route,
  KIND.template,
  KIND.scc,
  KIND.consoleLink,
  KIND.clusterVersion,
];

/** Makes the definitions and resolves when the kinds are served. */
export function installCrds(api: Api, options: CrdOptions = {}): Promise<void> {
  return applyCrds(api, definitionsOf(options));
}

export function definitionsOf({ platform = 'openshift', che = 'v2' }: CrdOptions = {}): KubeObject[] {
  const cheCluster = definition(KIND.cheClusterV1, che === 'v2' ? ['v1', 'v2'] : ['v1']);
  const others = platform === 'openshift' ? [...EVERYWHERE, ...OPENSHIFT] : EVERYWHERE;
  return [cheCluster, ...others.map((kind) => definition(kind, [kind.version]))];
}

/** Makes definitions, whoever wrote them, and resolves when their kinds are served. */
export async function applyCrds(api: Api, definitions: readonly KubeObject[]): Promise<void> {
  await api.createAll(definitions);
  for (const { metadata } of definitions) await established(api, metadata.name);
}

/** The last of the versions is the stored one. */
function definition({ group, kind, plural, namespaced }: Kind, versions: readonly string[]): KubeObject {
  const preserve = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  // An OAuthClient and a Template have their fields at the top.
  const schema = { openAPIV3Schema: preserve };
  const hasStatus = group !== 'oauth.openshift.io' && group !== 'template.openshift.io';
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: versions.map((name, at) => ({
        name,
        served: true,
        storage: at === versions.length - 1,
        schema,
        ...(hasStatus && { subresources: { status: {} } }),
      })),
    },
  };
}

const PATIENCE_MS = 30_000;

async function established(api: Api, name: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  const ref = { kind: KIND.crd, namespace: undefined, name };
  for (;;) {
    const { status } = (await api.get(ref)) as {
      status?: { conditions?: readonly { type: string; status: string }[] };
    };
    const conditions = status?.conditions ?? [];
    if (conditions.some((each) => each.type === 'Established' && each.status === 'True')) return;
    if (Date.now() > deadline) throw new Error(`${name} is not served: ${JSON.stringify(conditions)}`);
    await sleep(50);
  }
}
