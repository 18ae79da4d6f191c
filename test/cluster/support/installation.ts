/** Whole installations of Che, to be backed up, destroyed and compared with what comes back. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubeObject, ObjectRef, OwnerReference } from '@restic-engine/che-state';
import { KIND } from '../crds/kinds.ts';
import { ApiError, eachOf, type Api } from './api.ts';
import { cheNamespaceV1, cheNamespaceV2, clusterWide, type Made } from './che-objects.ts';
import { userNamespace } from './user-objects.ts';

export interface InstallationOptions {
  /** @default 'eclipse-che' */
  readonly namespace?: string;
  /** @default 'apps.one.example' */
  readonly domain?: string;
  /** Namespaces of users. @default 4 */
  readonly users?: number;
  /** In all of them together. @default 8 */
  readonly devWorkspaces?: number;
  /** How many objects a backup of it has; more Secrets and ConfigMaps of users make up the number. Default: as it comes. */
  readonly objects?: number;
}

export interface TestInstallation {
  readonly namespace: string;
  readonly userNamespaces: readonly string[];
  /** What a backup consists of, the CheCluster among it. */
  readonly saved: readonly KubeObject[];
  /** What must not be in one. */
  readonly derived: readonly KubeObject[];
}

/** Of today's generation. */
export function installationV2(options: InstallationOptions = {}): TestInstallation {
  const { namespace = 'eclipse-che', domain = 'apps.one.example', users = 4, devWorkspaces = 8, objects } = options;
  const made: Made[] = [...clusterWide(namespace), ...cheNamespaceV2(namespace, domain)];
  const userNamespaces = Array.from({ length: users }, (_, at) => `user${at + 1}-che`);
  const workspacesOf = (at: number): number => Math.floor(devWorkspaces / users) + (at < devWorkspaces % users ? 1 : 0);
  for (const [at, name] of userNamespaces.entries())
    made.push(...userNamespace(name, { cheNamespace: namespace, workspaces: workspacesOf(at) }));
  const saved = made.filter((each) => each.isSaved).map(({ object }) => object);
  const missing = (objects ?? 0) - saved.length;
  for (let at = 0; at < missing; at += 1) saved.push(anotherOf(userNamespaces[at % users] ?? '', at));
  return { namespace, userNamespaces, saved, derived: derivedOf(made) };
}

/** Of Che up to 7.42 and CodeReady Workspaces 2; its databases are not in the cluster's state. */
export function installationV1(
  options: { readonly namespace?: string; readonly domain?: string } = {},
): TestInstallation {
  const { namespace = 'workspaces', domain = 'apps.one.example' } = options;
  const made = cheNamespaceV1(namespace, domain);
  const saved = made.filter((each) => each.isSaved).map(({ object }) => object);
  return { namespace, userNamespaces: [], saved, derived: derivedOf(made) };
}

const derivedOf = (made: readonly Made[]): KubeObject[] =>
  made.filter(({ isSaved }) => !isSaved).map(({ object }) => object);

function anotherOf(namespace: string, at: number): KubeObject {
  const labels = {
    'controller.devfile.io/mount-to-devworkspace': 'true',
    'controller.devfile.io/watch-configmap': 'true',
  };
  const metadata = { name: `settings-${at}`, namespace, labels };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'settings.json': JSON.stringify({ at }, null, 2) } };
}

const FIRST: readonly string[] = ['Namespace', 'CheCluster', 'DevWorkspace'];

/** Makes it, and resolves when the players have installed it. */
export async function install(
  api: Api,
  { namespace, userNamespaces, saved, derived }: TestInstallation,
): Promise<void> {
  const all = [...saved, ...derived];
  const ofKind = (kind: string): KubeObject[] => all.filter((each) => each.kind === kind);
  const cheNamespace: KubeObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  await api.createAll([cheNamespace, ...ofKind('Namespace')]);
  const owners = await eachMade(api, [...ofKind('CheCluster'), ...ofKind('DevWorkspace')]);
  const others = all.filter(({ kind }) => !FIRST.includes(kind)).map((each) => owned(each, owners));
  await api.createAll(others);
  await installed(api, [namespace, ...userNamespaces]);
}

async function eachMade(api: Api, objects: readonly KubeObject[]): Promise<Map<string, KubeObject>> {
  const made = new Map<string, KubeObject>();
  await eachOf(objects, async (each) => {
    const object = await api.create(each);
    made.set(`${object.metadata.namespace}/${object.kind}/${object.metadata.name}`, object);
  });
  return made;
}

/** With the uid of the owner, which the test's own object leaves open. */
function owned(object: KubeObject, owners: ReadonlyMap<string, KubeObject>): KubeObject {
  const references = object.metadata.ownerReferences?.map((reference): OwnerReference => {
    const owner = owners.get(`${object.metadata.namespace}/${reference.kind}/${reference.name}`);
    return { ...reference, uid: owner?.metadata.uid ?? reference.uid };
  });
  return references === undefined
    ? object
    : { ...object, metadata: { ...object.metadata, ownerReferences: references } };
}

const PATIENCE_MS = 60_000;

async function installed(api: Api, namespaces: readonly string[]): Promise<void> {
  const isReady = ({ status }: KubeObject): boolean =>
    status?.['cheVersion'] !== undefined || status?.['devworkspaceId'] !== undefined;
  await until('the operators have done their part', async () => {
    const kinds = [KIND.cheClusterV1, KIND.cheClusterV2, KIND.devWorkspace];
    const waiting = await Promise.all(kinds.map((kind) => api.list(kind)));
    return waiting
      .flat()
      .filter(({ metadata }) => namespaces.includes(metadata.namespace ?? ''))
      .every(isReady);
  });
}

/** Looks until something has come true. */
export async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`it did not come true that ${what}`);
    await sleep(50);
  }
}

/** Deletes what is there of it, what is in no namespace too, and resolves when nothing is left. */
export async function destroy(api: Api, installation: TestInstallation): Promise<void> {
  const { namespace, userNamespaces, saved, derived } = installation;
  const clusterWide = [KIND.clusterRole, KIND.oauthClient, KIND.scc, KIND.consoleLink];
  for (const kind of clusterWide) {
    const names = [...saved, ...derived].filter((each) => each.kind === kind.kind).map(({ metadata }) => metadata.name);
    await eachOf(names, (name) => removeIfThere(api, { kind, namespace: undefined, name }));
  }
  await destroyNamespaces(api, [namespace, ...userNamespaces]);
}

/** Deletes namespaces with all that is in them, and resolves when they are gone. */
export async function destroyNamespaces(api: Api, names: readonly string[]): Promise<void> {
  await eachOf(names, (name) => removeIfThere(api, { kind: KIND.namespace, namespace: undefined, name }));
  await until('everything is gone', async () => {
    const left = await api.list(KIND.namespace);
    return !left.some(({ metadata }) => names.includes(metadata.name));
  });
}

async function removeIfThere(api: Api, ref: ObjectRef): Promise<void> {
  await api.remove(ref).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
  });
}
