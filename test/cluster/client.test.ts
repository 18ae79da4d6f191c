/** Every call of a cluster, judged by a real API server; for commands in pods a kubelet of ours stands behind it. */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Cluster, connectCluster, type KubeObject, type WatchEvent } from '@restic-engine/che-state';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fixture } from '../../packages/backends/test/http/servers.ts';
import { startStandIn } from '../../packages/che-state/test/cluster/stand-in.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { KIND } from './crds/kinds.ts';
import { type ApiServer, startApiServer, type User } from './support/api-server.ts';

const NAMESPACE = 'client';
const SECRET_VALUE = 'canary-7d1f';

const configMap = (name: string, data: Readonly<Record<string, string>>, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: NAMESPACE, ...more },
  data,
});
const at = (name: string) => ({ kind: KIND.configMap, namespace: NAMESPACE, name });

await describeWithPeer('kube-apiserver', 'a cluster', () => {
  let server: ApiServer;
  beforeAll(async () => {
    server = await startApiServer();
    await server.api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const connect = (context: User = 'admin'): Promise<Cluster> =>
    connectCluster({ kubeconfig: server.kubeconfig, context });

  it('says where it is and what it is', async () => {
    await using cluster = await connect();
    expect(cluster.server).toBe(server.server);
    expect(cluster.namespace).toBeUndefined();
    expect(await cluster.version()).toMatch(/^v1\.\d+\.\d+/);
    expect(await cluster.serves(KIND.devWorkspace)).toBe(true);
    expect(await cluster.serves({ ...KIND.devWorkspace, version: 'v9' })).toBe(false);
    expect(await cluster.serves({ ...KIND.secret, plural: 'sekrets' })).toBe(false);
    expect(await cluster.findKind('apps/v1', 'Deployment')).toEqual(KIND.deployment);
    expect(await cluster.findKind('v1', 'Namespace')).toEqual(KIND.namespace);
    expect(await cluster.findKind('v1', 'Deployment')).toBeUndefined();
    expect(await cluster.findKind('example.org/v1', 'Deployment')).toBeUndefined();
  });

  it('creates, reads, changes and removes objects', async () => {
    await using cluster = await connect();
    const created = await cluster.create(KIND.configMap, configMap('life', { a: '1' }));
    expect(created).toMatchObject({ apiVersion: 'v1', kind: 'ConfigMap', data: { a: '1' } });
    await expect(cluster.create(KIND.configMap, configMap('life', {}))).rejects.toMatchObject({
      code: 'already-exists',
    });
    expect(await cluster.get(at('life'))).toEqual(await server.api.get(at('life')));

    const merged = await cluster.merge(at('life'), { data: { b: '2', a: null } });
    expect(merged.data).toEqual({ b: '2' });
    const replaced = await cluster.replace(KIND.configMap, { ...merged, data: { c: '3' } });
    expect(replaced.data).toEqual({ c: '3' });
    await expect(cluster.replace(KIND.configMap, merged)).rejects.toMatchObject({ code: 'conflict' });

    const other = { kind: KIND.configMap, namespace: NAMESPACE, name: 'other' };
    await expect(cluster.remove(at('life'), { uid: 'another-object' })).rejects.toMatchObject({ code: 'conflict' });
    expect(await cluster.remove(at('life'), { uid: created.metadata.uid })).toBe(true);
    expect(await cluster.remove(at('life'))).toBe(false);
    expect(await cluster.get(other)).toBeUndefined();
    await expect(cluster.merge(other, {})).rejects.toMatchObject({ code: 'not-found' });
  });

  it('applies what an object has, over whoever owns it, and tries that out', async () => {
    await using cluster = await connect();
    await server.api.create(configMap('owned', { a: 'theirs', b: 'theirs' }));
    const dry = await cluster.apply(KIND.configMap, configMap('owned', { a: 'ours' }), { dryRun: true });
    expect(dry.data).toEqual({ a: 'ours', b: 'theirs' });
    expect((await server.api.get(at('owned'))).data).toEqual({ a: 'theirs', b: 'theirs' });

    await cluster.apply(KIND.configMap, configMap('owned', { a: 'ours', c: 'ours' }));
    await cluster.apply(KIND.configMap, configMap('owned', { a: 'ours' }));
    expect((await server.api.get(at('owned'))).data).toEqual({ a: 'ours', b: 'theirs' });
    const managers = (await server.api.get(at('owned'))).metadata as { managedFields?: { manager: string }[] };
    expect(managers.managedFields?.map(({ manager }) => manager)).toContain('che-backup');
  });

  it('keeps fields that nobody knows, and times as they are written', async () => {
    await using cluster = await connect();
    const workspace: KubeObject = {
      apiVersion: 'workspace.devfile.io/v1alpha2',
      kind: 'DevWorkspace',
      metadata: { name: 'odd', namespace: NAMESPACE },
      spec: { 'nobody-knows': { this: [1, 2.5, null, { x: '2022-01-24T10:00:00Z' }] }, started: false },
    };
    await cluster.apply(KIND.devWorkspace, workspace);
    const ref = { kind: KIND.devWorkspace, namespace: NAMESPACE, name: 'odd' };
    expect((await cluster.get(ref))?.spec).toEqual(workspace.spec);
    const [listed] = await Array.fromAsync(cluster.list(KIND.devWorkspace, { namespace: NAMESPACE }));
    expect(listed).toEqual(await server.api.get(ref));
    expect(listed?.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT[\d:]+Z$/);

    const status = await cluster.merge(ref, { status: { phase: 'Stopped' } }, { subresource: 'status' });
    expect(status.status).toEqual({ phase: 'Stopped' });
    await cluster.merge(ref, { status: { phase: 'Running' } });
    expect((await cluster.get(ref))?.status).toEqual({ phase: 'Stopped' });
  });

  it('lists more than a page, by label, by field, in one namespace and in all', async () => {
    await using cluster = await connect();
    const names = Array.from({ length: 1250 }, (_, i) => `page-${i}`);
    const namespaces = ['pages-1', 'pages-2'];
    await server.api.createAll(
      namespaces.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
      names.map((name, i) => ({
        ...configMap(name, {}),
        metadata: { name, namespace: namespaces[i % 2]!, labels: { third: String(i % 3 === 0) } },
      })),
    );
    const list = async (options: object): Promise<string[]> =>
      (await Array.fromAsync(cluster.list(KIND.configMap, options)))
        .filter(({ metadata }) => metadata.name !== 'kube-root-ca.crt')
        .map(({ metadata }) => metadata.name)
        .toSorted();
    const expected = (keep: (i: number) => boolean): string[] => names.filter((_, i) => keep(i)).toSorted();

    const all = await list({});
    expect(all.filter((name) => name.startsWith('page-'))).toEqual(expected(() => true));
    expect(await list({ namespace: 'pages-1' })).toEqual(expected((i) => i % 2 === 0));
    expect(await list({ labelSelector: 'third=true' })).toEqual(expected((i) => i % 3 === 0));
    expect(await list({ fieldSelector: 'metadata.name=page-7' })).toEqual(['page-7']);
    expect(await list({ namespace: 'is-not-there' })).toEqual([]);
    expect(await Array.fromAsync(cluster.list({ ...KIND.devWorkspace, group: 'example.org' }))).toEqual([]);
    expect(await cluster.get({ kind: { ...KIND.route, group: 'x.org' }, namespace: 'x', name: 'y' })).toBeUndefined();
  });

  it('watches from a version on', async () => {
    await using cluster = await connect();
    const before = await cluster.apply(KIND.configMap, configMap('watched', { n: '0' }));
    const abort = new AbortController();
    const events: WatchEvent[] = [];
    const seen = Promise.withResolvers<void>();
    const watching = (async () => {
      const options = { namespace: NAMESPACE, fieldSelector: 'metadata.name=watched', signal: abort.signal };
      const { resourceVersion } = before.metadata;
      for await (const event of cluster.watch(KIND.configMap, { ...options, resourceVersion })) {
        if (event.type !== 'BOOKMARK') events.push(event);
        if (event.type === 'DELETED') seen.resolve();
      }
    })();
    await cluster.merge(at('watched'), { data: { n: '1' } });
    await cluster.remove(at('watched'));
    await seen.promise;
    abort.abort();
    await expect(watching).rejects.toMatchObject({ code: 'aborted' });
    expect(events.map(({ type, object }) => [type, object.kind, object.data?.['n']])).toEqual([
      ['MODIFIED', 'ConfigMap', '1'],
      ['DELETED', 'ConfigMap', '1'],
    ]);
  });

  it('is seen as another user', async () => {
    await using cluster = await connect();
    const someone = cluster.as({ name: 'someone', groups: ['people', 'system:masters'] });
    await someone.apply(KIND.configMap, configMap('of-someone', {}));
    await using nobody = await connectCluster({ kubeconfig: server.kubeconfig, as: { name: 'someone' } });
    await expect(nobody.get(at('of-someone'))).rejects.toMatchObject({ code: 'denied' });
    await expect(someone.as({ name: 'x' }).get(at('of-someone'))).rejects.toMatchObject({ code: 'denied' });
    expect(await cluster.get(at('of-someone'))).toBeDefined();
    expect(() => cluster.as({ name: 'x\ny' })).toThrow(/impersonated/);
  });

  it('refuses those who may not, and says so', async () => {
    await using nobody = await connect('nobody');
    const denied = nobody.get(at('x'));
    await expect(denied).rejects.toMatchObject({ code: 'denied', context: { reason: 'Forbidden' } });
    await expect(denied).rejects.toThrow(/User "nobody" cannot get resource "configmaps"/);
    await expect(Array.fromAsync(nobody.list(KIND.secret))).rejects.toMatchObject({ code: 'denied' });
    await expect(nobody.as({ name: 'admin' }).get(at('x'))).rejects.toMatchObject({ code: 'denied' });
    // Everybody may know what is served.
    expect(await nobody.serves(KIND.secret)).toBe(true);

    using dir = makeTempDir();
    const file = path.join(dir.path, 'config');
    await writeFile(file, readFileSync(server.kubeconfig, 'utf8').replaceAll('token-of-', 'wrong-token-of-'));
    await using stranger = await connectCluster({ kubeconfig: file });
    await expect(stranger.get(at('x'))).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('refuses what is not valid, and quotes no values', async () => {
    await using cluster = await connect();
    const secret = (name: string, namespace: string, more: object): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace },
      ...more,
    });
    const refusals: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['not-found', () => cluster.apply(KIND.secret, secret('a', 'is-not-there', {}))],
      ['bad-request', () => cluster.apply(KIND.secret, secret(`${SECRET_VALUE}!`, NAMESPACE, {}))],
      [
        'bad-request',
        () => cluster.apply(KIND.secret, secret('a', NAMESPACE, { data: { [`${SECRET_VALUE} !`]: '' } })),
      ],
      ['bad-request', () => cluster.apply(KIND.secret, secret('a', NAMESPACE, { data: { a: `§${SECRET_VALUE}` } }))],
      ['bad-request', () => cluster.apply(KIND.secret, secret('a', NAMESPACE, { data: { a: [SECRET_VALUE] } }))],
      ['bad-request', () => cluster.create(KIND.secret, secret('a', NAMESPACE, { data: { a: `§${SECRET_VALUE}` } }))],
      [
        'bad-request',
        () => cluster.create(KIND.secret, secret('a', NAMESPACE, { type: SECRET_VALUE, data: SECRET_VALUE })),
      ],
      [
        'bad-request',
        () =>
          cluster.create(KIND.deployment, {
            apiVersion: 'apps/v1',
            kind: 'Deployment',
            metadata: { name: 'a', namespace: NAMESPACE },
            spec: { replicas: -7, template: { spec: { restartPolicy: SECRET_VALUE } } },
          }),
      ],
    ];
    for (const [code, refusal] of refusals) {
      const error: unknown = await refusal().catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code });
      // What it was about is named by the caller; of the rest nothing is repeated.
      const said = JSON.stringify(error).replaceAll(`Secret ${NAMESPACE}/${SECRET_VALUE}!`, '');
      expect(said.replaceAll(/data\[[^\]]*\]/g, '')).not.toContain(SECRET_VALUE);
    }
  });

  it('runs commands in pods', async () => {
    const tls = { cert: fixture('server'), key: fixture('server') };
    const asked: string[] = [];
    await using kubelet = await startStandIn((_, response) => response.writeHead(404).end(), {
      tls,
      async upgrade(client, request) {
        asked.push(`${request.url} ${request.headers['sec-websocket-protocol']}`);
        client.accept('v4.channel.k8s.io');
        for (;;) {
          const received = await client.receive();
          if (received === undefined || received.subarray(1).toString() === '\\q') break;
          await client.send(1, received.subarray(1));
        }
        await client.send(2, 'done');
        await client.exit(7);
      },
    });
    const node = { kind: 'Node', apiVersion: 'v1', metadata: { name: 'node' } };
    const port = Number(new URL(kubelet.url).port);
    const status = {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      daemonEndpoints: { kubeletEndpoint: { Port: port } },
    };
    await server.api.call('POST', '/api/v1/nodes', node);
    await server.api.call('PATCH', '/api/v1/nodes/node/status', { status }, 'application/merge-patch+json');
    await server.api.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'postgres-0', namespace: NAMESPACE },
      spec: { nodeName: 'node', containers: [{ name: 'postgres', image: 'postgres' }] },
    });

    await using cluster = await connect();
    const stdin = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x'.repeat(100_000));
      yield Buffer.from('\\q');
    };
    const running = await cluster.exec({
      namespace: NAMESPACE,
      pod: 'postgres-0',
      command: ['cat', '-u', 'ü &'],
      stdin: stdin(),
    });
    const output = Buffer.concat(await Array.fromAsync(running.stdout)).toString();
    expect(output).toBe('x'.repeat(100_000));
    expect(await running.ended).toEqual({ exitCode: 7, stderr: 'done' });
    expect(asked[0]).toContain(`/exec/${NAMESPACE}/postgres-0/postgres?command=cat&command=-u&command=%C3%BC+%26`);
    const absent = cluster.exec({ namespace: NAMESPACE, pod: 'other', command: ['x'] });
    await expect(absent).rejects.toMatchObject({ code: 'not-found' });
    await using nobody = await connect('nobody');
    const denied = nobody.exec({ namespace: NAMESPACE, pod: 'postgres-0', command: ['x'] });
    await expect(denied).rejects.toMatchObject({ code: 'denied' });
  });

  it('says from which version on to watch, where objects have not changed for long', async () => {
    await using cluster = await connect();
    const old = await cluster.apply(KIND.configMap, configMap('quiet', { n: '0' }));
    await cluster.apply(KIND.configMap, configMap('later', {}));
    await server.restart();

    const next = async (resourceVersion: string | undefined): Promise<string | undefined> => {
      const options = { namespace: NAMESPACE, fieldSelector: 'metadata.name=quiet', resourceVersion };
      for await (const { type, object } of cluster.watch(KIND.configMap, options)) {
        if (type !== 'BOOKMARK') return `${type} ${object.data?.['n']}`;
      }
      return undefined;
    };
    await expect(next(old.metadata.resourceVersion)).rejects.toMatchObject({ code: 'conflict' });
    const versions: string[] = [];
    for await (const _ of cluster.list(KIND.configMap, { onVersion: (version) => versions.push(version) }));
    expect(versions).toHaveLength(1);
    await cluster.merge(at('quiet'), { data: { n: '1' } });
    expect(await next(versions[0])).toBe('MODIFIED 1');
  });
});
