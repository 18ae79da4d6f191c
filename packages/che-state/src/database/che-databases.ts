/** What a CheCluster says about the databases of Che itself. */
import type { Installation } from '../collect/installation.ts';

export type Fields = Readonly<Record<string, unknown>>;

export interface UserAndPassword {
  readonly user: string | undefined;
  readonly password: string | undefined;
}

/** As a CheCluster has it: values of its own, or the name of a Secret with them. */
export interface Login extends UserAndPassword {
  readonly secret: string | undefined;
}

export interface CheDatabases {
  readonly isExternal: boolean;
  readonly host: string;
  readonly port: string;
  readonly databases: readonly { readonly name: string; readonly login: Login }[];
}

export const KEYCLOAK = 'keycloak';
/** The first version of Che without a database. */
const WITHOUT_DATABASE = 62;
/** The first one without Keycloak. */
const WITHOUT_KEYCLOAK = 43;

/** undefined where Che has none any more. */
export function cheDatabases(installation: Installation): CheDatabases | undefined {
  return installation.generation === 'v1' ? olderDatabases(installation) : newerDatabase(installation);
}

/** The Deployment that works with a database of this installation. */
export function deploymentOf(installation: Installation, database: string): string {
  if (installation.generation === 'v1') return database === KEYCLOAK ? KEYCLOAK : installation.flavor;
  const isChes = newerDatabase(installation)?.databases.some(({ name }) => name === database) ?? false;
  return isChes ? installation.flavor : 'openvsx-server';
}

function olderDatabases(installation: Installation): CheDatabases {
  const database = fieldsOf(installation.cheCluster.spec?.['database']);
  const auth = fieldsOf(installation.cheCluster.spec?.['auth']);
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
  return {
    isExternal: database['externalDb'] === true,
    host: textOf(database, 'chePostgresHostName') ?? 'postgres',
    port: textOf(database, 'chePostgresPort') ?? '5432',
    databases: [
      { name: textOf(database, 'chePostgresDb') ?? 'dbche', login: own },
      ...(hasKeycloak(installation, auth) ? [{ name: KEYCLOAK, login: keycloak }] : []),
    ],
  };
}

/** Where DevWorkspaces replaced it, or another identity provider is used, there is none. */
function hasKeycloak({ cheCluster, cheVersion }: Installation, auth: Fields): boolean {
  const devWorkspace = fieldsOf(cheCluster.spec?.['devWorkspace']);
  if (devWorkspace['enable'] === true || auth['externalIdentityProvider'] === true) return false;
  return (minorOf(cheVersion) ?? 0) < WITHOUT_KEYCLOAK;
}

/** Up to 7.61 these CheClusters had a database, too; the API fills its fields in as long as it knows them. */
function newerDatabase({ cheCluster, cheVersion }: Installation): CheDatabases | undefined {
  const components = fieldsOf(cheCluster.spec?.['components']);
  const minor = minorOf(cheVersion);
  const isKnown = components['database'] !== undefined;
  if (minor === undefined ? !isKnown : minor >= WITHOUT_DATABASE) return undefined;
  const database = fieldsOf(components['database']);
  const secret = textOf(database, 'credentialsSecretName') ?? 'postgres-credentials';
  return {
    isExternal: database['externalDb'] === true,
    host: textOf(database, 'postgresHostName') ?? 'postgres',
    port: textOf(database, 'postgresPort') ?? '5432',
    databases: [
      { name: textOf(database, 'postgresDb') ?? 'dbche', login: { user: undefined, password: undefined, secret } },
    ],
  };
}

/** Of Che 7; CodeReady Workspaces counts otherwise. */
function minorOf(cheVersion: string | undefined): number | undefined {
  const minor = /^7\.(\d+)\./.exec(cheVersion ?? '')?.[1];
  return minor === undefined ? undefined : Number(minor);
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

export function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
