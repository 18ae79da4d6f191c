/** Where a repository is on a REST server, and who is asking for it. */
import { EngineError } from '@restic-engine/repo-format';
import type { RestOptions } from './open.ts';

export interface Place {
  /** The root of the repository: http or https, no credentials, a path that ends in `/`. */
  readonly base: URL;
  readonly socketPath?: string;
  /** The value of an `Authorization` header. */
  readonly authorization?: string;
  /** For people: as restic prints it, the password as `***`. */
  readonly location: string;
}

interface Credentials {
  readonly username: string;
  readonly password: string;
}

const EXAMPLE = 'https://user:password@host:8000/path/';
const UNIX_EXAMPLE = 'http+unix:///run/rest.sock:/path/';

/** Throws `bad-request`, without a word of the URL: any part of a wrong one may be the password. */
export function placeOf({ url, username, password }: Pick<RestOptions, 'url' | 'username' | 'password'>): Place {
  const given = { username: username ?? '', password: password ?? '' };
  return /^http\+unix:/i.test(url) ? unixPlace(url, given) : tcpPlace(url, given);
}

function tcpPlace(text: string, given: Credentials): Place {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw wrong(`the URL of a REST server is written ${EXAMPLE}`);
  if (url.search !== '' || url.hash !== '') {
    throw wrong(`the URL of a REST server has no ? and no #; write %3F and %23 in a password (${EXAMPLE})`);
  }
  const own = url.username !== '' || url.password !== '';
  const user = url.username;
  const hidden = url.password === '' ? '' : ':***';
  const credentials = own ? { username: decoded(user), password: decoded(url.password) } : given;
  url.username = '';
  url.password = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  const shown = own ? url.href.replace('//', () => `//${user}${hidden}@`) : url.href;
  return { base: url, location: `rest:${shown}`, ...authorized(credentials) };
}

function unixPlace(text: string, credentials: Credentials): Place {
  const match = /^http\+unix:\/\/(\/[^:?#]+)(?::(\/[^?#]*)?)?$/i.exec(text);
  const [, socketPath, path = '/'] = match ?? [];
  if (socketPath === undefined) throw wrong(`the URL of a REST server on a unix socket is written ${UNIX_EXAMPLE}`);
  const base = new URL('http://localhost/');
  base.pathname = path.endsWith('/') ? path : `${path}/`;
  const location = `rest:http+unix://${socketPath}:${base.pathname}`;
  return { base, socketPath: decoded(socketPath), location, ...authorized(credentials) };
}

function authorized({ username, password }: Credentials): { readonly authorization?: string } {
  if (username === '' && password === '') return {};
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    throw wrong(`a % in the URL of a REST server that is not part of %20 and the like is written %25 (${EXAMPLE})`);
  }
}

function wrong(message: string): EngineError {
  return new EngineError('bad-request', message);
}
