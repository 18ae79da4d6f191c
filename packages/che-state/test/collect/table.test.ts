import { describe, expect, it } from 'vitest';
import type { Installation } from '../../src/collect/installation.ts';
import { orderOf, SAVED_KINDS } from '../../src/collect/table.ts';
import type { Place } from '../../src/collect/table.ts';
import * as kinds from '../../src/objects/kinds.ts';
import type { Kind } from '../../src/objects/object.ts';
import { CHE, classOf, COMPONENT, COPY, ID, KUBERNETES, MOUNT, V1, V2 } from './examples.ts';
import type { Row } from './examples.ts';

const SECRETS_OF_CHE: readonly Row[] = [
  ['A', 'anything', { labels: `${CHE},${COMPONENT}=oauth-scm-configuration` }],
  ['-', 'anything', { labels: `${COMPONENT}=oauth-scm-configuration` }],
  ['A', 'github'],
  ['A', 'azure'],
  ['B', 'oauth'],
  ['A', 'proxy'],
  ['B', 'proxy-credentials'],
  ['B', 'own-tls'],
  ['-', 'che-tls'],
  ['B', 'self-signed-certificate'],
  ['A', 'variables'],
  ['A', 'vsx'],
  ['B', 'openvsx-credentials'],
  ['B', 'che-gateway-oauth-secret'],
  ['A', 'mounted', { labels: `${CHE},${COMPONENT}=che-secret` }],
  ['A', 'mounted', { labels: `${CHE},${COMPONENT}=che-dashboard-secret` }],
  ['-', 'mounted', { labels: `${COMPONENT}=che-secret` }],
  ['-', 'mounted', { labels: `${CHE},${COMPONENT}=secrets` }],
  ['A', 'for-users', { labels: COPY }],
  ['-', 'for-users', { labels: COPY, deleted: true }],
  ['-', 'somebody-elses'],
  ['-', 'github', { type: 'kubernetes.io/service-account-token' }],
  [
    '-',
    'for-users',
    { labels: COPY, type: 'kubernetes.io/dockercfg', annotations: 'kubernetes.io/service-account.name=x' },
  ],
  ['A', 'for-users', { labels: COPY, type: 'kubernetes.io/dockercfg' }],
  ['-', 'backup-server', { labels: 'app.kubernetes.io/part-of=backup.che.eclipse.org' }],
  ['-', 'github', { labels: 'app.kubernetes.io/part-of=backup.che.eclipse.org' }],
];

const CONFIG_MAPS_OF_CHE: readonly Row[] = [
  ['A', 'corporate', { labels: `${CHE},${COMPONENT}=ca-bundle` }],
  ['A', 'ca-certs', { labels: `${CHE},${COMPONENT}=ca-bundle` }],
  ['-', 'kube-root-ca.crt', { labels: `${CHE},${COMPONENT}=ca-bundle` }],
  ['-', 'self-signed-certificate', { labels: `${CHE},${COMPONENT}=ca-bundle` }],
  ['-', 'oidc-issuer-ca', { labels: `${CHE},${COMPONENT}=ca-bundle` }],
  ['-', 'ca-certs-merged', { labels: COPY }],
  ['A', 'git-ca'],
  ['A', 'che-git-self-signed-cert'],
  ['A', 'config-variables'],
  ['A', 'openvsx-server-extensions'],
  ['A', 'mounted', { labels: `${CHE},${COMPONENT}=che-gateway-configmap` }],
  ['A', 'for-users', { labels: COPY }],
  ['A', 'my-editor', { labels: `${CHE},${COMPONENT}=editor-definition` }],
  ['-', 'editors-definitions', { labels: `${CHE},${COMPONENT}=editor-definition` }],
  ['-', 'che', { labels: `${CHE},${COMPONENT}=che` }],
  ['-', 'che-gateway-config', { labels: `${CHE},${COMPONENT}=che-gateway-config` }],
  ['-', 'plugin-registry', { labels: `${CHE},${COMPONENT}=plugin-registry` }],
  ['-', 'workspace1-route', { labels: `${CHE},${COMPONENT}=che-gateway-configmap,${ID}` }],
  ['-', 'che-restore-progress', { labels: 'app.kubernetes.io/part-of=backup.che.eclipse.org' }],
];

