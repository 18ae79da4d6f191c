import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  backupState,
  collect,
  diffStates,
  findInstallation,
  hostOf,
  listStates,
  liveState,
  normalize,
  openState,
} from '@restic-engine/che-state';
import type { Cluster, CollectedObject, Installation, KubeObject, StateDatabase } from '@restic-engine/che-state';
import {
  EngineError,
  findSnapshot,
  initRepository,
  localBackend,
  memoryBackend,
  openRepository,
  readFile,
  walk,
} from 'restic-engine';
import type { Repository } from 'restic-engine';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeers } from '../peers/peers.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { KIND } from './crds/kinds.ts';
import { startApiServer } from './support/api-server.ts';
import type { ApiServer } from './support/api-server.ts';
import { expectNoCanary } from './support/canary.ts';
import { objectOf, secret } from './support/che-objects.ts';
import { install, installationV1, installationV2, until } from './support/installation.ts';
import { nameOf } from './support/picture.ts';
import { startPlayers } from './support/players.ts';

async function makeRepository(): Promise<Repository> {
  const backend = memoryBackend();
  await initRepository({ backend, password: 'x', kdf: { N: 16, r: 1, p: 1 } });
  return openRepository({ backend, password: 'x', workers: 0 });
}

const all = (cluster: Cluster, installation: Installation): Promise<CollectedObject[]> =>
  Array.fromAsync(collect(cluster, installation));

const names = (found: readonly { readonly object: KubeObject }[]): string[] =>
  found.map(({ object }) => nameOf(object)).toSorted();

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

const errorOf = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);

const READ = ['get', 'list'];
const KINDS_READ = [
  { apiGroups: [''], resources: ['namespaces', 'configmaps', 'persistentvolumeclaims'], verbs: READ },
  { apiGroups: [''], resources: ['resourcequotas', 'limitranges'], verbs: READ },
  { apiGroups: ['networking.k8s.io'], resources: ['networkpolicies'], verbs: READ },
  {
    apiGroups: ['rbac.authorization.k8s.io'],
    resources: ['roles', 'rolebindings', 'clusterroles'],
    verbs: READ,
  },
  { apiGroups: ['org.eclipse.che'], resources: ['checlusters'], verbs: READ },
  { apiGroups: ['workspace.devfile.io'], resources: ['*'], verbs: READ },
  { apiGroups: ['controller.devfile.io'], resources: ['devworkspaceoperatorconfigs'], verbs: READ },
  {
    apiGroups: ['oauth.openshift.io', 'security.openshift.io', 'template.openshift.io'],
    resources: ['*'],
    verbs: READ,
  },
];
const SECRETS_READ = { apiGroups: [''], resources: ['secrets'], verbs: READ };

