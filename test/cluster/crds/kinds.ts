/** The kinds that tests make, read and compare. */
import type { Kind, ObjectRef } from '@restic-engine/che-state';

function kind(group: string, version: string, name: string, plural: string, namespaced = true): Kind {
  return { group, version, kind: name, plural, namespaced };
}

const RBAC = 'rbac.authorization.k8s.io';
const DEVFILE = 'workspace.devfile.io';
const CONTROLLER = 'controller.devfile.io';
const CHE = 'org.eclipse.che';
const OLM = 'operators.coreos.com';

export const KIND = {
  namespace: kind('', 'v1', 'Namespace', 'namespaces', false),
  secret: kind('', 'v1', 'Secret', 'secrets'),
  configMap: kind('', 'v1', 'ConfigMap', 'configmaps'),
  pod: kind('', 'v1', 'Pod', 'pods'),
  service: kind('', 'v1', 'Service', 'services'),
  serviceAccount: kind('', 'v1', 'ServiceAccount', 'serviceaccounts'),
  event: kind('', 'v1', 'Event', 'events'),
  volumeClaim: kind('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims'),
  resourceQuota: kind('', 'v1', 'ResourceQuota', 'resourcequotas'),
  limitRange: kind('', 'v1', 'LimitRange', 'limitranges'),
  deployment: kind('apps', 'v1', 'Deployment', 'deployments'),
  lease: kind('coordination.k8s.io', 'v1', 'Lease', 'leases'),
  networkPolicy: kind('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies'),
  clusterRole: kind(RBAC, 'v1', 'ClusterRole', 'clusterroles', false),
  clusterRoleBinding: kind(RBAC, 'v1', 'ClusterRoleBinding', 'clusterrolebindings', false),
  role: kind(RBAC, 'v1', 'Role', 'roles'),
  roleBinding: kind(RBAC, 'v1', 'RoleBinding', 'rolebindings'),
  crd: kind('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', false),

  cheClusterV1: kind(CHE, 'v1', 'CheCluster', 'checlusters'),
  cheClusterV2: kind(CHE, 'v2', 'CheCluster', 'checlusters'),
  serverConfiguration: kind(CHE, 'v1', 'CheBackupServerConfiguration', 'chebackupserverconfigurations'),
  clusterBackup: kind(CHE, 'v1', 'CheClusterBackup', 'checlusterbackups'),
  clusterRestore: kind(CHE, 'v1', 'CheClusterRestore', 'checlusterrestores'),
  backupSchedule: kind(CHE, 'v1', 'CheBackupSchedule', 'chebackupschedules'),
  imagePuller: kind('che.eclipse.org', 'v1alpha1', 'KubernetesImagePuller', 'kubernetesimagepullers'),

  devWorkspace: kind(DEVFILE, 'v1alpha2', 'DevWorkspace', 'devworkspaces'),
  devWorkspaceTemplate: kind(DEVFILE, 'v1alpha2', 'DevWorkspaceTemplate', 'devworkspacetemplates'),
  devWorkspaceRouting: kind(CONTROLLER, 'v1alpha1', 'DevWorkspaceRouting', 'devworkspaceroutings'),
  devWorkspaceConfig: kind(CONTROLLER, 'v1alpha1', 'DevWorkspaceOperatorConfig', 'devworkspaceoperatorconfigs'),

  subscription: kind(OLM, 'v1alpha1', 'Subscription', 'subscriptions'),
  installPlan: kind(OLM, 'v1alpha1', 'InstallPlan', 'installplans'),
  clusterServiceVersion: kind(OLM, 'v1alpha1', 'ClusterServiceVersion', 'clusterserviceversions'),

  oauthClient: kind('oauth.openshift.io', 'v1', 'OAuthClient', 'oauthclients', false),
  route: kind('route.openshift.io', 'v1', 'Route', 'routes'),
  template: kind('template.openshift.io', 'v1', 'Template', 'templates'),
  scc: kind('security.openshift.io', 'v1', 'SecurityContextConstraints', 'securitycontextconstraints', false),
  consoleLink: kind('console.openshift.io', 'v1', 'ConsoleLink', 'consolelinks', false),
  clusterVersion: kind('config.openshift.io', 'v1', 'ClusterVersion', 'clusterversions', false),
} as const satisfies Readonly<Record<string, Kind>>;

export const KINDS: readonly Kind[] = Object.values(KIND);

/** Names an object. */
export const at = (kind: Kind, namespace: string | undefined, name: string): ObjectRef => ({ kind, namespace, name });