const SECRETS_OF_USERS: readonly Row[] = [
  ['A', 'git', { labels: 'controller.devfile.io/git-credential=true,controller.devfile.io/watch-secret=true' }],
  ['-', 'git', { labels: 'controller.devfile.io/git-credential=false' }],
  ['-', 'devworkspace-merged-git-credentials', { labels: 'controller.devfile.io/git-credential=true' }],
  ['A', 'git-ssh-key', { labels: MOUNT }],
  ['A', 'git-ssh-key'],
  ['A', 'token', { labels: `${CHE},${COMPONENT}=scm-personal-access-token` }],
  ['A', 'mounted', { labels: MOUNT }],
  ['-', 'mounted', { labels: `${MOUNT},${COPY}` }],
  ['-', 'che-user-settings', { labels: MOUNT }],
  ['-', 'che-git-tls-creds', { labels: MOUNT }],
  ['-', 'other', { labels: `${MOUNT},${COMPONENT}=user-settings` }],
  [
    'A',
    'pull',
    { labels: 'controller.devfile.io/devworkspace_pullsecret=true', type: 'kubernetes.io/dockerconfigjson' },
  ],
  ['B', 'user-profile'],
  ['B', 'devworkspace-backup-registry-auth'],
  ['-', 'devworkspace-backup-registry-auth', { labels: ID }],
  ['-', 'own'],
  ['-', 'token-of-sa', { labels: MOUNT, type: 'kubernetes.io/service-account-token' }],
];

const CONFIG_MAPS_OF_USERS: readonly Row[] = [
  ['A', 'mounted', { labels: MOUNT }],
  ['A', 'git-tls', { labels: 'controller.devfile.io/git-tls-credential=true' }],
  ['A', 'config', { labels: 'controller.devfile.io/namespaced-config=true' }],
  ['-', 'sync-workspaces-config'],
  ['-', 'copied', { labels: `${MOUNT},${COPY}` }],
  ['-', 'che-user-settings', { labels: MOUNT }],
  ['-', 'devworkspace-gitconfig', { labels: MOUNT }],
  ['-', 'devworkspace-ssh-askpass', { labels: MOUNT }],
  ['-', 'workspace1-metadata', { labels: `${MOUNT},${ID}` }],
  ['-', 'kube-root-ca.crt', { labels: MOUNT }],
  ['-', 'own'],
];

const VOLUMES_OF_USERS: readonly Row[] = [
  ['A', 'claim-devworkspace'],
  ['A', 'claim-che-workspace'],
  ['A', 'storage-workspace1', { labels: `controller.devfile.io/devworkspace_pvc_type=per-workspace,${ID}` }],
  ['A', 'storage-workspace2', { owner: 'DevWorkspace' }],
  ['A', 'cache', { labels: 'controller.devfile.io/mount-to-devworkspace=true' }],
  ['-', 'cache', { labels: `controller.devfile.io/mount-to-devworkspace=true,${COPY}` }],
  ['-', 'own', { owner: 'StatefulSet' }],
];

const RIGHTS_OF_USERS: readonly Row[] = [
  ['B', 'admin'],
  ['B', 'eclipse-che-cheworkspaces-clusterrole'],
  ['B', 'of-an-administrator'],
  ['-', 'devspaces-user-container-build'],
  ['-', 'devspaces-user-container-run'],
  ['B', 'che-user-container-build'],
  ['-', 'devworkspace-default-role'],
  ['-', 'devworkspace-default-rolebinding'],
  ['-', 'devworkspace-use-container-build'],
  ['-', 'workspace1', { labels: ID }],
  ['-', 'system:image-pullers'],
  ['-', 'synced', { labels: COPY }],
];

