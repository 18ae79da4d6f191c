/** A cluster with the kinds of backups, servers beside it, and ways to configure them there. */
import { join } from 'node:path';
import type { Cluster, KubeObject } from '@restic-engine/che-state';
import { expect } from 'vitest';
import type { Peer } from '../../peers/peers.ts';
import { startOurs, type Ours } from '../../servers/ours.ts';
import { startSshd, type Sshd } from '../../servers/sshd.ts';
import { KIND } from '../crds/kinds.ts';
import { startApiServer, type ApiServer } from './api-server.ts';
import type { Api } from './api.ts';
import { expectNoCanary } from './canary.ts';
import { until } from './installation.ts';

const CRDS = join(import.meta.dirname, '../../../deploy/crds');

export interface ServersStage extends AsyncDisposable {
  readonly server: ApiServer;
  readonly api: Api;
  readonly cluster: Cluster;
  readonly ours: Ours;
  readonly sshd: Sshd;
  newNamespace(): Promise<string>;
  secret(namespace: string, name: string, texts: Readonly<Record<string, string>>): Promise<KubeObject>;
  configuration(namespace: string, spec: object, name?: string): Promise<KubeObject>;
  /** Lets `reader` see everything in a namespace. */
  grantReading(namespace: string): Promise<void>;
}

export async function startServersStage(sshdPeer: Peer): Promise<ServersStage> {
  const running = new AsyncDisposableStack();
  try {
    return await start(sshdPeer, running);
  } catch (error) {
    await running.disposeAsync();
    throw error;
  }
}

async function start(sshdPeer: Peer, running: AsyncDisposableStack): Promise<ServersStage> {
  const server = running.use(await startApiServer({ crds: { platform: 'kubernetes', che: 'v1' } }));
  const ours = running.use(await startOurs());
  const sshd = running.use(await startSshd(sshdPeer));
  const { api } = server;
  const { stderr } = await server.kubectl(['apply', '--filename', CRDS]);
  if (stderr !== '') throw new Error(stderr);
  const { group, version, plural, kind } = KIND.serverConfiguration;
  await until('the kind is served', () =>
    api.call('GET', `/apis/${group}/${version}/${plural}`).then(
      () => true,
      () => false,
    ),
  );
  const cluster = running.use(await server.connect());
  let serial = 0;
  return {
    server,
    api,
    cluster,
    ours,
    sshd,
    async newNamespace() {
      serial += 1;
      const name = `servers-${serial}`;
      await api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      return name;
    },
    secret: (namespace, name, stringData) =>
      api.create({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace, name }, stringData }),
    configuration: (namespace, spec, name = 'it') =>
      api.create({ apiVersion: `${group}/${version}`, kind, metadata: { namespace, name }, spec } as KubeObject),
    grantReading: (namespace) => grantReading(api, namespace),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function grantReading(api: Api, namespace: string): Promise<void> {
  const [apiGroup, apiVersion] = ['rbac.authorization.k8s.io', 'rbac.authorization.k8s.io/v1'];
  const metadata = { name: 'reading', namespace };
  const rules = [{ apiGroups: ['*'], resources: ['*'], verbs: ['get', 'list', 'watch'] }];
  await api.create({ apiVersion, kind: 'Role', metadata, rules });
  const subjects = [{ kind: 'User', name: 'reader', apiGroup }];
  const roleRef = { kind: 'Role', name: 'reading', apiGroup };
  await api.create({ apiVersion, kind: 'RoleBinding', metadata, subjects, roleRef });
}

/** The error that work ends with, which shows no secret. */
export async function failure(work: Promise<unknown>): Promise<unknown> {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  expect(error).toBeInstanceOf(Error);
  expectNoCanary('an error', `${String(error)} ${JSON.stringify(error)} ${String((error as Error).cause)}`);
  return error;
}
