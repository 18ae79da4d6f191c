/** Flags of a command as objects in the cluster, for the operator to find them there. */
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import { BACKUP_SERVER_CONFIGURATION } from '../objects/kinds.ts';
import type { Json } from '../objects/object.ts';
import { SFTP_PORT } from './address.ts';
import { COMMAND_CONFIGURATION } from './choose.ts';
import { backupServer } from './connection.ts';
import { readUrl } from './from-url.ts';
import type { UrlCredentials, UrlServer } from './from-url.ts';
import { objectOf, PART_OF_BACKUP, put, secretData, secretRef } from './put.ts';
import { KEYS } from './secrets.ts';

/** The Secrets, as chectl called them. */
const SECRETS = {
  password: 'chectl-backup-repository-password',
  rest: 'chectl-backup-rest-server-credentials',
  awss3: 'chectl-aws-credentials',
  sftp: 'chectl-backup-sftp-server-key',
} as const;

export interface StoreOptions extends ClusterCall {
  readonly namespace: string;
  readonly url: string;
  readonly credentials: UrlCredentials;
}

/**
 * Stores a server as a `CheBackupServerConfiguration` with its Secrets, in place of what a command stored before; resolves
 * to its name. Rejects as {@link serverFromUrl} does before anything is stored, and with what the cluster says.
 */
export async function storeConfiguration(cluster: Cluster, options: StoreOptions): Promise<string> {
  const { namespace, url, credentials, signal } = options;
  const server = readUrl(url, credentials);
  const { password } = backupServer(server.address, server.secrets);
  const { spec, secret } = storedForm(server);
  const secrets = [{ name: SECRETS.password, texts: { [KEYS.password]: password } }, ...(secret ? [secret] : [])];
  for (const { name, texts } of secrets) {
    const ref = secretRef(namespace, name);
    const data = secretData(texts);
    await put(cluster, ref, (existing) => objectOf(ref, existing, PART_OF_BACKUP, { data }), { signal });
  }
  const ref = { kind: BACKUP_SERVER_CONFIGURATION, namespace, name: COMMAND_CONFIGURATION };
  await put(cluster, ref, (existing) => objectOf(ref, existing, PART_OF_BACKUP, { spec }), { signal });
  return COMMAND_CONFIGURATION;
}

interface StoredForm {
  readonly spec: { readonly [section: string]: Json };
  readonly secret: { readonly name: string; readonly texts: Readonly<Record<string, string>> } | undefined;
}

function storedForm({ address, secrets }: UrlServer): StoredForm {
  const repositoryPasswordSecretRef = SECRETS.password;
  switch (address.kind) {
    case 'rest': {
      const { protocol, hostname, port, repositoryPath } = address;
      const { login } = secrets;
      // Older APIs refuse empty text where a pattern is given.
      const path = repositoryPath === '' ? {} : { repositoryPath };
      const rest = { protocol, hostname, port, ...path, repositoryPasswordSecretRef };
      if (login === undefined) return { spec: { rest }, secret: undefined };
      const texts = { [KEYS.username]: login.username, [KEYS.userPassword]: login.password };
      return { spec: { rest: { ...rest, credentialsSecretRef: SECRETS.rest } }, secret: { name: SECRETS.rest, texts } };
    }
    case 'awss3': {
      const { protocol, hostname, port, repositoryPath, region } = address;
      const { accessKeyId = '', secretAccessKey = '', sessionToken } = secrets.keys ?? {};
      const texts = {
        [KEYS.accessKeyId]: accessKeyId,
        [KEYS.secretAccessKey]: secretAccessKey,
        ...(sessionToken !== undefined && { [KEYS.sessionToken]: sessionToken }),
      };
      const awss3 = {
        protocol,
        hostname,
        ...(port !== undefined && { port }),
        repositoryPath,
        ...(region !== undefined && { region }),
        repositoryPasswordSecretRef,
        awsAccessKeySecretRef: SECRETS.awss3,
      };
      return { spec: { awss3 }, secret: { name: SECRETS.awss3, texts } };
    }
    case 'sftp': {
      const { username, hostname, port = SFTP_PORT, repositoryPath } = address;
      const sftp = {
        username,
        hostname,
        port,
        repositoryPath,
        repositoryPasswordSecretRef,
        sshKeySecretRef: SECRETS.sftp,
      };
      return { spec: { sftp }, secret: { name: SECRETS.sftp, texts: { [KEYS.sshKey]: secrets.sshKey ?? '' } } };
    }
  }
}
