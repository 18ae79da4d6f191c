/** Which proxy a request goes through: the environment variables that Go, and so restic, reads, with Go's rules. */
import { BlockList, isIP } from 'node:net';
import { EngineError } from '@restic-engine/repo-format';
import type { Environment } from '../scheme.ts';

/** The proxy for requests to `url`; undefined: none. */
export type ProxyOf = (url: URL) => URL | undefined;

const DEFAULT_PORTS = new Map([
  ['http:', '80'],
  ['https:', '443'],
]);

/** Throws `bad-request` for a proxy that is no URL. */
export function proxyFrom(env: Environment): ProxyOf {
  const proxies = new Map([
    ['http:', proxyUrl('HTTP_PROXY', env)],
    ['https:', proxyUrl('HTTPS_PROXY', env)],
  ]);
  const excluded = exclusions(variable('NO_PROXY', env) ?? '');
  return (url) => {
    const proxy = proxies.get(url.protocol);
    if (proxy === undefined) return undefined;
    const host = hostOf(url.hostname);
    if (isLoopback(host)) return undefined;
    return excluded(host, url.port || (DEFAULT_PORTS.get(url.protocol) ?? '')) ? undefined : proxy;
  };
}

function variable(name: string, env: Environment): string | undefined {
  return env[name] || env[name.toLowerCase()] || undefined;
}

function proxyUrl(name: string, env: Environment): URL | undefined {
  const text = variable(name, env);
  if (text === undefined) return undefined;
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url && /^(?:https?|socks5):$/.test(url.protocol) && isDecodable(url.username + url.password)) return url;
  // Its value may hold a password.
  throw new EngineError('bad-request', `${name} is not the URL of an http, https or socks5 proxy`, { variable: name });
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return false;
  }
}

function hostOf(hostname: string): string {
  return hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '');
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
  return host === 'localhost' || contains(LOOPBACK, host);
}

function contains(list: BlockList, host: string): boolean {
  const family = isIP(host);
  return family !== 0 && list.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

type Excluded = (host: string, port: string) => boolean;

/** `*`, `example.com`, `.example.com`, `*.example.com`, an address, `10.0.0.0/8`; each of the first with a port or not. */
function exclusions(text: string): Excluded {
  const entries = text
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '');
  if (entries.includes('*')) return () => true;
  const tests = entries.map(exclusion);
  return (host, port) => tests.some((test) => test(host, port));
}

function exclusion(entry: string): Excluded {
  const network = /^\[?([^\]/]+)\]?\/(\d{1,3})$/.exec(entry);
  if (network) return networkTest(network[1] ?? '', Number(network[2]));
  const { host, port } = splitPort(entry);
  const fits = (other: string): boolean => port === undefined || port === other;
  if (isIP(host) !== 0) return (other, otherPort) => other === host && fits(otherPort);
  const suffix = host.startsWith('*.') ? host.slice(1) : host;
  if (suffix.startsWith('.')) return (other, otherPort) => other.endsWith(suffix) && fits(otherPort);
  return (other, otherPort) => (other === suffix || other.endsWith(`.${suffix}`)) && fits(otherPort);
}

function networkTest(address: string, bits: number): Excluded {
  const family = isIP(address);
  if (family === 0 || bits > (family === 6 ? 128 : 32)) return () => false;
  const list = new BlockList();
  list.addSubnet(address, bits, family === 6 ? 'ipv6' : 'ipv4');
  return (host) => contains(list, host);
}

function splitPort(entry: string): { readonly host: string; readonly port: string | undefined } {
  if (isIP(entry) !== 0) return { host: entry, port: undefined };
  const match = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(entry);
  return { host: match?.[1] ?? match?.[2] ?? entry, port: match?.[3] };
}
