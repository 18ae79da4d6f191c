/** What of a backup changes when it is restored into another namespace or below another domain. */
import type { Infrastructure } from '../collect/installation.ts';
import { fieldAt, isRecord, textAt } from '../objects/fields.ts';
import type { KubeObject, ObjectRef } from '../objects/object.ts';

/** A place where Che is, or was, or is to be. */
export interface Place {
  /** Che's own namespace. */
  readonly namespace: string;
  /** The domain below which routes or ingresses are made; '' when it is not known. */
  readonly domain: string;
}

/** The way from the place in a backup to another one. */
export interface Move {
  readonly from: Place;
  readonly to: Place;
  /** Of the target. */
  readonly infrastructure: Infrastructure;
  /** `che`, `codeready`, `devspaces`. */
  readonly flavor: string;
}

/** How names of cluster-wide objects that belong to one installation go on after its namespace. */
const OF_THE_NAMESPACE = /^(cheworkspaces-.*|che-gateway|che-dashboard|client)$/;
const WORKSPACE_CONFIG = 'controller.devfile.io/devworkspace-config';

/** Does the domain change? An unknown one is taken for the same. */
function domainChanges({ from, to }: Move): boolean {
  return from.domain !== '' && to.domain !== '' && from.domain !== to.domain;
}

/** Where an object of the backup is to be. */
export function adaptRef(move: Move, ref: ObjectRef): ObjectRef {
  if (ref.namespace === undefined) return { ...ref, name: adaptClusterName(move, ref.kind.kind, ref.name) };
  return { ...ref, namespace: adaptNamespace(move, ref.namespace) };
}

/** The object as it is to be there. Nothing of it changes when the place is the same. */
export function adapt(move: Move, object: KubeObject): KubeObject {
  const { metadata } = object;
  const moved: KubeObject = {
    ...object,
    metadata:
      metadata.namespace === undefined
        ? { ...metadata, name: adaptClusterName(move, object.kind, metadata.name) }
        : { ...metadata, namespace: adaptNamespace(move, metadata.namespace) },
  };
  switch (object.kind) {
    case 'CheCluster':
      return adaptCheCluster(move, moved);
    case 'DevWorkspace':
      return adaptWorkspace(move, moved);
    case 'RoleBinding':
    case 'ClusterRoleBinding':
      return adaptBinding(move, moved);
    case 'SecurityContextConstraints':
      return adaptConstraints(move, moved);
    default:
      return moved;
  }
}

const adaptNamespace = ({ from, to }: Move, namespace: string): string =>
  namespace === from.namespace ? to.namespace : namespace;

/** `<namespace>-cheworkspaces-clusterrole`, `<namespace>-client`, and Che's namespace itself. */
function adaptClusterName(move: Move, kind: string, name: string): string {
  if (kind === 'Namespace') return adaptNamespace(move, name);
  const { from, to } = move;
  const rest = name.startsWith(`${from.namespace}-`) ? name.slice(from.namespace.length + 1) : '';
  return OF_THE_NAMESPACE.test(rest) ? `${to.namespace}-${rest}` : name;
}

function adaptBinding(move: Move, binding: KubeObject): KubeObject {
  const subjects = fieldAt(binding, 'subjects');
  const role = textAt(binding, 'roleRef', 'name');
  const ofCluster = textAt(binding, 'roleRef', 'kind') === 'ClusterRole';
  return {
    ...binding,
    ...(Array.isArray(subjects) ? { subjects: subjects.map((subject) => adaptSubject(move, subject)) } : {}),
    ...(role !== undefined && ofCluster && isRecord(binding['roleRef'])
      ? { roleRef: { ...binding['roleRef'], name: adaptClusterName(move, 'ClusterRole', role) } }
      : {}),
  };
}

function adaptSubject(move: Move, subject: unknown): unknown {
  if (!isRecord(subject)) return subject;
  const namespace = textAt(subject, 'namespace');
  const name = textAt(subject, 'name');
  return {
    ...subject,
    ...(namespace === undefined ? {} : { namespace: adaptNamespace(move, namespace) }),
    ...(name === undefined ? {} : { name: adaptAccount(move, name) }),
  };
}

