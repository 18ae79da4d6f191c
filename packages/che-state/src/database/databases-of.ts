/** Which databases an installation has, and how they are reached. */
import { Buffer } from 'node:buffer';
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import type { Installation } from '../collect/installation.ts';
import { SECRET } from '../objects/kinds.ts';
import { cheDatabases, fieldsOf, textOf } from './che-databases.ts';
import type { CheDatabases, Login, UserAndPassword } from './che-databases.ts';
import type { DatabaseClient, OpenClient } from './client.ts';
import type { StateDatabase } from './database.ts';
import { dumpDatabase } from './dump.ts';
import { loadDatabase } from './load.ts';
import { networkClient } from './network-client.ts';
import type { TlsMode } from './network-client.ts';
import { podClient } from './pod-client.ts';

export interface DatabasesOptions extends ClusterCall {
  /** Databases outside of the cluster, too, over the network. Otherwise they are skipped. @default false */
  readonly external?: boolean | undefined;
  /** How an external one is spoken to, in libpq's words. @default 'prefer' */
  readonly tls?: TlsMode | undefined;
  /** PEM text, for `verify-ca` and `verify-full`. */
  readonly caCertificates?: string | undefined;
}

/**
 * The databases of an installation: Che's up to 7.61, Keycloak's up to 7.42, that of the OpenVSX registry today. None is spoken to
 * before it is dumped or loaded, which reject with `not-found` for a Secret that is missing, and `bad-request` where an
 * external database has no user and password.
 */
export async function databasesOf(
  cluster: Cluster,
  installation: Installation,
  options: DatabasesOptions = {},
): Promise<readonly StateDatabase[]> {
  const che = cheDatabases(installation);
  const ownOnes = che === undefined ? [] : databasesOfChe(cluster, installation, che, options);
  const others = installation.generation === 'v1' ? [] : await openVsxDatabases(cluster, installation, options);
  return [...ownOnes, ...others];
}

function databasesOfChe(
  cluster: Cluster,
  { namespace }: Installation,
  { isExternal, host, port, databases }: CheDatabases,
  options: DatabasesOptions,
): readonly StateDatabase[] {
  const secrets = secretsOf(cluster, namespace, options);
  if (isExternal && options.external !== true) return databases.map(({ name }) => skippedDatabase(name));
  const place = { host, port, tls: options.tls, caCertificates: options.caCertificates };
  const inPod: OpenClient = (call) => podClient(cluster, { namespace, labelSelector: 'component=postgres' }, call);
  return databases.map(({ name, login }) => {
    const userAndPassword = (): Promise<UserAndPassword> => completed(login, secrets);
    const overNetwork = async (): Promise<DatabaseClient> => {
      const { user, password } = await userAndPassword();
      if (user !== undefined && password !== undefined) return networkClient({ ...place, user, password });
      const message = `for the external database ${name} the CheCluster names no user and password`;
      throw new EngineError('bad-request', message, { database: name });
    };
    return isExternal
      ? databaseAt(name, 'network', overNetwork, userAndPassword)
      : databaseAt(name, 'exec', inPod, userAndPassword);
  });
}

async function openVsxDatabases(
  cluster: Cluster,
  { cheCluster, namespace }: Installation,
  options: DatabasesOptions,
): Promise<readonly StateDatabase[]> {
  const registry = fieldsOf(fieldsOf(cheCluster.spec?.['components'])['openVSXRegistry']);
  if (registry['enable'] !== true) return [];
  const secrets = secretsOf(cluster, namespace, options);
  const values = await secrets(textOf(registry, 'credentialsSecretName') ?? 'openvsx-credentials');
  const labelSelector = 'app.kubernetes.io/part-of=che.eclipse.org,app.kubernetes.io/component=openvsx-database';
  const open: OpenClient = (call) => podClient(cluster, { namespace, labelSelector }, call);
  const name = values('database-name') ?? 'openvsx';
  return [databaseAt(name, 'exec', open, async () => ({ user: values('database-user'), password: undefined }))];
}

function databaseAt(
  name: string,
  by: 'exec' | 'network',
  open: OpenClient,
  login: () => Promise<UserAndPassword>,
): StateDatabase {
  return {
    name,
    by,
    dump: (call = {}) => dumpDatabase(open, name, call),
    load: async (dump, call = {}) => loadDatabase(open, { name, owner: (await login()).user }, dump, call),
  };
}

function skippedDatabase(name: string): StateDatabase {
  const refusal = (): EngineError =>
    new EngineError('bad-request', `the database ${name} is external, and nobody asked for it`, { database: name });
  return {
    name,
    by: 'skipped',
    // oxlint-disable-next-line require-yield
    async *dump() {
      throw refusal();
    },
    load: async () => Promise.reject(refusal()),
  };
}

/** As Che does: what the CheCluster says itself, if it says both, else the Secret. */
async function completed({ user, password, secret }: Login, secrets: Secrets): Promise<UserAndPassword> {
  if ((user !== undefined && password !== undefined) || secret === undefined) return { user, password };
  const values = await secrets(secret);
  return { user: values('user') ?? user, password: values('password') ?? password };
}

type Secrets = (name: string) => Promise<(key: string) => string | undefined>;

function secretsOf(cluster: Cluster, namespace: string, { signal }: ClusterCall): Secrets {
  return async (name) => {
    const secret = await cluster.get({ kind: SECRET, namespace, name }, { signal });
    if (secret === undefined) {
      const message = `the Secret ${name} with a database's user is not in the namespace ${namespace}`;
      throw new EngineError('not-found', message, { name, namespace });
    }
    const data = new Map(Object.entries(secret.data ?? {}));
    return (key) => {
      const text = Buffer.from(data.get(key) ?? '', 'base64').toString('utf8');
      return text === '' ? undefined : text;
    };
  };
}
