/** The connections: undici is loaded here and nowhere else. */
import type { Dispatcher } from 'undici';
import type { Environment } from '../scheme.ts';
import type { HttpClientOptions } from './client.ts';
import { proxyFrom } from './proxy.ts';
import { trustOf } from './tls.ts';

/** Sockets beside those that large files may take: a lock is refreshed and files are listed while packs are under way. */
const HEAD_ROOM = 2;
const CONNECT_MS = 30_000;
const TCP_KEEP_ALIVE_MS = 30_000;
const IDLE_MS = 60_000;

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
  const trust = { ...trustOf(options), keepAliveInitialDelay: TCP_KEEP_ALIVE_MS, timeout: CONNECT_MS };
  const { socketPath } = options;
  const proxyOf = socketPath === undefined ? proxyFrom(env) : () => undefined;
  const { Agent, ProxyAgent } = await import('undici');
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
  const direct = new Agent({ ...shared, connect: { ...trust, ...(socketPath !== undefined && { socketPath }) } });
  const proxied = new Map<string, Dispatcher>();
  const through = (proxy: URL): Dispatcher => {
    const known = proxied.get(proxy.href);
    if (known) return known;
    const agent = new ProxyAgent({ ...shared, uri: proxy.href, requestTls: trust, proxyTls: trust });
    proxied.set(proxy.href, agent);
    return agent;
  };
  return {
    for(url) {
      const proxy = proxyOf(url);
      return proxy === undefined ? direct : through(proxy);
    },
    async close() {
      await Promise.all([direct, ...proxied.values()].map((dispatcher) => dispatcher.destroy()));
    },
  };
}
