/** Where the API is and how one proves to be somebody there. */
import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import path from 'node:path';
import type { KubeConfig } from '@kubernetes/client-node';
import { EngineError } from 'restic-engine';

/** Requests at once; more wait for one to end. */
const MAX_SOCKETS = 64;
/** Idle connections are given up before load balancers do it, which often drop them without a word. */
const IDLE_MS = 15_000;
const TOKEN_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/token';

export interface Access {
  /** Without credentials, query or a slash at its end. */
  readonly server: string;
  readonly namespace: string | undefined;
  /** What a request needs: TLS, proxy, credentials. Asked for anew each time: tokens and certificates are renewed. */
  options(): Promise<RequestOptions>;
  /** Closes idle connections and lets nobody wait for one. */
  close(): void;
}

export interface AccessOptions {
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
}

/**
 * Reads the kubeconfig that is named, or those of `KUBECONFIG`, or `~/.kube/config`, or takes the service account of the
 * pod. Rejects with `not-found` when there is none, `bad-request` when it cannot be understood.
 */
export async function findAccess(options: AccessOptions): Promise<Access> {
  const client = await import('@kubernetes/client-node');
  const config = await findConfig(client.KubeConfig, options.kubeconfig);
  if (options.context !== undefined) config.setCurrentContext(options.context);
  const context = config.getContextObject(config.getCurrentContext());
  const cluster = config.getCurrentCluster();
  if (context === null || cluster === null) {
    throw new EngineError('bad-request', 'the kubeconfig has no such context, or no cluster for it', {
      context: config.getCurrentContext() ?? '',
    });
  }
  return accessOf(config, cluster, context.namespace);
}

function accessOf(
  config: KubeConfig,
  cluster: { readonly server: string; readonly proxyUrl?: string | undefined },
  namespace: string | undefined,
): Access {
  if (!URL.canParse(cluster.server)) throw new EngineError('bad-request', 'the kubeconfig names no URL as server');
  const url = new URL(cluster.server);
  const settings = { keepAlive: true, maxSockets: MAX_SOCKETS, timeout: IDLE_MS };
  const own = url.protocol === 'https:' ? new HttpsAgent(settings) : new HttpAgent(settings);
  let used: HttpAgent = own;
  const ask = async (): Promise<RequestOptions> => {
    const request: RequestOptions = {};
    try {
      await config.applyToHTTPSOptions(request);
    } catch (error) {
      throw credentialsError(error);
    }
    // Its agent reaches the API through the proxy, but would connect again for each request. Without a proxy ours is
    // better: it tells certificates apart, which are renewed while a program runs.
    if (cluster.proxyUrl && request.agent instanceof HttpAgent) used = Object.assign(request.agent, settings);
    return { ...request, headers: trimmed(request.headers), agent: used };
  };
  let asked: Promise<RequestOptions> | undefined;
  return {
    server: `${url.origin}${url.pathname.replace(/\/+$/, '')}`,
    namespace: namespace === '' ? undefined : namespace,
    // Many requests at once shall not start as many plugins.
    options: () => (asked ??= ask().finally(() => (asked = undefined))),
    close: () => used.destroy(),
  };
}

/** Token files of people end with a line break, which no header may have. */
function trimmed(headers: RequestOptions['headers']): Record<string, string> {
  const pairs = Object.entries(headers ?? {});
  return Object.fromEntries(pairs.map(([name, value]) => [name, String(value).trim()]));
}

/** What went wrong in a plugin or file is not repeated: it may hold what it was to keep. */
function credentialsError(error: unknown): EngineError {
  if (error instanceof Error && error.message.startsWith('HTTP protocol is not allowed')) {
    return new EngineError(
      'bad-request',
      'the API is reached without TLS: say insecure-skip-tls-verify if that is meant',
    );
  }
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  return new EngineError(
    'unauthorized',
    'no credentials for the API: a file, plugin or token of the kubeconfig failed',
    code === undefined ? {} : { cause: code },
  );
}

async function findConfig(Config: typeof KubeConfig, file: string | undefined): Promise<KubeConfig> {
  if (file !== undefined) return readConfigs(Config, [file]);
  const named = (process.env['KUBECONFIG'] ?? '').split(path.delimiter).filter((name) => name !== '');
  // Like kubectl: of several files those that are there.
  if (named.length > 1) return readConfigs(Config, await existing(named));
  if (named.length === 1) return readConfigs(Config, named);
  const home = await existing([path.join(homedir(), '.kube', 'config')]);
  if (home.length > 0) return readConfigs(Config, home);
  if (process.env['KUBERNETES_SERVICE_HOST'] !== undefined && (await existing([TOKEN_FILE])).length > 0) {
    const config = new Config();
    config.loadFromCluster();
    return config;
  }
  throw new EngineError('not-found', 'there is no kubeconfig, and this is no pod of a cluster');
}

async function existing(files: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    files.map((file) =>
      readFile(file).then(
        () => [file],
        (error: unknown) => {
          if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
          throw configError(file, error);
        },
      ),
    ),
  );
  return found.flat();
}

/** Like kubectl, the first file that has a name or a current context wins. */
function readConfigs(Config: typeof KubeConfig, files: readonly string[]): KubeConfig {
  const [first, ...others] = files.map((file) => {
    const config = new Config();
    try {
      config.loadFromFile(file);
    } catch (error) {
      throw configError(file, error);
    }
    return config;
  });
  if (first === undefined) throw new EngineError('not-found', 'none of the files that KUBECONFIG names is there');
  const missing = <T extends { readonly name: string }>(have: readonly T[], more: readonly T[]): T[] =>
    more.filter(({ name }) => !have.some((one) => one.name === name));
  for (const other of others) {
    first.clusters.push(...missing(first.clusters, other.clusters));
    first.users.push(...missing(first.users, other.users));
    first.contexts.push(...missing(first.contexts, other.contexts));
    first.currentContext ||= other.currentContext;
  }
  return first;
}

/** The parser's message would quote the file, tokens included. */
function configError(file: string, error: unknown): EngineError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === 'ENOENT') return new EngineError('not-found', 'there is no such kubeconfig', { file });
  if (code !== undefined) return new EngineError('io', 'cannot read the kubeconfig', { file, cause: code });
  return new EngineError('bad-request', 'this is no kubeconfig', { file });
}