/** `system:serviceaccount:<namespace>:<name>` and the group `system:serviceaccounts:<namespace>`. */
function adaptAccount(move: Move, account: string): string {
  const parts = account.split(':');
  const [system, what, namespace] = parts;
  if (system !== 'system' || namespace === undefined) return account;
  if (what !== 'serviceaccount' && what !== 'serviceaccounts') return account;
  return [system, what, adaptNamespace(move, namespace), ...parts.slice(3)].join(':');
}

function adaptConstraints(move: Move, constraints: KubeObject): KubeObject {
  const adapted = ['users', 'groups'].flatMap((field) => {
    const accounts = constraints[field];
    if (!Array.isArray(accounts)) return [];
    return [[field, accounts.map((one: unknown) => (typeof one === 'string' ? adaptAccount(move, one) : one))]];
  });
  return { ...constraints, ...Object.fromEntries(adapted) };
}

/** A workspace may name the configuration in Che's namespace that holds for it. */
function adaptWorkspace(move: Move, workspace: KubeObject): KubeObject {
  const template = workspace.spec?.['template'];
  const attributes = isRecord(template) ? template['attributes'] : undefined;
  const config = isRecord(attributes) ? attributes[WORKSPACE_CONFIG] : undefined;
  const namespace = textAt(config, 'namespace');
  if (namespace === undefined) return workspace;
  return setText(workspace, ['spec', 'template', 'attributes', WORKSPACE_CONFIG, 'namespace'], () =>
    adaptNamespace(move, namespace),
  );
}

/**
 * Of the hosts and domains in the CheCluster, those that were generated are left out, so that the operator generates them
 * anew. What somebody has chosen stays, wherever the backup is restored.
 */
function adaptCheCluster(move: Move, cheCluster: KubeObject): KubeObject {
  const host = (value: string): string | undefined => (isGenerated(move, value) ? undefined : value);
  // On Kubernetes there must be a domain; on OpenShift the operator finds it.
  const domain = (value: string): string | undefined => {
    if (!domainChanges(move) || value !== move.from.domain) return value;
    return move.infrastructure === 'Kubernetes' ? move.to.domain : undefined;
  };
  const client = (value: string): string => adaptClusterName(move, 'OAuthClient', value);
  if (cheCluster.apiVersion.endsWith('/v2')) {
    const hosted = setText(cheCluster, ['spec', 'networking', 'hostname'], host);
    const placed = setText(hosted, ['spec', 'networking', 'domain'], domain);
    return setText(placed, ['spec', 'networking', 'auth', 'oAuthClientName'], client);
  }
  const hosted = setText(cheCluster, ['spec', 'server', 'cheHost'], host);
  const placed = setText(hosted, ['spec', 'k8s', 'ingressDomain'], domain);
  const external = fieldAt(placed, 'spec', 'auth', 'externalIdentityProvider') === true;
  if (external) return placed;
  return setText(placed, ['spec', 'auth', 'identityProviderURL'], (url) =>
    URL.canParse(url) && isGenerated(move, new URL(url).hostname) ? undefined : url,
  );
}

/** Was this host made of the namespace or the domain that changes now? */
function isGenerated(move: Move, host: string): boolean {
  const { from, to, flavor } = move;
  if (domainChanges(move)) return host === from.domain || host.endsWith(`.${from.domain}`);
  if (from.namespace === to.namespace) return false;
  const labels = [from.namespace, `${flavor}-${from.namespace}`, `che-${from.namespace}`, `keycloak-${from.namespace}`];
  return labels.some((label) => host === `${label}.${from.domain}`);
}

/** Changes the text at a path, if there is one; undefined leaves it out. */
function setText(
  object: KubeObject,
  path: readonly string[],
  change: (text: string) => string | undefined,
): KubeObject {
  const [field = '', ...rest] = path;
  const inner = object[field];
  return isRecord(inner) ? { ...object, [field]: setWithin(inner, rest, change) } : object;
}

function setWithin(
  fields: Readonly<Record<string, unknown>>,
  path: readonly string[],
  change: (text: string) => string | undefined,
): Readonly<Record<string, unknown>> {
  const [field = '', ...rest] = path;
  const inner = fields[field];
  if (rest.length > 0) return isRecord(inner) ? { ...fields, [field]: setWithin(inner, rest, change) } : fields;
  if (typeof inner !== 'string' || inner === '') return fields;
  const { [field]: _old, ...others } = fields;
  const changed = change(inner);
  return changed === undefined ? others : { ...fields, [field]: changed };
}
