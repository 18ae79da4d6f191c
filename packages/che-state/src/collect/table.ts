/**
 * What belongs to a backup of Che: the one table. Collecting goes through it, and so does restoring, in its order.
 *
 * An entry is a kind at a place, and what of it is taken: objects that one of its selections describes and none of its
 * exceptions. What is left out is made again by those who made it: Che's operator, the DevWorkspace operator, Che's server
 * or the platform. How an object is saved is the same wherever it is: `objects/strip.ts`.
 *
 * Class A cannot be made again; B can, but with a loss that people notice: they log in again, browsers distrust a new
 * certificate, what an administrator has tuned is gone.
 */
import {
  CHE_CLUSTER_V2,
  CLUSTER_ROLE,
  CONFIG_MAP,
  DEV_WORKSPACE,
  DEV_WORKSPACE_OPERATOR_CONFIG,
  DEV_WORKSPACE_TEMPLATE,
  LIMIT_RANGE,
  NAMESPACE,
  NETWORK_POLICY,
  OAUTH_CLIENT,
  RESOURCE_QUOTA,
  ROLE,
  ROLE_BINDING,
  SECRET,
  SECURITY_CONTEXT_CONSTRAINTS,
  TEMPLATE,
  VOLUME_CLAIM,
} from '../objects/kinds.ts';
import type { Kind, KubeObject, ObjectRef } from '../objects/object.ts';
import { isSameKind } from '../objects/path.ts';
import { isWorkspace } from '../objects/strip.ts';
import { fieldAt, textAt } from '../objects/fields.ts';
import {
  AUTOMATIC_SECRET,
  BEING_DELETED,
  CLUSTER_BUNDLE,
  COMPONENT,
  COPY_OF_WORKSPACES_CONFIG,
  MADE_BY_BACKUPS,
  MADE_BY_CHE_OPERATOR,
  MADE_FOR_A_WORKSPACE,
  MADE_FOR_USERS,
  MADE_FROM_OTHERS,
  PART_OF,
  PLATFORM_ROLE,
  ROLE_OF_KUBERNETES,
} from './exceptions.ts';
import type { Exception } from './exceptions.ts';
import type { Installation } from './installation.ts';
import {
  clusterRoles,
  oauthClients,
  referencedFrom,
  requiredConfigMaps,
  requiredSecrets,
  securityContextConstraints,
  usualConfigMaps,
  usualSecrets,
} from './named.ts';

/** Where objects are looked for. */
export type Place =
  /** In no namespace. */
  | 'cluster'
  /** In the namespace of the CheCluster. */
  | 'che'
  /** In the namespaces of users, which are those that the entry for namespaces takes. */
  | 'users'
  /** In any namespace at all. */
  | 'anywhere';

/** A selection describes an object that has all of what it names; one that names nothing describes every object. */
export interface Selection {
  readonly class: 'A' | 'B';
  /** For people. */
  readonly what: string;
  /** Labels with their values; `true` for any value. */
  readonly labels?: Readonly<Record<string, string | true>>;
  readonly names?: (installation: Installation) => readonly string[];
  /** What neither says. */
  readonly where?: (object: KubeObject) => boolean;
  /** The CheCluster asks for these names: one that is not there is told. @default false */
  readonly isRequired?: boolean;
}

export interface Entry {
  readonly kind: Kind;
  readonly place: Place;
  readonly takes: readonly Selection[];
  readonly except: readonly Exception[];
  /** Objects that only an object of this entry can name. */
  readonly refersTo?: (object: KubeObject) => readonly ObjectRef[];
}

const CHE = { [PART_OF]: 'che.eclipse.org' };

const part = (component: string): Readonly<Record<string, string>> => ({
  [PART_OF]: 'che.eclipse.org',
  [COMPONENT]: component,
});

const hasComponentEnding =
  (end: string) =>
  ({ metadata: { labels } }: KubeObject): boolean =>
    labels?.[COMPONENT]?.endsWith(end) ?? false;

const WORKSPACES_CONFIG: Selection = {
  class: 'A',
  what: 'what an administrator gives to every user',
  labels: part('workspaces-config'),
};
const MOUNTED: Selection = {
  class: 'A',
  what: 'what users have mounted into all their workspaces',
  labels: { 'controller.devfile.io/mount-to-devworkspace': 'true' },
};
const OF_ADMINISTRATORS: Selection = { class: 'B', what: 'what administrators rule for a user' };
const REGISTRY_SECRET = 'devworkspace-backup-registry-auth';

/** What is taken from nowhere. */
export const NEVER: readonly Exception[] = [BEING_DELETED, MADE_BY_BACKUPS, AUTOMATIC_SECRET];