const NAMESPACES: readonly Row[] = [
  ['A', 'jane-che', { labels: `${CHE},${COMPONENT}=workspaces-namespace` }],
  ['A', 'john-che', { labels: 'che.eclipse.org/workspace-namespace-owner-uid=1234' }],
  ['-', 'default'],
  ['-', 'jane-che', { labels: `${COMPONENT}=workspaces-namespace` }],
  ['-', 'jane-che', { labels: `${CHE},${COMPONENT}=workspaces-namespace`, deleted: true }],
];

describe.each<[string, Installation, Place, Kind, readonly Row[]]>([
  ['Secrets in the namespace of Che', V2, 'che', kinds.SECRET, SECRETS_OF_CHE],
  ['ConfigMaps in the namespace of Che', V2, 'che', kinds.CONFIG_MAP, CONFIG_MAPS_OF_CHE],
  [
    'ca-certs on Kubernetes',
    KUBERNETES,
    'che',
    kinds.CONFIG_MAP,
    [['-', 'ca-certs', { labels: `${CHE},${COMPONENT}=ca-bundle` }]],
  ],
  [
    'volumes in the namespace of Che',
    V2,
    'che',
    kinds.VOLUME_CLAIM,
    [
      ['A', 'x', { labels: COPY }],
      ['-', 'openvsx-server'],
    ],
  ],
  [
    'templates in the namespace of Che',
    V2,
    'che',
    kinds.TEMPLATE,
    [
      ['A', 'x', { labels: COPY }],
      ['-', 'x'],
    ],
  ],
  [
    'configurations of the DevWorkspace operator',
    V2,
    'anywhere',
    kinds.DEV_WORKSPACE_OPERATOR_CONFIG,
    [
      ['B', 'x'],
      ['-', 'x', { deleted: true }],
    ],
  ],
  [
    'clients of OAuth',
    V2,
    'cluster',
    kinds.OAUTH_CLIENT,
    [
      ['B', 'che-client', { labels: CHE }],
      ['-', 'console'],
    ],
  ],
  [
    'roles of the cluster',
    V2,
    'cluster',
    kinds.CLUSTER_ROLE,
    [
      ['A', 'server-role'],
      ['A', 'user-role'],
      ['-', 'server-role', { labels: CHE }],
      ['-', 'user-role', { labels: 'app.kubernetes.io/managed-by=devspaces-operator' }],
      ['-', 'user-role', { labels: 'kubernetes.io/bootstrapping=rbac-defaults' }],
      ['A', 'user-role', { labels: 'app.kubernetes.io/managed-by=gitops-operator' }],
      ['-', 'admin'],
    ],
  ],
  [
    'security context constraints',
    V2,
    'cluster',
    kinds.SECURITY_CONTEXT_CONSTRAINTS,
    [
      ['A', 'own-build'],
      ['A', 'container-run'],
      ['-', 'container-build'],
      ['-', 'container-run', { labels: 'app.kubernetes.io/managed-by=che-operator' }],
    ],
  ],
  ['namespaces', V2, 'cluster', kinds.NAMESPACE, NAMESPACES],
  ['Secrets of users', V2, 'users', kinds.SECRET, SECRETS_OF_USERS],
  ['ConfigMaps of users', V2, 'users', kinds.CONFIG_MAP, CONFIG_MAPS_OF_USERS],
  ['volumes of users', V2, 'users', kinds.VOLUME_CLAIM, VOLUMES_OF_USERS],
  ['roles of users', V2, 'users', kinds.ROLE, RIGHTS_OF_USERS],
  ['bindings of users', V2, 'users', kinds.ROLE_BINDING, RIGHTS_OF_USERS],
  [
    'network policies of users',
    V2,
    'users',
    kinds.NETWORK_POLICY,
    [
      ['B', 'x'],
      ['-', 'x', { labels: COPY }],
      ['-', 'x', { labels: ID }],
    ],
  ],
  [
    'quotas of users',
    V2,
    'users',
    kinds.RESOURCE_QUOTA,
    [
      ['B', 'x'],
      ['-', 'x', { labels: COPY }],
    ],
  ],
  [
    'limits of users',
    V2,
    'users',
    kinds.LIMIT_RANGE,
    [
      ['B', 'x'],
      ['-', 'x', { labels: COPY }],
    ],
  ],
  [
    'templates of workspaces',
    V2,
    'users',
    kinds.DEV_WORKSPACE_TEMPLATE,
    [
      ['A', 'x'],
      ['-', 'x', { deleted: true }],
    ],
  ],
  [
    'workspaces',
    V2,
    'users',
    kinds.DEV_WORKSPACE,
    [
      ['A', 'x', { labels: ID }],
      ['-', 'x', { deleted: true }],
    ],
  ],
  [
    'Secrets of older Che',
    V1,
    'che',
    kinds.SECRET,
    [
      ['A', 'postgres'],
      ['A', 'kc-postgres'],
      ['A', 'kc'],
      ['A', 'proxy'],
      ['A', 'host-tls'],
      ['B', 'k8s-tls'],
      ['A', 'scm', { labels: `${CHE},${COMPONENT}=oauth-scm-configuration` }],
      ['-', 'proxy-credentials'],
    ],
  ],
  [
    'ConfigMaps of older Che',
    V1,
    'che',
    kinds.CONFIG_MAP,
    [
      ['A', 'trusted'],
      ['A', 'ca-certs', { labels: `${CHE},${COMPONENT}=ca-bundle` }],
      ['-', 'ca-certs-merged', { labels: `${CHE},${COMPONENT}=ca-bundle` }],
    ],
  ],
  [
    'certificates of older Che on Kubernetes',
    { ...V1, infrastructure: 'Kubernetes' },
    'che',
    kinds.CONFIG_MAP,
    [['A', 'ca-certs', { labels: `${CHE},${COMPONENT}=ca-bundle` }]],
  ],
  [
    'roles named by older Che',
    V1,
    'cluster',
    kinds.CLUSTER_ROLE,
    [
      ['A', 'one'],
      ['A', 'two'],
      ['-', 'one, two'],
    ],
  ],
  [
    'clients of older Che',
    V1,
    'cluster',
    kinds.OAUTH_CLIENT,
    [
      ['B', 'idp-x'],
      ['-', 'eclipse-che-client'],
    ],
  ],
])('of %s', (_title, installation, place, kind, rows) => {
  it.each(rows.map(([expected, name, example = {}]) => ({ expected, name, example })))(
    '$expected $name $example',
    ({ expected, name, example }) => {
      expect(classOf(installation, place, kind, name, example)).toBe(expected);
    },
  );
});

