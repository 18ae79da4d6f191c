/** The kinds that are read and written here. Which objects of them belong to a backup is said in collect/table.ts. */
import type { Kind } from './object.ts';

const CORE = { group: '', version: 'v1' } as const;
const RBAC = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const;
const CHE = { group: 'org.eclipse.che', version: 'v1' } as const;

export const NAMESPACE: Kind = { ...CORE, kind: 'Namespace', plural: 'namespaces', namespaced: false };
export const SECRET: Kind = { ...CORE, kind: 'Secret', plural: 'secrets', namespaced: true };
export const CONFIG_MAP: Kind = { ...CORE, kind: 'ConfigMap', plural: 'configmaps', namespaced: true };
export const POD: Kind = { ...CORE, kind: 'Pod', plural: 'pods', namespaced: true };
export const SERVICE: Kind = { ...CORE, kind: 'Service', plural: 'services', namespaced: true };
export const EVENT: Kind = { ...CORE, kind: 'Event', plural: 'events', namespaced: true };
export const VOLUME_CLAIM: Kind = {
  ...CORE,
  kind: 'PersistentVolumeClaim',
  plural: 'persistentvolumeclaims',
  namespaced: true,
};
export const RESOURCE_QUOTA: Kind = { ...CORE, kind: 'ResourceQuota', plural: 'resourcequotas', namespaced: true };
export const LIMIT_RANGE: Kind = { ...CORE, kind: 'LimitRange', plural: 'limitranges', namespaced: true };
export const DEPLOYMENT: Kind = {
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  plural: 'deployments',
  namespaced: true,
};
export const LEASE: Kind = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
};
export const NETWORK_POLICY: Kind = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  namespaced: true,
};
export const CLUSTER_ROLE: Kind = { ...RBAC, kind: 'ClusterRole', plural: 'clusterroles', namespaced: false };
export const ROLE: Kind = { ...RBAC, kind: 'Role', plural: 'roles', namespaced: true };
export const ROLE_BINDING: Kind = { ...RBAC, kind: 'RoleBinding', plural: 'rolebindings', namespaced: true };

/** Che from 7.42 on; the API converts. */
export const CHE_CLUSTER_V2: Kind = {
  ...CHE,
  version: 'v2',
  kind: 'CheCluster',
  plural: 'checlusters',
  namespaced: true,
};
/** Che up to 7.42 and CodeReady Workspaces 2. */
export const CHE_CLUSTER_V1: Kind = { ...CHE, kind: 'CheCluster', plural: 'checlusters', namespaced: true };
export const DEV_WORKSPACE: Kind = {
  group: 'workspace.devfile.io',
  version: 'v1alpha2',
  kind: 'DevWorkspace',
  plural: 'devworkspaces',
  namespaced: true,
};
export const DEV_WORKSPACE_TEMPLATE: Kind = {
  group: 'workspace.devfile.io',
  version: 'v1alpha2',
  kind: 'DevWorkspaceTemplate',
  plural: 'devworkspacetemplates',
  namespaced: true,
};
export const DEV_WORKSPACE_OPERATOR_CONFIG: Kind = {
  group: 'controller.devfile.io',
  version: 'v1alpha1',
  kind: 'DevWorkspaceOperatorConfig',
  plural: 'devworkspaceoperatorconfigs',
  namespaced: true,
};
export const OAUTH_CLIENT: Kind = {
  group: 'oauth.openshift.io',
  version: 'v1',
  kind: 'OAuthClient',
  plural: 'oauthclients',
  namespaced: false,
};
export const ROUTE: Kind = {
  group: 'route.openshift.io',
  version: 'v1',
  kind: 'Route',
  plural: 'routes',
  namespaced: true,
};
/** Only OpenShift 4 has it. */
export const CLUSTER_VERSION: Kind = {
  group: 'config.openshift.io',
  version: 'v1',
  kind: 'ClusterVersion',
  plural: 'clusterversions',
  namespaced: false,
};
/** OpenShift's templates, of which there may be some that every user gets. */
export const TEMPLATE: Kind = {
  group: 'template.openshift.io',
  version: 'v1',
  kind: 'Template',
  plural: 'templates',
  namespaced: true,
};
export const SECURITY_CONTEXT_CONSTRAINTS: Kind = {
  group: 'security.openshift.io',
  version: 'v1',
  kind: 'SecurityContextConstraints',
  plural: 'securitycontextconstraints',
  namespaced: false,
};

export const BACKUP_SERVER_CONFIGURATION: Kind = {
  ...CHE,
  kind: 'CheBackupServerConfiguration',
  plural: 'chebackupserverconfigurations',
  namespaced: true,
};
export const CLUSTER_BACKUP: Kind = {
  ...CHE,
  kind: 'CheClusterBackup',
  plural: 'checlusterbackups',
  namespaced: true,
};
export const CLUSTER_RESTORE: Kind = {
  ...CHE,
  kind: 'CheClusterRestore',
  plural: 'checlusterrestores',
  namespaced: true,
};
export const BACKUP_SCHEDULE: Kind = {
  ...CHE,
  kind: 'CheBackupSchedule',
  plural: 'chebackupschedules',
  namespaced: true,
};

export const SUBSCRIPTION: Kind = {
  group: 'operators.coreos.com',
  version: 'v1alpha1',
  kind: 'Subscription',
  plural: 'subscriptions',
  namespaced: true,
};
export const INSTALL_PLAN: Kind = { ...SUBSCRIPTION, kind: 'InstallPlan', plural: 'installplans' };
export const CLUSTER_SERVICE_VERSION: Kind = {
  ...SUBSCRIPTION,
  kind: 'ClusterServiceVersion',
  plural: 'clusterserviceversions',
};