/** In the order in which they are applied. */
export const TABLE: readonly Entry[] = [
  {
    kind: CLUSTER_ROLE,
    place: 'cluster',
    takes: [
      {
        class: 'A',
        what: 'roles that the CheCluster gives to its server and to users',
        names: clusterRoles,
        isRequired: true,
      },
    ],
    except: [MADE_BY_CHE_OPERATOR, ROLE_OF_KUBERNETES],
  },
  {
    kind: SECURITY_CONTEXT_CONSTRAINTS,
    place: 'cluster',
    takes: [{ class: 'A', what: 'those for building and running containers', names: securityContextConstraints }],
    except: [MADE_BY_CHE_OPERATOR],
  },
  {
    kind: OAUTH_CLIENT,
    place: 'cluster',
    takes: [{ class: 'B', what: 'the client of Che, whose tokens stay valid with its secret', names: oauthClients }],
    except: [],
  },
  {
    kind: DEV_WORKSPACE_OPERATOR_CONFIG,
    place: 'anywhere',
    takes: [{ class: 'B', what: "the installation's, the global one, and those that workspaces ask for" }],
    except: [],
    refersTo: registrySecret,
  },
  {
    kind: SECRET,
    place: 'che',
    takes: [
      { class: 'A', what: 'clients of Git services', labels: part('oauth-scm-configuration') },
      { class: 'A', what: 'what the CheCluster names', names: requiredSecrets, isRequired: true },
      { class: 'A', what: 'what variables of containers are taken from', names: secretsOfContainers },
      { class: 'B', what: 'certificates, cookies and passwords under their usual names', names: usualSecrets },
      { class: 'A', what: "mounted into Che's own pods", labels: CHE, where: hasComponentEnding('-secret') },
      WORKSPACES_CONFIG,
    ],
    except: [MADE_FOR_A_WORKSPACE],
  },
  {
    kind: CONFIG_MAP,
    place: 'che',
    takes: [
      { class: 'A', what: 'certificates to trust', labels: part('ca-bundle') },
      { class: 'A', what: 'what the CheCluster names', names: requiredConfigMaps, isRequired: true },
      { class: 'A', what: 'what variables of containers are taken from', names: configMapsOfContainers },
      { class: 'A', what: 'certificates of Git servers, extensions of the registry', names: usualConfigMaps },
      { class: 'A', what: "mounted into Che's own pods", labels: CHE, where: hasComponentEnding('-configmap') },
      { class: 'A', what: 'editors of an administrator', labels: part('editor-definition') },
      WORKSPACES_CONFIG,
    ],
    except: [MADE_FROM_OTHERS, CLUSTER_BUNDLE, MADE_FOR_A_WORKSPACE],
  },
  { kind: VOLUME_CLAIM, place: 'che', takes: [WORKSPACES_CONFIG], except: [] },
  { kind: TEMPLATE, place: 'che', takes: [WORKSPACES_CONFIG], except: [] },
  // The one that the installation is, which is neither looked for nor left out.
  { kind: CHE_CLUSTER_V2, place: 'che', takes: [], except: [] },
  {
    kind: NAMESPACE,
    place: 'cluster',
    takes: [
      { class: 'A', what: 'namespaces of users', labels: part('workspaces-namespace') },
      {
        class: 'A',
        what: 'those of older versions',
        labels: { 'che.eclipse.org/workspace-namespace-owner-uid': true },
      },
    ],
    except: [],
  },
  {
    kind: ROLE,
    place: 'users',
    takes: [OF_ADMINISTRATORS],
    except: [PLATFORM_ROLE, MADE_FOR_A_WORKSPACE, COPY_OF_WORKSPACES_CONFIG],
  },
  {
    kind: ROLE_BINDING,
    place: 'users',
    takes: [OF_ADMINISTRATORS],
    except: [PLATFORM_ROLE, MADE_FOR_A_WORKSPACE, COPY_OF_WORKSPACES_CONFIG],
  },
  {
    kind: NETWORK_POLICY,
    place: 'users',
    takes: [OF_ADMINISTRATORS],
    except: [MADE_FOR_A_WORKSPACE, COPY_OF_WORKSPACES_CONFIG],
  },
  {
    kind: SECRET,
    place: 'users',
    takes: [
      {
        class: 'A',
        what: 'passwords of Git servers',
        labels: { 'controller.devfile.io/git-credential': 'true' },
      },
      { class: 'A', what: 'SSH keys', names: () => ['git-ssh-key'] },
      { class: 'A', what: 'access tokens of Git services', labels: part('scm-personal-access-token') },
      MOUNTED,
      {
        class: 'A',
        what: 'access to registries of images',
        labels: { 'controller.devfile.io/devworkspace_pullsecret': 'true' },
      },
      { class: 'B', what: 'who the user is', names: () => ['user-profile'] },
      { class: 'B', what: "access to the registry of the workspaces' own backups", names: () => [REGISTRY_SECRET] },
    ],
    except: [COPY_OF_WORKSPACES_CONFIG, MADE_FOR_USERS, MADE_FOR_A_WORKSPACE],
  },
  {
    kind: CONFIG_MAP,
    place: 'users',
    takes: [
      MOUNTED,
      {
        class: 'A',
        what: 'certificates of Git servers',
        labels: { 'controller.devfile.io/git-tls-credential': 'true' },
      },
      {
        class: 'A',
        what: 'how workspaces of this namespace are run',
        labels: { 'controller.devfile.io/namespaced-config': true },
      },
    ],
    except: [COPY_OF_WORKSPACES_CONFIG, MADE_FOR_USERS, MADE_FOR_A_WORKSPACE],
  },
  {
    kind: VOLUME_CLAIM,
    place: 'users',
    takes: [
      {
        class: 'A',
        what: "volumes of all the user's workspaces, without their files",
        names: () => ['claim-devworkspace', 'claim-che-workspace'],
      },
      {
        class: 'A',
        what: 'volumes of one workspace, without their files',
        labels: { 'controller.devfile.io/devworkspace_pvc_type': true },
      },
      { class: 'A', what: 'volumes that a workspace owns', where: isOwnedByWorkspace },
      MOUNTED,
    ],
    except: [COPY_OF_WORKSPACES_CONFIG],
  },
  { kind: LIMIT_RANGE, place: 'users', takes: [OF_ADMINISTRATORS], except: [COPY_OF_WORKSPACES_CONFIG] },
  { kind: RESOURCE_QUOTA, place: 'users', takes: [OF_ADMINISTRATORS], except: [COPY_OF_WORKSPACES_CONFIG] },
  {
    kind: DEV_WORKSPACE_TEMPLATE,
    place: 'users',
    takes: [{ class: 'A', what: 'all' }],
    except: [],
  },
  { kind: DEV_WORKSPACE, place: 'users', takes: [{ class: 'A', what: 'all' }], except: [] },
];