await describeWithPeers(['kube-apiserver', 'etcd', 'kubectl'], "collecting today's Che", () => {
  const made = installationV2({ users: 3, devWorkspaces: 7 });
  const expected = made.saved.map(nameOf).toSorted();
  const running = new AsyncDisposableStack();
  let server: ApiServer;
  let cluster: Cluster;
  let installation: Installation;

  beforeAll(async () => {
    server = running.use(await startApiServer());
    running.use(startPlayers(server.api));
    await install(server.api, made);
    cluster = running.use(await server.connect());
    installation = await findInstallation(cluster);
  });
  afterAll(() => running.disposeAsync());

  /** Lets `reader` read, everywhere or in some namespaces. */
  const allow = async (name: string, rules: readonly object[], namespaces?: readonly string[]): Promise<void> => {
    const subjects = [{ kind: 'User', name: 'reader', apiGroup: 'rbac.authorization.k8s.io' }];
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name };
    await server.api.create(objectOf(KIND.clusterRole, name, {}, { rules }));
    if (namespaces === undefined) {
      await server.api.create(objectOf(KIND.clusterRoleBinding, name, {}, { roleRef, subjects }));
    }
    for (const namespace of namespaces ?? []) {
      const labels = { 'app.kubernetes.io/part-of': 'backup.che.eclipse.org' };
      await server.api.create(objectOf(KIND.roleBinding, name, { namespace, labels }, { roleRef, subjects }));
    }
  };

  it('finds the installation and what is known of it', () => {
    const { cheCluster, ...facts } = installation;
    expect(cheCluster.status).toMatchObject({ cheVersion: '7.90.0' });
    expect(facts).toEqual({
      generation: 'v2',
      namespace: made.namespace,
      flavor: 'che',
      cheVersion: '7.90.0',
      infrastructure: 'Openshift 4',
      appsDomain: 'apps.one.example',
      clusterUid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      kubernetesVersion: expect.stringMatching(/^v1\.\d+/),
    });
  });

  it('takes everything that belongs to a backup, once, and nothing else', async () => {
    const found = await all(cluster, installation);
    expect(names(found)).toEqual(expected);
    expect(new Set(found.map(({ path }) => path)).size).toBe(found.length);
    expect(found[0]?.path).toBe('che-cr.yaml');
  });

  it('takes it as somebody has made it', async () => {
    const live = await server.api.list(KIND.devWorkspace);
    for (const { object, yaml } of await all(cluster, installation)) {
      expect(
        Object.keys(object.metadata).filter((name) => !/^(name|namespace|labels|annotations)$/.test(name)),
      ).toEqual([]);
      expect(object.status).toBeUndefined();
      const original = made.saved.find((each) => nameOf(each) === nameOf(object));
      expect(object['data']).toEqual(original?.['data']);
      expect(yaml).toContain(`kind: ${object.kind}\n`);
      if (object.kind !== 'DevWorkspace') continue;
      const id = live.find((each) => nameOf(each) === nameOf(object))?.status?.['devworkspaceId'];
      expect(object.metadata.annotations?.['controller.devfile.io/devworkspace_id_override']).toBe(id);
      expect(object.spec?.['started']).toBe(false);
    }
  });

  it('is the same to the byte the next time, in the same order', async () => {
    const [first, second] = [await all(cluster, installation), await all(cluster, installation)];
    expect(second.map(({ path }) => path)).toEqual(first.map(({ path }) => path));
    expect(second.map(({ yaml }) => yaml)).toEqual(first.map(({ yaml }) => yaml));
  });

  it('is the same for whoever may only read, and in each namespace only', async () => {
    await using reader = await server.connect('reader');
    expect(await errorOf(all(reader, installation))).toMatchObject({ code: 'denied' });
    await allow('reads-kinds', KINDS_READ);
    // One right that is missing is no backup with less in it.
    const error = await errorOf(all(reader, installation));
    expect(error).toMatchObject({ code: 'denied' });
    expect(String(error)).toMatch(/list secrets in eclipse-che/);
    await allow('reads-secrets', [SECRETS_READ], [made.namespace, ...made.userNamespaces]);
    expect(names(await all(reader, installation))).toEqual(expected);
  });

  it('is the same when there are too many namespaces to ask one by one, for the reader, too', async () => {
    const more = Array.from({ length: 20 }, (_, at) => `more${at}-che`);
    const labels = {
      'app.kubernetes.io/part-of': 'che.eclipse.org',
      'app.kubernetes.io/component': 'workspaces-namespace',
    };
    await server.api.createAll(more.map((name) => objectOf(KIND.namespace, name, { labels })));
    // Looks like a user's, but is in a namespace that is nobody's.
    await server.api.create(objectOf(KIND.namespace, 'elsewhere', {}));
    const mounted = { 'controller.devfile.io/mount-to-devworkspace': 'true' };
    await server.api.create(secret('mounted', { namespace: 'elsewhere', labels: mounted }, ['token']));
    await server.api.create(objectOf(KIND.devWorkspace, 'w', { namespace: 'elsewhere' }, { spec: { started: false } }));

    const wide = [...expected, ...more.map((name) => `Namespace//${name}`)].toSorted(byText);
    expect(names(await all(cluster, installation))).toEqual(wide);
    await using reader = await server.connect('reader');
    expect(await errorOf(all(reader, installation))).toMatchObject({ code: 'denied' });
    await allow('reads-more-secrets', [SECRETS_READ], more);
    expect(names(await all(reader, installation))).toEqual(wide);
    for (const name of more) await server.api.remove({ kind: KIND.namespace, namespace: undefined, name });
  });

  it('takes the Secret that only a configuration of the DevWorkspace operator names', async () => {
    const namespace = 'devworkspace-controller';
    await server.api.create(objectOf(KIND.namespace, namespace, {}));
    await server.api.create(secret('registry-login', { namespace }, ['.dockerconfigjson']));
    const backupCronJob = { enable: true, registry: { path: 'quay.io/backups', authSecret: 'registry-login' } };
    const config = { workspace: { backupCronJob } };
    await server.api.create(objectOf(KIND.devWorkspaceConfig, 'global', { namespace }, { config }));
    const found = (await all(cluster, installation)).filter(({ ref }) => ref.namespace === namespace);
    expect(found.map(({ path }) => path)).toEqual([
      `objects/${namespace}/controller.devfile.io_DevWorkspaceOperatorConfig/global.yaml`,
      `objects/${namespace}/core_Secret/registry-login.yaml`,
    ]);
    await server.api.remove({ kind: KIND.devWorkspaceConfig, namespace, name: 'global' });
  });

  it('says what the CheCluster names and nobody has', async () => {
    const { cheCluster } = installation;
    const gitServices = { github: [{ secretName: 'nowhere' }] };
    const renamed: Installation = {
      ...installation,
      cheCluster: { ...cheCluster, spec: { ...cheCluster.spec, gitServices } },
    };
    const missing: string[] = [];
    const options = { onMissing: ({ name }: { readonly name: string }) => missing.push(name) };
    await Array.fromAsync(collect(cluster, renamed, options));
    expect(missing).toEqual(['nowhere']);
  });

  it('stops when it is told to, and asks nothing more when nobody listens', async () => {
    const stop = new AbortController();
    const found = collect(cluster, installation, { signal: stop.signal });
    await found.next();
    stop.abort();
    expect(await errorOf(Array.fromAsync(found))).toMatchObject({ code: 'aborted' });
    const left = collect(cluster, installation);
    await left.next();
    expect(await left.return(undefined)).toMatchObject({ done: true });
  });

  it('goes straight into a snapshot, and comes out of it as it was', async () => {
    await using repository = await makeRepository();
    const progress: number[] = [];
    const backup = await backupState(repository, {
      cluster,
      reason: 'manual',
      onProgress: ({ objectsDone }) => progress.push(objectsDone),
    });
    const collected = new Map((await all(cluster, installation)).map((each) => [each.path, each]));
    expect(backup).toMatchObject({ objects: collected.size, missing: [] });
    expect(progress.at(-1)).toBe(collected.size);

    const state = await openState(repository, 'latest', { host: hostOf(installation) });
    expect(state.snapshot.id).toBe(backup.snapshotId);
    expect(state.snapshot.tags).toEqual(['che', `namespace:${made.namespace}`, 'version:7.90.0', 'reason:manual']);
    expect(state.info).toEqual(backup.info);
    expect(state.info).toMatchObject({
      appsDomain: 'apps.one.example',
      databases: [],
      reason: 'manual',
      flavor: 'che',
    });
    expect(state.objects.map(({ path }) => path).toSorted()).toEqual([...collected.keys()].toSorted());
    for (const object of state.objects) {
      const { ref, object: original } = collected.get(object.path)!;
      expect(object.ref).toEqual(ref);
      expect(await state.read(object)).toEqual(original);
    }
  });

  it('stores only what has changed since, and says so', async () => {
    await using repository = await makeRepository();
    const first = await backupState(repository, { cluster, reason: 'manual' });
    const [namespace = ''] = made.userNamespaces;
    await server.api.merge({ kind: KIND.configMap, namespace, name: 'mounted' }, { data: { 'a.txt': 'another' } });
    await server.api.create(
      secret('git-new', { namespace, labels: { 'controller.devfile.io/git-credential': 'true' } }, ['credentials']),
    );
    const token = { data: { token: Buffer.from('new').toString('base64') } };
    await server.api.merge({ kind: KIND.secret, namespace, name: 'mounted' }, token);

    const live = await liveState(cluster, await findInstallation(cluster));
    const before = await openState(repository, first.snapshotId);
    const toLive = await Array.fromAsync(diffStates(before, live));
    const facts = toLive.map(({ path, change, fields }) => [path, change, fields.map((field) => field.path)]);
    expect(facts).toEqual([
      [`objects/${namespace}/core_ConfigMap/mounted.yaml`, 'changed', ['data["a.txt"]']],
      [`objects/${namespace}/core_Secret/git-new.yaml`, 'added', []],
      [`objects/${namespace}/core_Secret/mounted.yaml`, 'changed', ['data.token']],
    ]);
    expectNoCanary('a difference', JSON.stringify(toLive));

    const second = await backupState(repository, { cluster, reason: 'schedule' });
    // Three objects and backup-info.yaml.
    expect(second.summary).toMatchObject({
      filesNew: 1,
      filesChanged: 3,
      filesUnmodified: first.objects - 2,
      dataBlobs: 4,
    });
    const after = await openState(repository, second.snapshotId);
    expect(await Array.fromAsync(diffStates(before, after))).toEqual(toLive);
    expect(await Array.fromAsync(diffStates(after, live))).toEqual([]);
    expect((await listStates(repository)).map(({ reason }) => reason)).toEqual(['manual', 'schedule']);
  });

  it('is what the example does', async () => {
    using dir = makeTempDir();
    const args = ['--conditions=@restic-engine/source', join(import.meta.dirname, '../../examples/che-collector.ts')];
    const env = { PATH: process.env['PATH'], KUBECONFIG: server.kubeconfig, RESTIC_PASSWORD: 'x' };
    const runExample = () => promisify(execFile)(process.execPath, [...args, dir.path], { env });
    const collected = (await all(cluster, installation)).map(({ path, yaml }) => [path, yaml]);
    expect((await runExample()).stdout).toMatch(new RegExp(`^${collected.length} objects, [1-9]\\d* bytes new`));
    const second = await runExample();
    expect(second.stdout).toMatch(new RegExp(`^${collected.length} objects, 0 bytes new`));
    expect(second.stderr).toBe('');
    await using repository = await openRepository({ backend: localBackend(dir.path), password: 'x', workers: 0 });
    const { snapshot } = await findSnapshot(repository, 'latest');
    const indexed = await repository.loadIndex();
    const found: (readonly [string, string])[] = [];
    for await (const { path, node } of walk(indexed, snapshot.tree)) {
      if (node.type === 'file') found.push([path.slice(1), await new Response(readFile(indexed, node)).text()]);
    }
    expect(new Map(found)).toEqual(new Map(collected as [string, string][]));
  });
});

