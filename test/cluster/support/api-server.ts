/** A real Kubernetes API without nodes and controllers: state, validation, permissions, and nothing that runs. */
import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectCluster, type Cluster } from '@restic-engine/che-state';
import type { Peer, PeerName } from '../../peers/peers.ts';
import { peer } from '../../peers/peers.ts';
import { startDaemon } from '../../servers/daemon.ts';
import type { Daemon } from '../../servers/daemon.ts';
import { freePort } from '../../support/free-port.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { installCrds, type CrdOptions } from '../crds/install.ts';
import { KINDS } from '../crds/kinds.ts';
import { ApiError, openApi, type Api } from './api.ts';

/**
 * Who may ask the API; each has a context of that name in the kubeconfig. Rights are bound to `reader` and `operator` by
 * the tests that need them; `nobody` has none, and `admin` every one.
 */
export type User = 'admin' | 'reader' | 'operator' | 'nobody';

const USERS: readonly User[] = ['admin', 'reader', 'operator', 'nobody'];

export interface ProgramRun {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ApiServer extends AsyncDisposable {
  /** Path of a kubeconfig with a context for each user; the current one is `admin`'s. */
  readonly kubeconfig: string;
  /** `https://127.0.0.1:<port>`. */
  readonly server: string;
  readonly port: number;
  /** The bearer token of a user. */
  token(user: User): string;
  /** As `admin`, without the code under test. */
  readonly api: Api;
  /** With the code under test; the caller disposes of it. */
  connect(as?: User): Promise<Cluster>;
  /** Runs Debian's kubectl; resolves however it ends. */
  kubectl(args: readonly string[], options?: { readonly as?: User; readonly input?: string }): Promise<ProgramRun>;
  /** Ends the API server as a crash would, and starts it again with the same state on the same port. */
  restart(): Promise<void>;
}

export interface ApiServerOptions {
  /** The kinds of others that are there at once; false: none. */
  readonly crds?: CrdOptions | false;
}

/** What {@link startApiServer} takes; a suite is described with `kube-apiserver` and finds the others beside it. */
async function programs(): Promise<Record<'etcd' | 'kube-apiserver' | 'kubectl', Peer>> {
  const need = async (name: PeerName): Promise<Peer> => {
    const found = await peer(name);
    if (found === undefined) throw new Error(`${name} is missing; get it with: pnpm peers`);
    return found;
  };
  const [etcd, server, kubectl] = await Promise.all([need('etcd'), need('kube-apiserver'), need('kubectl')]);
  return { etcd, 'kube-apiserver': server, kubectl };
}

/** Another test may have taken the port that was free a moment ago. */
const ATTEMPTS = 3;

/** Starts etcd and kube-apiserver and resolves when the API is ready, which takes about 4 seconds. */
export async function startApiServer({ crds = {} }: ApiServerOptions = {}): Promise<ApiServer> {
  const found = await programs();
  for (let attempt = 1; ; attempt += 1) {
    const dir = makeTempDir();
    const daemons: Daemon[] = [];
    try {
      const server = await start(found, dir, daemons);
      if (crds) await installCrds(server.api, crds);
      return server;
    } catch (error) {
      for (const daemon of daemons) await daemon.kill();
      dir[Symbol.dispose]();
      if (attempt === ATTEMPTS || !String(error).includes('address already in use')) throw error;
    }
  }
}

async function start(found: Awaited<ReturnType<typeof programs>>, dir: TempDir, daemons: Daemon[]): Promise<ApiServer> {
  const etcdPort = await startEtcd(found.etcd, dir, daemons);
  const tokens = new Map(USERS.map((user) => [user, `token-of-${user}-${randomBytes(12).toString('hex')}`]));
  const port = await freePort();
  const args = writeApiFiles(dir, tokens, port, etcdPort);
  const startServer = async (): Promise<Daemon> => {
    const daemon = await startDaemon({
      command: found['kube-apiserver'].path,
      args,
      env: found['kube-apiserver'].env,
      ready: /Serving securely on 127\.0\.0\.1:(\d+)/,
    });
    daemons.push(daemon);
    return daemon;
  };
  let daemon = await startServer();
  const url = `https://127.0.0.1:${port}`;
  const certificate = join(dir.path, 'certs', 'apiserver.crt');
  const token = (user: User): string => tokens.get(user) ?? '';
  const kubeconfig = join(dir.path, 'kubeconfig');
  writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(url, certificate, token)));
  const api = openApi({ server: url, token: token('admin'), ca: readFileSync(certificate, 'utf8') }, KINDS);
  await ready(api);
  return {
    kubeconfig,
    server: url,
    port,
    token,
    api,
    connect: (as = 'admin') => connectCluster({ kubeconfig, context: as }),
    kubectl: (words, options) => runKubectl(found.kubectl, dir.path, kubeconfig, words, options),
    async restart() {
      await daemon.kill();
      daemon = await startServer();
      await ready(api);
    },
    async [Symbol.asyncDispose]() {
      api[Symbol.dispose]();
      for (const each of daemons.toReversed()) await each.kill();
      dir[Symbol.dispose]();
    },
  };
}

