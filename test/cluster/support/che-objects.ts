/** What is in a cluster and in the namespace of Che: what a backup must have, and what looks like it. */
import type { Json, Kind, KubeObject, ObjectMeta } from '@restic-engine/che-state';
import { apiVersionOf } from '@restic-engine/che-state';
import { KIND } from '../crds/kinds.ts';
import { canary } from './canary.ts';

/** An object of an installation. */
export interface Made {
  readonly object: KubeObject;
  /** Whether it belongs to a backup. */
  readonly isSaved: boolean;
}

type Fields = Readonly<Record<string, unknown>>;
type Meta = Partial<ObjectMeta>;

/** What must come back. */
export const saved = (object: KubeObject): Made => ({ object, isSaved: true });
/** What others make again. */
export const derived = (object: KubeObject): Made => ({ object, isSaved: false });

export function objectOf(kind: Kind, name: string, meta: Meta, fields: Fields = {}): KubeObject {
  return { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name, ...meta }, ...fields };
}

/** With a value that must never be seen. */
export function secret(name: string, meta: Meta, keys: readonly string[], type = 'Opaque'): KubeObject {
  const valueOf = (key: string): string => {
    const value = canary(`${meta.namespace}/${name}/${key}`);
    return key === '.dockercfg' ? JSON.stringify({ 'registry.example': { auth: value } }) : value;
  };
  const data = Object.fromEntries(keys.map((key) => [key, Buffer.from(valueOf(key)).toString('base64')]));
  return objectOf(KIND.secret, name, meta, { type, data });
}

export function configMap(name: string, meta: Meta, data: Readonly<Record<string, string>>): KubeObject {
  return objectOf(KIND.configMap, name, meta, { data });
}

export function volumeClaim(name: string, meta: Meta): KubeObject {
  const spec = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } };
  return objectOf(KIND.volumeClaim, name, meta, { spec });
}

export const CHE_PART: Readonly<Record<string, string>> = { 'app.kubernetes.io/part-of': 'che.eclipse.org' };

export const component = (name: string): Readonly<Record<string, string>> => ({
  ...CHE_PART,
  'app.kubernetes.io/component': name,
});

const BY_OPERATOR = { ...CHE_PART, 'app.kubernetes.io/managed-by': 'che-operator' };

const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n';

const RULES = [{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] }];

export function clusterWide(cheNamespace: string): Made[] {
  const everywhere: Meta = {};
  return [
    saved(objectOf(KIND.clusterRole, 'roles-of-che-server', everywhere, { rules: RULES })),
    saved(objectOf(KIND.clusterRole, 'roles-of-users', everywhere, { rules: RULES })),
    derived(
      objectOf(
        KIND.clusterRole,
        `${cheNamespace}-cheworkspaces-clusterrole`,
        { labels: BY_OPERATOR },
        { rules: RULES },
      ),
    ),
    saved(
      objectOf(
        KIND.oauthClient,
        `${cheNamespace}-client`,
        { labels: CHE_PART },
        {
          secret: canary('oauthclient'),
          grantMethod: 'prompt',
          redirectURIs: ['https://che.apps.one.example/oauth/callback'],
        },
      ),
    ),
    derived(objectOf(KIND.consoleLink, 'che', { labels: BY_OPERATOR }, { spec: { text: 'Che' } })),
  ];
}

function cheClusterV2(namespace: string, domain: string): KubeObject {
  const annotations = { 'che.eclipse.org/checluster-defaults-cleanup': '{"spec.components.pluginRegistry":"7.88.0"}' };
  const spec: Readonly<Record<string, Json>> = {
    components: {
      cheServer: {
        clusterRoles: ['roles-of-che-server'],
        proxy: { credentialsSecretName: 'proxy-credentials', nonProxyHosts: ['localhost'] },
        extraProperties: { CHE_LOGS_LEVEL: 'INFO' },
      },
    },
    devEnvironments: {
      storage: { pvcStrategy: 'per-user' },
      trustedCerts: { gitTrustedCertsConfigMapName: 'git-certificates' },
      user: { clusterRoles: ['roles-of-users'] },
    },
    gitServices: {
      github: [{ secretName: 'github-oauth' }],
      gitlab: [{ secretName: 'gitlab-without-labels' }],
    },
    networking: {
      domain,
      tlsSecretName: 'che-tls',
      auth: { oAuthClientName: `${namespace}-client`, oAuthSecret: 'che-oauth-secret' },
    },
  };
  return objectOf(KIND.cheClusterV2, 'eclipse-che', { namespace, annotations }, { spec });
}

const ownedByChe: Meta = {
  ownerReferences: [{ apiVersion: 'org.eclipse.che/v2', kind: 'CheCluster', name: 'eclipse-che', uid: '' }],
};