await describeWithPeers(['kube-apiserver', 'etcd', 'kubectl'], 'collecting older Che', () => {
  const made = installationV1();
  const running = new AsyncDisposableStack();
  let server: ApiServer;
  let cluster: Cluster;

  beforeAll(async () => {
    server = running.use(await startApiServer({ crds: { platform: 'kubernetes', che: 'v1' } }));
    running.use(startPlayers(server.api, { cheVersion: '7.41.0' }));
    await install(server.api, made);
    cluster = running.use(await server.connect());
  });
  afterAll(() => running.disposeAsync());

  const database = (name: string, dump: StateDatabase['dump'], by: StateDatabase['by'] = 'exec'): StateDatabase => ({
    name,
    by,
    dump,
    load: () => Promise.reject(new Error('nobody loads here')),
  });

  it('finds the installation, wherever it is, or in one namespace', async () => {
    const installation = await findInstallation(cluster);
    expect(installation).toMatchObject({
      generation: 'v1',
      namespace: made.namespace,
      flavor: 'codeready',
      cheVersion: '7.41.0',
      infrastructure: 'Kubernetes',
      appsDomain: 'apps.one.example',
    });
    expect(await findInstallation(cluster, { namespace: made.namespace })).toEqual(installation);
    expect(await errorOf(findInstallation(cluster, { namespace: 'default' }))).toMatchObject({ code: 'not-found' });
    await using nobody = await server.connect('nobody');
    expect(await errorOf(findInstallation(nobody))).toMatchObject({ code: 'denied' });
  });

  it('is refused when two installations may be meant', async () => {
    await server.api.create(objectOf(KIND.cheClusterV1, 'another', { namespace: 'default' }, { spec: {} }));
    expect(await errorOf(findInstallation(cluster))).toMatchObject({ code: 'ambiguous' });
    expect(await findInstallation(cluster, { namespace: 'default' })).toMatchObject({
      namespace: 'default',
      flavor: 'che',
    });
    await server.api.remove({ kind: KIND.cheClusterV1, namespace: 'default', name: 'another' });
    await until('it is gone', async () => (await server.api.list(KIND.cheClusterV1)).length === 1);
  });

  it('takes the CheCluster, what it names, and certificates', async () => {
    expect(names(await all(cluster, await findInstallation(cluster)))).toEqual(made.saved.map(nameOf).toSorted());
  });

  it('has dumps of databases beside them, and notes those that are skipped', async () => {
    await using repository = await makeRepository();
    const dump = async function* (): AsyncGenerator<Uint8Array> {
      for (const line of ['-- one\n', '-- two\n']) yield Buffer.from(line);
    };
    const skipped = database('external', () => expect.unreachable('a skipped database is dumped'), 'skipped');
    const { snapshotId } = await backupState(repository, {
      cluster,
      reason: 'before-update',
      databases: [database('dbche', dump), skipped],
    });
    const state = await openState(repository, snapshotId);
    expect(state.info.databases).toEqual([
      { name: 'dbche', by: 'exec' },
      { name: 'external', by: 'skipped' },
    ]);
    expect(state.databases.map(({ name, path }) => [name, path])).toEqual([['dbche', 'db/dbche.sql']]);
    const sql = await Array.fromAsync(state.readDatabase(state.databases[0]!));
    expect(Buffer.concat(sql).toString()).toBe('-- one\n-- two\n');
  });

  it('is no backup when a dump breaks off', async () => {
    await using repository = await makeRepository();
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('-- half\n');
      throw new EngineError('database', 'the dump broke off');
    };
    const failing = backupState(repository, { cluster, reason: 'manual', databases: [database('dbche', broken)] });
    expect(await errorOf(failing)).toMatchObject({ code: 'database' });
    expect(await listStates(repository)).toEqual([]);
  });

  it('gives what normalizing leaves as it is', async () => {
    for (const { object } of await all(cluster, await findInstallation(cluster)))
      expect(normalize(object)).toEqual(object);
  });
});
