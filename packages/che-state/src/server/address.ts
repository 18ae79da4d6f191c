/** Where a backup server is: what a section of a `CheBackupServerConfiguration` and a repository URL both come to. */
import { isIPv6 } from 'node:net';
import { EngineError } from 'restic-engine';

export interface RestAddress {
  readonly kind: 'rest';
  readonly protocol: 'http' | 'https';
  /** A name or an address; IPv6 without brackets. */
  readonly hostname: string;
  readonly port: number;
  /** As it is in a URL, percent-encoded; '' for the root of the server. */
  readonly repositoryPath: string;
}

export interface S3Address {
  readonly kind: 'awss3';
  readonly protocol: 'http' | 'https';
  readonly hostname: string;
  /** undefined: the protocol's. */
  readonly port: number | undefined;
  /** The bucket, and a folder in it or none: `bucket/a/b`. */
  readonly repositoryPath: string;
  readonly region: string | undefined;
}

export interface SftpAddress {
  readonly kind: 'sftp';
  readonly username: string;
  readonly hostname: string;
  /** undefined: 22, or what the SSH configuration of the user says where that counts. */
  readonly port: number | undefined;
  /** Begins with `/`, or at the folder of the login. */
  readonly repositoryPath: string;
}

/** `kind` is the name of the section. */
export type ServerAddress = RestAddress | S3Address | SftpAddress;

export const AMAZON = 's3.amazonaws.com';
export const REST_PORT = 8000;
export const SFTP_PORT = 22;

/** The repository's place for people, in restic's words and without secrets. */
export function locationOf(address: ServerAddress): string {
  switch (address.kind) {
    case 'rest':
      return `rest:${restUrl(address)}`;
    case 'awss3':
      return `s3:${originOf(address)}/${address.repositoryPath}`;
    case 'sftp':
      return sftpLocation(address);
  }
}

function sftpLocation({ username, hostname, port, repositoryPath }: SftpAddress): string {
  const host = `${username}@${bracketed(hostname)}`;
  return port === undefined ? `sftp:${host}:${repositoryPath}` : `sftp://${host}:${port}/${repositoryPath}`;
}

/** The URL of a repository on a REST server; ends in `/`. */
export function restUrl(address: RestAddress): string {
  const path = address.repositoryPath.replace(/^\/+/, '');
  // What is an escape stays one; what a URL cannot hold becomes one.
  const encoded = path.replaceAll(/%(?![\da-f]{2})|[?#]/gi, (character) => encodeURIComponent(character));
  return new URL(`${originOf(address)}/${encoded}${encoded === '' || encoded.endsWith('/') ? '' : '/'}`).href;
}

/** `https://host:port` */
export function originOf({ protocol, hostname, port }: Pick<S3Address, 'protocol' | 'hostname' | 'port'>): string {
  return `${protocol}://${bracketed(hostname)}${port === undefined ? '' : `:${port}`}`;
}

/** The bucket and the folder in it. Throws `bad-request` where there is no bucket. */
export function bucketOf(repositoryPath: string): { readonly bucket: string; readonly prefix: string } {
  const [bucket = '', ...folders] = repositoryPath.split('/').filter((part) => part !== '');
  if (bucket === '')
    throw new EngineError('bad-request', 'the path on an S3 server begins with a bucket, which is missing');
  return { bucket, prefix: folders.join('/') };
}

/** A host's name or address without brackets, or undefined for what is neither. */
export function hostnameOf(text: string): string | undefined {
  const inner = /^\[(.*)\]$/.exec(text)?.[1];
  if (inner !== undefined || text.includes(':')) return isIPv6(inner ?? text) ? (inner ?? text) : undefined;
  return /^[\p{L}\p{N}_](?:[\p{L}\p{N}_.-]*[\p{L}\p{N}_.])?$/u.test(text) ? text : undefined;
}

/** A port's number, or undefined for what is none. */
export function portOf(text: string): number | undefined {
  const port = Number(text);
  return /^\d{1,5}$/.test(text) && port > 0 && port < 65536 ? port : undefined;
}

function bracketed(hostname: string): string {
  return hostname.includes(':') ? `[${hostname}]` : hostname;
}
