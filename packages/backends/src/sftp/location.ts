/** How restic writes the location of a repository on an SFTP server (restic manual, "Preparing a new repository"). */
import { posix } from 'node:path';
import { EngineError } from '@restic-engine/repo-format';

/** What a location says. */
export interface SftpLocation {
  readonly host: string;
  readonly port?: number;
  readonly user?: string;
  /** Without `.` and `..` as far as possible; relative to the folder of the login unless it begins with `/`. */
  readonly path: string;
}

/** Right ones, for messages. */
export const EXAMPLES = 'sftp:user@host:/path or sftp://user@host:2222//path';

const NO_PASSWORD = 'a password does not belong into it; RESTIC_ENGINE_SFTP_PASSWORD may hold it';

/** `user@host:port`, where the host may be an IPv6 address in brackets. */
const AUTHORITY = /^(?:(.*)@)?(\[[0-9a-f:.%a-z_-]+\]|[^:@[\]]+)(?::(\d+))?$/i;

/** Reads what follows `sftp:`. Throws `bad-request`. */
export function parseLocation(rest: string): SftpLocation {
  return rest.startsWith('//') ? parseUrl(rest.slice(2)) : parsePlain(rest);
}

/** `user@host:path`: the first colon that is not part of an address in brackets ends the host. */
function parsePlain(rest: string): SftpLocation {
  const [, authority = '', path = ''] = /^((?:[^:[]*@)?\[[^\]]*\]|[^:]*):(.*)$/s.exec(rest) ?? [];
  if (authority === '') throw wrong('it has no host and path');
  // `user:password@host:/path`, whose password would be taken for the path, and shown.
  if (/^[^/].*@[^/]*:/s.test(path)) throw wrong(NO_PASSWORD);
  return { ...parseAuthority(authority, (text) => text), path: cleaned(path) };
}

/** `//user@host:port/path`: the first slash only ends the host, so an absolute path begins with two. */
function parseUrl(rest: string): SftpLocation {
  const slash = rest.indexOf('/');
  if (slash < 0) throw wrong('it has no path');
  const authority = parseAuthority(rest.slice(0, slash), decoded);
  return { ...authority, path: cleaned(decoded(rest.slice(slash + 1))) };
}

function parseAuthority(text: string, decode: (text: string) => string): Omit<SftpLocation, 'path'> {
  const [, user, host, port] = AUTHORITY.exec(text) ?? [];
  if (host === undefined) throw wrong('its host is not one');
  if (user?.includes(':')) throw wrong(NO_PASSWORD);
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535)) throw wrong('its port is not one');
  return {
    host: host.startsWith('[') ? host.slice(1, -1) : decode(host),
    ...(port === undefined ? {} : { port: Number(port) }),
    ...(user === undefined || user === '' ? {} : { user: decode(user) }),
  };
}

function cleaned(path: string): string {
  const clean = posix.normalize(path);
  // Shells know what it means, SFTP servers do not.
  if (clean.startsWith('~')) throw wrong('its path begins with ~; a relative path begins in the home folder anyway');
  return clean.length > 1 && clean.endsWith('/') ? clean.slice(0, -1) : clean;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw wrong('it has a % that begins no escape', error);
  }
}

/** What is wrong is told, the location is not: it may hold a password. */
function wrong(why: string, cause?: unknown): EngineError {
  return new EngineError(
    'bad-request',
    `the location of the SFTP server is wrong: ${why}; right ones are ${EXAMPLES}`,
    {},
    { cause },
  );
}
