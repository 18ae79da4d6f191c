import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { BACKUP_SERVER_CONFIGURATION } from '../objects/kinds.ts';
import type { KubeObject } from '../objects/object.ts';
import { readConfiguration } from './configuration.ts';
import type { ServerConfiguration } from './configuration.ts';
import { backupServer } from './connection.ts';
import type { BackupServer, HostKeys, ServerSecrets } from './connection.ts';
import { HOST_KEY_ANNOTATION, learnHostKey } from './host-key.ts';
import { secretReader } from './secrets.ts';
import type { SecretReader } from './secrets.ts';

export interface ConfigurationOptions extends ClusterCall {
  /** Of the configuration and of the Secrets it names. */
  readonly namespace: string;
}

/**
 * The server that a `CheBackupServerConfiguration` describes. Rejects with `not-found` where it or a Secret is missing,
 * `bad-request` naming the field or key that is wrong, and what the cluster says.
 */
export async function serverFromConfiguration(
  cluster: Cluster,
  name: string,
  options: ConfigurationOptions,
): Promise<BackupServer> {
  const { namespace, signal } = options;
  const object = await cluster.get({ kind: BACKUP_SERVER_CONFIGURATION, namespace, name }, { signal });
  if (object === undefined) {
    const message = `the backup server configuration ${name} is not in the namespace ${namespace}`;
    throw new EngineError('not-found', message, { name, namespace });
  }
  const configuration = readConfiguration(object);
  const reader = secretReader(cluster, namespace, { signal });
  const { caBundleConfigMap } = configuration;
  const [password, credentials, caCertificates] = await Promise.all([
    reader.password(configuration.passwordSecret),
    credentialsOf(cluster, object, configuration, reader),
    caBundleConfigMap === undefined ? undefined : reader.caBundle(caBundleConfigMap),
  ]);
  return backupServer(configuration.address, { password, ...credentials, caCertificates });
}

async function credentialsOf(
  cluster: Cluster,
  object: KubeObject,
  { address, credentialsSecret }: ServerConfiguration,
  reader: SecretReader,
): Promise<Omit<ServerSecrets, 'password'>> {
  if (credentialsSecret === undefined) return {};
  switch (address.kind) {
    case 'rest':
      return { login: await reader.login(credentialsSecret) };
    case 'awss3':
      return { keys: await reader.keys(credentialsSecret) };
    case 'sftp': {
      const { sshKey, knownHosts } = await reader.ssh(credentialsSecret);
      return { sshKey, hostKeys: hostKeysOf(cluster, object, knownHosts) };
    }
  }
}

/** What an administrator says of host keys counts alone; without that the first key is kept. */
function hostKeysOf(cluster: Cluster, { metadata }: KubeObject, knownHosts: string): HostKeys {
  if (knownHosts.trim() !== '') return { known: knownHosts, learn: undefined };
  const ref = { kind: BACKUP_SERVER_CONFIGURATION, namespace: metadata.namespace, name: metadata.name };
  return {
    known: metadata.annotations?.[HOST_KEY_ANNOTATION] ?? '',
    learn: (line, call) => learnHostKey(cluster, ref, line, call ?? {}),
  };
}
