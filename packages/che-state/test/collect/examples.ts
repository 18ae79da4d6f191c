/** Installations and objects of them, to be held against the table. */
import type { Installation } from '../../src/collect/installation.ts';
import { selectionOf, TABLE } from '../../src/collect/table.ts';
import type { Place } from '../../src/collect/table.ts';
import type { Kind, KubeObject } from '../../src/objects/object.ts';

export const CHE = 'app.kubernetes.io/part-of=che.eclipse.org';
export const COMPONENT = 'app.kubernetes.io/component';
export const COPY = `${CHE},${COMPONENT}=workspaces-config`;
export const ID = 'controller.devfile.io/devworkspace_id=workspace1';
export const MOUNT = 'controller.devfile.io/mount-to-devworkspace=true,controller.devfile.io/watch-secret=true';

export const V2: Installation = {
  generation: 'v2',
  cheCluster: {
    apiVersion: 'org.eclipse.che/v2',
    kind: 'CheCluster',
    metadata: { name: 'devspaces', namespace: 'eclipse-che' },
    spec: {
      gitServices: { github: [{ secretName: 'github' }], azure: [{ secretName: 'azure' }] },
      networking: { auth: { oAuthSecret: 'oauth', oAuthClientName: 'che-client' }, tlsSecretName: 'own-tls' },
      components: {
        cheServer: {
          clusterRoles: ['server-role'],
          proxy: { credentialsSecretName: 'proxy' },
          deployment: {
            containers: [{ env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'variables', key: 'a' } } }] }],
          },
        },
        openVSXRegistry: { credentialsSecretName: 'vsx' },
      },
      devEnvironments: {
        trustedCerts: { gitTrustedCertsConfigMapName: 'git-ca' },
        user: { clusterRoles: ['user-role'] },
        containerBuildConfiguration: { openShiftSecurityContextConstraint: 'own-build' },
        initContainers: [{ envFrom: [{ configMapRef: { name: 'config-variables' } }] }],
      },
    },
  },
  namespace: 'eclipse-che',
  flavor: 'devspaces',
  cheVersion: '7.100.0',
  infrastructure: 'Openshift 4',
  appsDomain: 'apps.example.com',
  clusterUid: 'uid',
  kubernetesVersion: 'v1.30.0',
};
export const KUBERNETES: Installation = { ...V2, infrastructure: 'Kubernetes' };
export const V1: Installation = {
  ...V2,
  generation: 'v1',
  cheCluster: {
    apiVersion: 'org.eclipse.che/v1',
    kind: 'CheCluster',
    metadata: { name: 'eclipse-che', namespace: 'eclipse-che' },
    spec: {
      server: {
        serverTrustStoreConfigMapName: 'trusted',
        cheClusterRoles: 'one, two',
        proxySecret: 'proxy',
        cheHostTLSSecret: 'host-tls',
      },
      database: { chePostgresSecret: 'postgres' },
      auth: { identityProviderPostgresSecret: 'kc-postgres', identityProviderSecret: 'kc', oAuthClientName: 'idp-x' },
      k8s: { tlsSecretName: 'k8s-tls' },
    },
  },
};

export interface Example {
  readonly labels?: string;
  readonly annotations?: string;
  readonly type?: string;
  readonly owner?: string;
  readonly deleted?: boolean;
}

const texts = (list = ''): Record<string, string> =>
  Object.fromEntries(
    list
      .split(',')
      .filter(Boolean)
      .map((text) => text.split('=') as [string, string]),
  );

function objectOf(kind: Kind, name: string, { labels, annotations, type, owner, deleted }: Example): KubeObject {
  return {
    apiVersion: 'v1',
    kind: kind.kind,
    ...(type === undefined ? {} : { type }),
    metadata: {
      name,
      labels: texts(labels),
      annotations: texts(annotations),
      ...(owner === undefined ? {} : { ownerReferences: [{ apiVersion: 'x', kind: owner, name: 'o', uid: 'u' }] }),
      ...(deleted === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
    },
  };
}

/** The class by which an object is taken, or `-`. */
export function classOf(installation: Installation, place: Place, kind: Kind, name: string, example: Example): string {
  const entries = TABLE.filter((entry) => entry.kind === kind && (entry.place === place || entry.place === 'anywhere'));
  const object = objectOf(kind, name, example);
  return entries.map((entry) => selectionOf(entry, object, installation)?.class).find(Boolean) ?? '-';
}

/** By which class an object is taken, its name, and what else there is of it. */
export type Row = readonly [expected: string, name: string, example?: Example];