export function cheNamespaceV2(namespace: string, domain: string): Made[] {
  const here: Meta = { namespace };
  const part = (name: string): Meta => ({ namespace, labels: component(name) });
  return [
    saved(cheClusterV2(namespace, domain)),
    saved(secret('github-oauth', part('oauth-scm-configuration'), ['id', 'secret'])),
    saved(secret('gitlab-without-labels', here, ['id', 'secret'])),
    saved(secret('che-oauth-secret', { namespace, labels: CHE_PART }, ['oAuthSecret'])),
    saved(secret('proxy-credentials', here, ['user', 'password'])),
    saved(secret('che-tls', here, ['tls.crt', 'tls.key'], 'kubernetes.io/tls')),
    saved(secret('self-signed-certificate', { ...here, ...ownedByChe }, ['ca.crt'])),
    saved(secret('che-gateway-oauth-secret', { namespace, labels: CHE_PART }, ['cookie_secret'])),
    saved(secret('mounted-into-che', part('che-secret'), ['token'])),
    saved(secret('for-every-user', part('workspaces-config'), ['token'])),
    saved(configMap('mounted-into-dashboard', part('che-dashboard-configmap'), { 'hints.json': '{}' })),
    saved(configMap('company-certificates', part('ca-bundle'), { 'ca.crt': CERTIFICATE })),
    saved(configMap('git-certificates', here, { 'ca.crt': CERTIFICATE, githost: 'git.example' })),
    saved(configMap('for-every-user', part('workspaces-config'), { 'settings.xml': '<settings/>\n' })),
    saved(configMap('our-editor', part('editor-definition'), { 'editor.yaml': 'schemaVersion: 2.3.0\n' })),
    saved(volumeClaim('for-every-user', part('workspaces-config'))),
    saved(objectOf(KIND.template, 'for-every-user', part('workspaces-config'), { objects: [] })),
    saved(
      objectOf(
        KIND.devWorkspaceConfig,
        'devworkspace-config',
        { ...here, ...ownedByChe },
        {
          config: { workspace: { idleTimeout: '15m', cleanupOnStop: true } },
        },
      ),
    ),
    ...derivedOfChe(namespace),
  ];
}

/** What operators and the platform make again. */
function derivedOfChe(namespace: string): Made[] {
  const part = (name: string): Meta => ({ namespace, labels: { ...component(name), ...BY_OPERATOR }, ...ownedByChe });
  const account = { 'kubernetes.io/service-account.name': 'che' };
  const labels = { app: 'che' };
  const pod = { metadata: { labels }, spec: { containers: [{ name: 'che', image: 'che' }] } };
  return [
    configMap('che', part('che'), { CHE_PORT: '8080' }),
    configMap('plugin-registry', part('plugin-registry'), {}),
    configMap('ca-certs-merged', part('workspaces-config'), { 'tls-ca-bundle.pem': CERTIFICATE }),
    configMap('kube-root-ca.crt', { namespace, labels: component('ca-bundle') }, { 'ca.crt': CERTIFICATE }),
    configMap(
      'workspace1-route',
      { namespace, labels: { ...CHE_PART, 'controller.devfile.io/devworkspace_id': 'workspace1' } },
      {},
    ),
    secret('che-token-x7k2p', { namespace, annotations: account }, ['token'], 'kubernetes.io/service-account-token'),
    secret('default-dockercfg-abcde', { namespace, annotations: account }, ['.dockercfg'], 'kubernetes.io/dockercfg'),
    secret('backup-password', { namespace, labels: { 'app.kubernetes.io/part-of': 'backup.che.eclipse.org' } }, [
      'repo-password',
    ]),
    secret('of-another-program', { namespace }, ['token']),
    objectOf(KIND.serviceAccount, 'che', part('che')),
    objectOf(KIND.service, 'che-host', part('che'), { spec: { ports: [{ port: 8080 }], selector: labels } }),
    objectOf(KIND.deployment, 'che', part('che'), { spec: { selector: { matchLabels: labels }, template: pod } }),
    objectOf(KIND.role, 'che', part('che'), { rules: RULES }),
    objectOf(KIND.route, 'che', part('che'), {
      spec: { host: 'che.apps.one.example', to: { kind: 'Service', name: 'che-host' } },
    }),
  ].map(derived);
}

/** With databases in a pod of its own, as the operator makes it. */
export function cheNamespaceV1(namespace: string, domain: string): Made[] {
  const here: Meta = { namespace };
  const part = (name: string): Meta => ({ namespace, labels: component(name) });
  const spec: Readonly<Record<string, Json>> = {
    auth: { identityProviderPostgresSecret: 'keycloak-postgres', identityProviderSecret: 'keycloak-admin' },
    database: { chePostgresDb: 'dbche', chePostgresSecret: 'che-postgres', externalDb: false },
    k8s: { ingressDomain: domain },
    server: { cheFlavor: 'codeready', serverTrustStoreConfigMapName: 'ca-certs' },
  };
  return [
    saved(objectOf(KIND.cheClusterV1, 'codeready-workspaces', here, { spec })),
    saved(secret('che-postgres', { namespace, labels: CHE_PART }, ['user', 'password'])),
    saved(secret('keycloak-postgres', { namespace, labels: CHE_PART }, ['password'])),
    saved(secret('keycloak-admin', { namespace, labels: CHE_PART }, ['user', 'password'])),
    saved(configMap('company-certificates', part('ca-bundle'), { 'ca.crt': CERTIFICATE })),
    derived(configMap('ca-certs-merged', part('ca-bundle'), { 'ca.crt': CERTIFICATE })),
    derived(secret('of-another-program', here, ['token'])),
  ];
}
