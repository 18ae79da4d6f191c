/**
 * Repository URLs as the commands take them: `rest:https://user:password@host:8000/path`, `s3:host/bucket/folder`,
 * `sftp:user@host:/path`. What is not understood is refused, and no message shows any of it: each part of a wrong URL may
 * be the password.
 */
import { posix } from 'node:path';
import { EngineError } from 'restic-engine';
import { AMAZON, bucketOf, hostnameOf, portOf } from './address.ts';
import type { RestAddress, S3Address, ServerAddress, SftpAddress } from './address.ts';

/** Who one is for a REST server. */
export interface Login {
  readonly username: string;
  readonly password: string;
}

/** What a URL says. */
export interface ParsedUrl {
  readonly address: ServerAddress;
  /** From a REST URL that has them. */
  readonly login: Login | undefined;
}

const EXAMPLES = {
  rest: 'rest:https://host:8000/path',
  s3: 's3:https://host:9000/bucket/folder',
  sftp: 'sftp:user@host:/path or sftp://user@host:2222//path',
} as const;

type UrlKind = keyof typeof EXAMPLES;

/** Throws `bad-request`. */
export function parseServerUrl(url: string): ParsedUrl {
  const [, kind, rest = ''] = /^(rest|s3|sftp):(.*)$/s.exec(url.trim()) ?? [];
  switch (kind) {
    case 'rest':
      return parseRest(rest);
    case 's3':
      return { address: parseS3(rest), login: undefined };
    case 'sftp':
      return { address: parseSftp(rest), login: undefined };
    default:
      throw new EngineError('bad-request', `a repository URL begins with rest:, s3: or sftp:, as in ${EXAMPLES.rest}`);
  }
}

function parseRest(rest: string): ParsedUrl {
  const { protocol, authority, path } = splitHttp(rest, 'rest');
  const at = authority.lastIndexOf('@');
  const login = at < 0 ? undefined : loginOf(authority.slice(0, at));
  if (path.includes('@')) throw wrong('rest', 'in a password write / as %2F, and @ in a path as %40');
  decoded(path, 'rest');
  const { hostname, port } = hostAndPort(authority.slice(at + 1), 'rest');
  // A URL without a port means its protocol's, for restic too; 8000 is what a configuration without one means.
  const address: RestAddress = {
    kind: 'rest',
    protocol,
    hostname,
    port: port ?? (protocol === 'https' ? 443 : 80),
    repositoryPath: path.replace(/^\/+/, ''),
  };
  return { address, login };
}

function loginOf(userinfo: string): Login {
  const [, username = '', password = ''] = /^([^:]*):(.*)$/s.exec(userinfo) ?? [];
  if (username === '' || password === '') {
    throw wrong('rest', 'before the @ there must be a user and a password, user:password@');
  }
  return { username: decoded(username, 'rest'), password: decoded(password, 'rest') };
}

function parseS3(rest: string): S3Address {
  const { protocol, authority, path } = splitHttp(rest, 's3');
  if (authority.includes('@')) throw wrong('s3', 'keys do not belong into it');
  const { hostname, port } = authority === '' ? { hostname: AMAZON } : hostAndPort(authority, 's3');
  const repositoryPath = decoded(path.replace(/^\/+/, ''), 's3');
  if (repositoryPath === '') throw wrong('s3', 'the bucket is missing; write s3:/bucket for one at Amazon');
  bucketOf(repositoryPath);
  return { kind: 'awss3', protocol, hostname, port, repositoryPath, region: undefined };
}

interface HttpParts {
  readonly protocol: 'http' | 'https';
  readonly authority: string;
  /** With its first slash; '' where there is none. */
  readonly path: string;
}

