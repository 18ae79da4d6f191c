/** What is left out of a backup although it looks as if it belonged there: others make it, again. */
import { fieldAt } from '../objects/fields.ts';
import type { KubeObject } from '../objects/object.ts';
import type { Installation } from './installation.ts';

export interface Exception {
  /** For people. */
  readonly what: string;
  readonly is: (object: KubeObject, installation: Installation) => boolean;
}

export const PART_OF = 'app.kubernetes.io/part-of';
export const COMPONENT = 'app.kubernetes.io/component';
const MANAGED_BY = 'app.kubernetes.io/managed-by';
const WORKSPACE_ID = 'controller.devfile.io/devworkspace_id';

function label({ metadata }: KubeObject, name: string): string | undefined {
  const value = fieldAt(metadata.labels, name);
  return typeof value === 'string' ? value : undefined;
}

function isPartOf(object: KubeObject, whole: string): boolean {
  return label(object, PART_OF) === whole;
}

function isNamed({ metadata }: KubeObject, ...names: readonly string[]): boolean {
  return names.includes(metadata.name);
}

export const BEING_DELETED: Exception = {
  what: 'what somebody has deleted, and finalizers hold',
  is: ({ metadata }) => metadata.deletionTimestamp !== undefined,
};

export const MADE_BY_BACKUPS: Exception = {
  what: 'what backups themselves need, such as the password of a repository',
  is: (object) => isPartOf(object, 'backup.che.eclipse.org'),
};

export const AUTOMATIC_SECRET: Exception = {
  what: 'tokens of service accounts, and what gives them access to the registry of the cluster',
  is: ({ type, metadata: { annotations } }) =>
    type === 'kubernetes.io/service-account-token' ||
    (String(type).startsWith('kubernetes.io/dockercfg') &&
      (fieldAt(annotations, 'kubernetes.io/service-account.name') !== undefined ||
        fieldAt(annotations, 'openshift.io/token-secret.name') !== undefined ||
        fieldAt(annotations, 'openshift.io/internal-registry-auth-token.service-account') !== undefined)),
};

export const MADE_FOR_A_WORKSPACE: Exception = {
  what: 'what a workspace gets while it runs, which is removed with it',
  is: (object) => label(object, WORKSPACE_ID) !== undefined,
};

/** Names under which the operators keep what they make of other objects. */
const MERGED_CONFIG_MAPS = ['ca-certs-merged', 'self-signed-certificate', 'oidc-issuer-ca', 'editors-definitions'];
const PLATFORM_CONFIG_MAPS = ['kube-root-ca.crt', 'openshift-service-ca.crt'];
const USER_CONFIG_MAPS = ['sync-workspaces-config', 'devworkspace-gitconfig', 'devworkspace-ssh-askpass'];
const USER_SETTINGS = [
  'che-user-settings',
  'che-server-cert',
  'che-git-tls-creds',
  'devworkspace-merged-git-credentials',
];

export const MADE_FROM_OTHERS: Exception = {
  what: 'ConfigMaps that the operator makes of others, and the certificates of the platform',
  is: (object) => isNamed(object, ...MERGED_CONFIG_MAPS, ...PLATFORM_CONFIG_MAPS),
};

export const CLUSTER_BUNDLE: Exception = {
  what: 'ca-certs of the operator, but on OpenShift, where administrators may have added to it',
  is: (object, { generation, infrastructure }) =>
    generation === 'v2' && infrastructure === 'Kubernetes' && isNamed(object, 'ca-certs'),
};

export const COPY_OF_WORKSPACES_CONFIG: Exception = {
  what: 'copies that every user gets of what is in the namespace of Che',
  is: (object) => isPartOf(object, 'che.eclipse.org') && label(object, COMPONENT) === 'workspaces-config',
};

export const MADE_FOR_USERS: Exception = {
  what: 'settings that the operators put into every namespace of a user',
  is: (object) =>
    label(object, COMPONENT) === 'user-settings' ||
    isNamed(object, ...USER_SETTINGS, ...USER_CONFIG_MAPS, ...PLATFORM_CONFIG_MAPS),
};

export const MADE_BY_CHE_OPERATOR: Exception = {
  what: 'cluster-wide rights that the operator makes and grants',
  is: (object, { flavor }) =>
    isPartOf(object, 'che.eclipse.org') ||
    ['che-operator', `${flavor}-operator`].includes(label(object, MANAGED_BY) ?? ''),
};

export const ROLE_OF_KUBERNETES: Exception = {
  what: 'roles that Kubernetes brings along, other ones in each version',
  is: (object) => label(object, 'kubernetes.io/bootstrapping') !== undefined,
};

export const PLATFORM_ROLE: Exception = {
  what: 'rights that Che, the DevWorkspace operator or OpenShift grant in every namespace',
  is: ({ metadata: { name } }, { flavor }) =>
    /^devworkspace-(default-role|use-)/.test(name) ||
    [`${flavor}-user-container-build`, `${flavor}-user-container-run`].includes(name) ||
    ['system:deployers', 'system:image-builders', 'system:image-pullers'].includes(name),
};