async function startEtcd(program: Peer, dir: TempDir, daemons: Daemon[]): Promise<number> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const etcd = await startDaemon({
    command: program.path,
    env: program.env,
    args: [
      `--data-dir=${join(dir.path, 'etcd')}`,
      '--unsafe-no-fsync',
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      '--listen-peer-urls=http://127.0.0.1:0',
    ],
    ready: /ready to serve client requests|serving client traffic insecurely|serving insecure client requests/,
  });
  daemons.push(etcd);
  return port;
}

function writeApiFiles(dir: TempDir, tokens: ReadonlyMap<User, string>, port: number, etcdPort: number): string[] {
  const key = join(dir.path, 'sa.key');
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(key, privateKey.export({ format: 'pem', type: 'sec1' }));
  const tokenFile = join(dir.path, 'tokens.csv');
  const lines = [...tokens].map(
    ([user, token]) => `${token},${user},uid-${user}${user === 'admin' ? ',system:masters' : ''}`,
  );
  writeFileSync(tokenFile, `${lines.join('\n')}\n`);
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${port}`,
    `--cert-dir=${join(dir.path, 'certs')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${key}`,
    `--service-account-signing-key-file=${key}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    `--token-auth-file=${tokenFile}`,
    '--authorization-mode=RBAC',
    // No controller makes the service accounts that it asks for.
    '--disable-admission-plugins=ServiceAccount',
    '--endpoint-reconciler-type=none',
  ];
}

function kubeconfigOf(server: string, certificate: string, token: (user: User) => string): object {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': certificate } }],
    users: USERS.map((name) => ({ name, user: { token: token(name) } })),
    contexts: USERS.map((name) => ({ name, context: { cluster: 'test', user: name } })),
    'current-context': 'admin',
  };
}

const PATIENCE_MS = 30_000;

/** It listens before it has made its own objects, its rights among them. */
async function ready(api: Api): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await api.call('GET', '/readyz').catch((error: unknown) => {
      if (error instanceof ApiError || (error as NodeJS.ErrnoException).code !== undefined) return String(error);
      throw error;
    });
    if (answer === 'ok') return;
    if (Date.now() > deadline) throw new Error(`the API server does not get ready: ${String(answer)}`);
    await sleep(50);
  }
}

function runKubectl(
  program: Peer,
  cwd: string,
  kubeconfig: string,
  args: readonly string[],
  { as = 'admin', input }: { readonly as?: User; readonly input?: string } = {},
): Promise<ProgramRun> {
  const words = ['--kubeconfig', kubeconfig, '--context', as, ...args];
  const env = { PATH: process.env['PATH'] ?? '', HOME: cwd, ...program.env };
  return new Promise((resolve, reject) => {
    const child = execFile(program.path, words, { cwd, env, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stdin?.end(input ?? '');
  });
}
