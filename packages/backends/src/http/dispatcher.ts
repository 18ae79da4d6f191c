/** The connections: undici is loaded here and nowhere else. */
import type { buildConnector, Dispatcher } from 'undici';
import type { Environment } from '../scheme.ts';
import type { HttpClientOptions } from './client.ts';
import { proxyFrom } from './proxy.ts';
import { isUnknownIssuer, trustOf } from './tls.ts';
import type { Trust, TrustChain } from './tls.ts';

type Connector = buildConnector.connector;

/**
 * Sockets beside those that large files may take: locks are refreshed while packs are under way, and listings hold a
 * connection while their readers load what they name.
 */
const HEAD_ROOM = 4;
const CONNECT_MS = 30_000;
const IDLE_MS = 60_000;
const BASE = { allowH2: false, timeout: CONNECT_MS, keepAliveInitialDelay: 30_000 };

export interface Dispatchers {
  /** What sends a request for `url`. */
  for(url: URL): Dispatcher;
  /** Ends everything at once. */
  close(): Promise<void>;
}

export async function openDispatchers(
  options: HttpClientOptions,
  stuckMs: number,
  env: Environment,
): Promise<Dispatchers> {
  const trust = trustOf(options);
  const { socketPath } = options;
  const proxyOf = socketPath === undefined ? proxyFrom(env) : () => undefined;
  const { Agent, Pool, ProxyAgent, buildConnector } = await import('undici');
  const shared = {
    connections: options.connections + HEAD_ROOM,
    // HTTP/2 would put all packs on one connection, with a window of its own to fill.
    allowH2: false,
    pipelining: 1,
    connectTimeout: CONNECT_MS,
    keepAliveTimeout: IDLE_MS,
    headersTimeout: stuckMs,
    bodyTimeout: stuckMs,
  };
  const connectorFor = (tls: Trust): Connector =>
    buildConnector({ ...BASE, ...tls, ...(socketPath !== undefined && { socketPath }) });
  const direct = new Agent({ ...shared, connect: trusting(trust, connectorFor) });
  const proxied = new Map<string, Dispatcher>();
  // Left alone, undici gives what it opens to a proxy itself limits of its own.
  const pool = (origin: string | URL, own: object): Dispatcher => new Pool(origin, { ...shared, ...own });
  const through = (proxy: URL, url: URL): Dispatcher => {
    const usesTls = [proxy.protocol, url.protocol].includes('https:');
    const key = `${usesTls} ${proxy.href}`;
    const known = proxied.get(key);
    if (known) return known;
    const tls = { ...BASE, ...((usesTls && trust.withSystem?.()) || trust.first) };
    // Given any, undici would speak TLS to a SOCKS proxy, which knows none.
    const proxyTls = proxy.protocol === 'socks5:' ? {} : { proxyTls: tls };
    const own = { uri: proxy.href, requestTls: tls, ...proxyTls, factory: pool, clientFactory: pool };
    const agent = new ProxyAgent({ ...shared, ...own });
    proxied.set(key, agent);
    return agent;
  };
  return {
    for(url) {
      const proxy = proxyOf(url);
      return proxy === undefined ? direct : through(proxy, url);
    },
    async close() {
      await Promise.all([direct, ...proxied.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
}

/** Tries again with the certificates of the system where those that come with Node do not know the issuer. */
function trusting({ first, withSystem }: TrustChain, connectorFor: (trust: Trust) => Connector): Connector {
  const usual = connectorFor(first);
  if (withSystem === undefined) return usual;
  let system: Connector | undefined;
  return (options, callback) => {
    if (system) {
      system(options, callback);
      return;
    }
    usual(options, (...answer) => {
      const [error] = answer;
      if (error === null || !isUnknownIssuer(error)) {
        callback(...answer);
        return;
      }
      system ??= connectorFor(withSystem());
      system(options, callback);
    });
  };
}