describe('the order of applying', () => {
  const at = (kind: Kind, namespace?: string): number => orderOf({ kind, namespace, name: 'x' }, 'eclipse-che');
  it('is that of the table', () => {
    const order = [
      at(kinds.CLUSTER_ROLE),
      at(kinds.OAUTH_CLIENT),
      at(kinds.SECRET, 'eclipse-che'),
      at(kinds.CONFIG_MAP, 'eclipse-che'),
      at(kinds.CHE_CLUSTER_V2, 'eclipse-che'),
      at(kinds.NAMESPACE),
      at(kinds.SECRET, 'jane-che'),
      at(kinds.VOLUME_CLAIM, 'jane-che'),
      at(kinds.DEV_WORKSPACE_TEMPLATE, 'jane-che'),
      at(kinds.DEV_WORKSPACE, 'jane-che'),
    ];
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(new Set(order).size).toBe(order.length);
    expect(at(kinds.CHE_CLUSTER_V1, 'eclipse-che')).toBe(at(kinds.CHE_CLUSTER_V2, 'eclipse-che'));
  });

  it('has a place for every kind, wherever an object is', () => {
    for (const kind of SAVED_KINDS)
      for (const place of ['eclipse-che', 'elsewhere']) {
        expect(at(kind, kind.namespaced ? place : undefined)).toBeGreaterThanOrEqual(0);
      }
  });
});
