/** Names that a CheCluster gives, or that its operator takes where it gives none. */
import { fieldAt, isRecord, itemsAt, textAt, textsAt } from '../objects/fields.ts';
import type { Installation } from './installation.ts';

const GIT_SERVICES = ['github', 'gitlab', 'bitbucket', 'azure'];

function spec({ cheCluster }: Installation): unknown {
  return cheCluster.spec;
}

function present(...names: readonly (string | undefined)[]): readonly string[] {
  return names.filter((name) => name !== undefined);
}

/** Secrets that must be there when the CheCluster is created, or that it would not work without. */
export function requiredSecrets(installation: Installation): readonly string[] {
  const che = spec(installation);
  const git = GIT_SERVICES.flatMap((service) => itemsAt(che, 'gitServices', service)).flatMap((item) =>
    present(textAt(item, 'secretName')),
  );
  if (installation.generation === 'v1') {
    return [
      ...git,
      ...present(
        textAt(che, 'database', 'chePostgresSecret'),
        textAt(che, 'auth', 'identityProviderPostgresSecret'),
        textAt(che, 'auth', 'identityProviderSecret'),
        textAt(che, 'server', 'cheHostTLSSecret'),
        textAt(che, 'server', 'proxySecret'),
      ),
    ];
  }
  return [
    ...git,
    ...present(
      textAt(che, 'components', 'openVSXRegistry', 'credentialsSecretName'),
      textAt(che, 'components', 'cheServer', 'proxy', 'credentialsSecretName'),
    ),
  ];
}

/** Secrets that there may be: under their usual names, or under ones that also mean a Secret yet to be made. */
export function usualSecrets(installation: Installation): readonly string[] {
  const che = spec(installation);
  if (installation.generation === 'v1') {
    return ['self-signed-certificate', textAt(che, 'k8s', 'tlsSecretName') ?? 'che-tls'];
  }
  return [
    'self-signed-certificate',
    textAt(che, 'networking', 'tlsSecretName') ?? 'che-tls',
    'proxy-credentials',
    'openvsx-credentials',
    'che-gateway-oauth-secret',
    // May hold the secret itself, too.
    ...present(textAt(che, 'networking', 'auth', 'oAuthSecret')),
  ];
}

export function requiredConfigMaps(installation: Installation): readonly string[] {
  const che = spec(installation);
  return installation.generation === 'v1'
    ? present(textAt(che, 'server', 'serverTrustStoreConfigMapName'))
    : present(textAt(che, 'devEnvironments', 'trustedCerts', 'gitTrustedCertsConfigMapName'));
}

export function usualConfigMaps({ generation }: Installation): readonly string[] {
  return generation === 'v1' ? ['che-git-self-signed-cert'] : ['che-git-self-signed-cert', 'openvsx-server-extensions'];
}

/** What environment variables and volumes of Che's own containers are taken from. */
export function referencedFrom(
  installation: Installation,
  what: 'secretKeyRef' | 'configMapKeyRef' | 'secretRef' | 'configMapRef',
): readonly string[] {
  const found = new Set<string>();
  const look = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) look(item);
    if (!isRecord(value)) return;
    const name = textAt(value, what, 'name');
    if (name !== undefined) found.add(name);
    for (const inner of Object.values(value)) look(inner);
  };
  look(spec(installation));
  return [...found].toSorted();
}

export function oauthClients(installation: Installation): readonly string[] {
  const che = spec(installation);
  if (installation.generation === 'v1') return present(textAt(che, 'auth', 'oAuthClientName'));
  return [textAt(che, 'networking', 'auth', 'oAuthClientName') ?? `${installation.namespace}-client`];
}

/** Cluster roles of administrators that Che gives to its server and to users. */
export function clusterRoles(installation: Installation): readonly string[] {
  const che = spec(installation);
  if (installation.generation === 'v1') {
    const names = textAt(che, 'server', 'cheClusterRoles')?.split(',') ?? [];
    return names.map((name) => name.trim()).filter((name) => name !== '');
  }
  return [
    ...textsAt(che, 'components', 'cheServer', 'clusterRoles'),
    ...textsAt(che, 'devEnvironments', 'user', 'clusterRoles'),
  ];
}

export function securityContextConstraints(installation: Installation): readonly string[] {
  if (installation.generation === 'v1') return [];
  const environments = fieldAt(spec(installation), 'devEnvironments');
  return ['Build', 'Run'].map(
    (use) =>
      textAt(environments, `container${use}Configuration`, 'openShiftSecurityContextConstraint') ??
      `container-${use.toLowerCase()}`,
  );
}