/** Every kind that is in backups; CheCluster in its newest version. */
export const SAVED_KINDS: readonly Kind[] = [...new Set(TABLE.map(({ kind }) => kind))];

/** How early an object of a backup is applied: objects with a smaller number come first. */
export function orderOf({ kind, namespace }: ObjectRef, cheNamespace: string): number {
  const place: Place = namespace === undefined ? 'cluster' : namespace === cheNamespace ? 'che' : 'users';
  const here = TABLE.findIndex((entry) => isSameKind(entry.kind, kind) && entry.place === place);
  // Elsewhere is what another object refers to.
  return here >= 0 ? here : TABLE.findIndex((entry) => isSameKind(entry.kind, kind));
}

/** Does `object` belong to a backup, and by which selection? */
export function selectionOf(entry: Entry, object: KubeObject, installation: Installation): Selection | undefined {
  if ([...NEVER, ...entry.except].some(({ is }) => is(object, installation))) return undefined;
  return entry.takes.find((selection) => describes(selection, object, installation));
}

function describes({ labels, names, where }: Selection, object: KubeObject, installation: Installation): boolean {
  const has = object.metadata.labels ?? {};
  return (
    (names?.(installation).includes(object.metadata.name) ?? true) &&
    Object.entries(labels ?? {}).every(([name, value]) => (value === true ? name in has : has[name] === value)) &&
    (where?.(object) ?? true)
  );
}

function secretsOfContainers(installation: Installation): readonly string[] {
  return [...referencedFrom(installation, 'secretKeyRef'), ...referencedFrom(installation, 'secretRef')];
}

function configMapsOfContainers(installation: Installation): readonly string[] {
  return [...referencedFrom(installation, 'configMapKeyRef'), ...referencedFrom(installation, 'configMapRef')];
}

function isOwnedByWorkspace({ metadata }: KubeObject): boolean {
  return metadata.ownerReferences?.some(isWorkspace) ?? false;
}

/** The DevWorkspace operator copies it to where it backs up the files of workspaces. */
function registrySecret({ config, metadata: { namespace } }: KubeObject): readonly ObjectRef[] {
  const job = fieldAt(config, 'workspace', 'backupCronJob');
  if (textAt(job, 'registry', 'path') === undefined) return [];
  return [{ kind: SECRET, namespace, name: textAt(job, 'registry', 'authSecret') ?? REGISTRY_SECRET }];
}