function splitHttp(rest: string, kind: UrlKind): HttpParts {
  const [, scheme, , authority = '', path = ''] =
    /^(?:\/\/)?(?:(https?):\/\/|([a-z][a-z\d+.-]*):\/\/)?([^/]*)(.*)$/is.exec(rest) ?? [];
  if (/^(?:\/\/)?(?!https?:)[a-z][a-z\d+.-]*:\/\//i.test(rest)) throw wrong(kind, 'the protocol is http or https');
  if (/[?#]/.test(rest)) throw wrong(kind, 'it has a ? or a #; write %3F and %23');
  if (/[\s\\]|\p{Cc}/u.test(rest)) throw wrong(kind, 'it has a space, a backslash or a control character in it');
  return { protocol: scheme?.toLowerCase() === 'http' ? 'http' : 'https', authority, path };
}

function hostAndPort(text: string, kind: UrlKind): { readonly hostname: string; readonly port: number | undefined } {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/s.exec(text) ?? [];
  const hostname = hostnameOf(host);
  if (hostname === undefined) throw wrong(kind, 'its host is neither a name nor an address ([::1] for IPv6)');
  const number = port === undefined ? undefined : portOf(port);
  if (port !== undefined && number === undefined) throw wrong(kind, 'its port is not a number from 1 to 65535');
  return { hostname, port: number };
}

/**
 * `user@host:path` or `//user@host:port/path`, where the first slash only ends the port. As ever in these commands, digits
 * and a slash after the first form's colon are a port, too: a folder of digits is written `./1234`.
 */
function parseSftp(rest: string): SftpAddress {
  const isUrl = rest.startsWith('//');
  const text = isUrl ? rest.slice(2) : rest;
  const [, user = '', host = '', colon, path = ''] =
    /^([^@/]*)@(\[[^\]]*\]|[^:/@]*)(?:(:)|(?=\/))(.*)$/s.exec(text) ?? [];
  if (user === '' || /\p{Cc}/u.test(user)) throw wrong('sftp', 'it needs a user and a host, user@host');
  if (user.includes(':')) throw wrong('sftp', 'a password does not belong into it, for a key is used');
  if (colon === undefined && !isUrl) throw wrong('sftp', 'after the host there must be a colon');
  const hostname = hostnameOf(host);
  if (hostname === undefined) throw wrong('sftp', 'its host is neither a name nor an address ([::1] for IPv6)');
  const place = colon === undefined ? { port: undefined, path: path.slice(1) } : sftpPlace(path, isUrl);
  const username = isUrl ? decoded(user, 'sftp') : user;
  const repositoryPath = sftpPath(isUrl ? decoded(place.path, 'sftp') : place.path);
  return { kind: 'sftp', username, hostname, port: place.port, repositoryPath };
}

/** What follows the colon after the host. */
function sftpPlace(text: string, isUrl: boolean): { readonly port: number | undefined; readonly path: string } {
  const [, digits, path = ''] = /^(\d+)\/(.*)$/s.exec(text) ?? [];
  if (digits === undefined) {
    if (isUrl && !text.startsWith('/')) throw wrong('sftp', 'its port is not a number from 1 to 65535');
    return { port: undefined, path: text };
  }
  const port = portOf(digits);
  if (port === undefined) throw wrong('sftp', 'its port is not a number from 1 to 65535');
  return { port, path };
}

function sftpPath(text: string): string {
  if (/\p{Cc}/u.test(text)) throw wrong('sftp', 'its path has a control character in it');
  if (text.startsWith('~')) throw wrong('sftp', 'a relative path begins in the home folder anyway, without ~');
  const path = posix.normalize(text).replace(/(?<=.)\/+$/, '');
  if (/^\/*\.?$/.test(path)) throw wrong('sftp', 'the path is missing');
  return path;
}

function decoded(text: string, kind: UrlKind): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw wrong(kind, 'a % that begins no escape is written %25', error);
  }
}

function wrong(kind: UrlKind, why: string, cause?: unknown): EngineError {
  const message = `the repository URL is wrong: ${why}; a right one is ${EXAMPLES[kind]}`;
  // URIError quotes nothing, unlike others.
  return new EngineError('bad-request', message, { kind }, cause === undefined ? {} : { cause });
}
