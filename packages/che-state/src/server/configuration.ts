/** What a `CheBackupServerConfiguration` says: where the server is, and which Secrets hold what it asks for. */
import { EngineError } from 'restic-engine';
import type { KubeObject } from '../objects/object.ts';
import { AMAZON, bucketOf, hostnameOf, REST_PORT, SFTP_PORT } from './address.ts';
import type { ServerAddress } from './address.ts';
import { neededText, portField, section, textField, wrongField } from './fields.ts';
import type { Fields } from './fields.ts';

/** Names of objects in the configuration's namespace. */
export interface ServerConfiguration {
  readonly address: ServerAddress;
  readonly passwordSecret: string;
  /** Of a REST server's login, an S3 server's keys, an SFTP server's private key; a REST server may ask for none. */
  readonly credentialsSecret: string | undefined;
  /** A ConfigMap with the certificates of authorities. */
  readonly caBundleConfigMap: string | undefined;
}

const SECTIONS = ['rest', 'awss3', 'sftp'] as const;

/** Throws `bad-request`, with the field that is wrong. */
export function readConfiguration(object: KubeObject): ServerConfiguration {
  const found = SECTIONS.flatMap((name) => {
    const fields = section(object.spec?.[name], `spec.${name}`);
    return fields === undefined ? [] : [{ name, fields }];
  });
  const [only] = found;
  if (only === undefined || found.length > 1) {
    const has = found.length === 0 ? 'none' : found.map(({ name }) => name).join(' and ');
    const message = `a backup server configuration has exactly one of rest, awss3 and sftp: ${object.metadata.name} has ${has}`;
    throw new EngineError('bad-request', message, { configuration: object.metadata.name });
  }
  const { name, fields } = only;
  const path = `spec.${name}`;
  const passwordSecret = neededText(fields, path, 'repositoryPasswordSecretRef');
  switch (name) {
    case 'rest':
      return { passwordSecret, ...restSection(fields, path) };
    case 'awss3':
      return { passwordSecret, ...s3Section(fields, path) };
    case 'sftp':
      return { passwordSecret, ...sftpSection(fields, path) };
  }
}

type Section = Omit<ServerConfiguration, 'passwordSecret'>;

function restSection(fields: Fields, path: string): Section {
  return {
    address: {
      kind: 'rest',
      protocol: protocolField(fields, path),
      hostname: hostField(fields, path),
      port: portField(fields, path) ?? REST_PORT,
      repositoryPath: textField(fields, path, 'repositoryPath') ?? '',
    },
    credentialsSecret: textField(fields, path, 'credentialsSecretRef'),
    caBundleConfigMap: textField(fields, path, 'caBundleConfigMapRef'),
  };
}

function s3Section(fields: Fields, path: string): Section {
  const repositoryPath = neededText(fields, path, 'repositoryPath');
  bucketOf(repositoryPath);
  return {
    address: {
      kind: 'awss3',
      protocol: protocolField(fields, path),
      hostname: textField(fields, path, 'hostname') === undefined ? AMAZON : hostField(fields, path),
      port: portField(fields, path),
      repositoryPath,
      region: textField(fields, path, 'region'),
    },
    credentialsSecret: neededText(fields, path, 'awsAccessKeySecretRef'),
    caBundleConfigMap: textField(fields, path, 'caBundleConfigMapRef'),
  };
}

function sftpSection(fields: Fields, path: string): Section {
  return {
    address: {
      kind: 'sftp',
      username: neededText(fields, path, 'username'),
      hostname: hostField(fields, path),
      port: portField(fields, path) ?? SFTP_PORT,
      repositoryPath: neededText(fields, path, 'repositoryPath'),
    },
    credentialsSecret: neededText(fields, path, 'sshKeySecretRef'),
    caBundleConfigMap: undefined,
  };
}

function protocolField(fields: Fields, path: string): 'http' | 'https' {
  const protocol = textField(fields, path, 'protocol') ?? 'https';
  if (protocol !== 'http' && protocol !== 'https') throw wrongField(`${path}.protocol`, 'must be http or https');
  return protocol;
}

function hostField(fields: Fields, path: string): string {
  const hostname = hostnameOf(neededText(fields, path, 'hostname'));
  if (hostname === undefined)
    throw wrongField(`${path}.hostname`, 'must be the name or address of a host, and nothing else');
  return hostname;
}
