/** Which databases an installation has, and how they are reached. */
import { Buffer } from 'node:buffer';
import { EngineError } from 'restic-engine';
import type { Cluster, ClusterCall } from '../cluster/cluster.ts';
import type { Installation } from '../collect/installation.ts';
import { SECRET } from '../objects/kinds.ts';
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
 * The databases of an installation: Che's and Keycloak's up to 7.42, that of the OpenVSX registry today. None is spoken to
 * before it is dumped or loaded, which reject with `not-found` for a Secret that is missing, and `bad-request` where an
 * external database has no user and password.
 */
export async function databasesOf(
  cluster: Cluster,
  installation: Installation,
  options: DatabasesOptions = {},
): Promise<readonly StateDatabase[]> {
  return installation.generation === 'v1'
    ? cheDatabases(cluster, installation, options)
    : openVsxDatabases(cluster, installation, options);
}

const KEYCLOAK = 'keycloak';

type Fields = Readonly<Record<string, unknown>>;

async function cheDatabases(
  cluster: Cluster,
  installation: Installation,
  options: DatabasesOptions,
): Promise<readonly StateDatabase[]> {
  const { cheCluster, namespace } = installation;
  const database = fieldsOf(cheCluster.spec?.['database']);
  const auth = fieldsOf(cheCluster.spec?.['auth']);
  const secrets = secretsOf(cluster, namespace, options);
  const own: Login = {
    user: textOf(database, 'chePostgresUser'),
    password: textOf(database, 'chePostgresPassword'),
    secret: textOf(database, 'chePostgresSecret'),
  };
  const keycloak: Login = {
    user: KEYCLOAK,
    password: textOf(auth, 'identityProviderPostgresPassword'),
    secret: textOf(auth, 'identityProviderPostgresSecret'),
  };
  const wanted = [
    { name: textOf(database, 'chePostgresDb') ?? 'dbche', login: own },
    ...(hasKeycloak(installation) ? [{ name: KEYCLOAK, login: keycloak }] : []),
  ];
  const loginOf =
    (login: Login): (() => Promise<UserAndPassword>) =>
    () =>
      completed(login, secrets);
  if (database['externalDb'] !== true) {
    const open: OpenClient = (call) => podClient(cluster, { namespace, labelSelector: 'component=postgres' }, call);
    return wanted.map(({ name, login }) => databaseAt(name, 'exec', open, loginOf(login)));
  }
  if (options.external !== true) return wanted.map(({ name }) => skippedDatabase(name));
  const place = {
    host: textOf(database, 'chePostgresHostName') ?? 'postgres',
    port: textOf(database, 'chePostgresPort') ?? '5432',
    tls: options.tls,
    caCertificates: options.caCertificates,
  };
  return wanted.map(({ name, login }) => {
    const open = async (): Promise<DatabaseClient> => {
      const { user, password } = await completed(login, secrets);
      if (user !== undefined && password !== undefined) return networkClient({ ...place, user, password });
      const message = `for the external database ${name} the CheCluster names no user and password`;
      throw new EngineError('bad-request', message, { database: name });
    };
    return databaseAt(name, 'network', open, loginOf(login));
  });
}

/** Keycloak was a part of Che until 7.42, but where DevWorkspaces replaced it or another identity provider is used. */
function hasKeycloak({ cheCluster, cheVersion = '' }: Installation): boolean {
  const auth = fieldsOf(cheCluster.spec?.['auth']);
  const devWorkspace = fieldsOf(cheCluster.spec?.['devWorkspace']);
  const [, minor] = /^7\.(\d+)\./.exec(cheVersion) ?? [];
  const isGone = minor !== undefined && Number(minor) > 42;
  return devWorkspace['enable'] !== true && auth['externalIdentityProvider'] !== true && !isGone;
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

interface UserAndPassword {
  readonly user: string | undefined;
  readonly password: string | undefined;
}

interface Login extends UserAndPassword {
  readonly secret: string | undefined;
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

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
