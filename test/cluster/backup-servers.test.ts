import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cluster, KubeObject } from '@restic-engine/che-state';
import {
  chooseConfiguration,
  ensureInternalServer,
  INTERNAL,
  serverFromConfiguration,
  serverFromUrl,
  storeConfiguration,
  withServerRepository,
} from '@restic-engine/che-state';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { learnHostKey } from '../../packages/che-state/src/server/host-key.ts';
import { describeWithPeers } from '../peers/peers.ts';
import { startDaemon } from '../servers/daemon.ts';
import type { Sshd } from '../servers/sshd.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { at, KIND } from './crds/kinds.ts';
import { canary, expectNoCanary } from './support/canary.ts';
import { until } from './support/installation.ts';
import { failure, startServersStage, type ServersStage } from './support/servers.ts';

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const PASSWORD = canary('repository of the servers');
const HOST_KEY = 'backup.che.eclipse.org/ssh-host-key';

/** Calls fail at once: nobody waits for what will not get better. */
const ONCE = { attempts: 1 };

await describeWithPeers(['kube-apiserver', 'etcd', 'kubectl', 'sshd'], 'backup servers', (peers) => {
  const running = new AsyncDisposableStack();
  let stage: ServersStage;
  let cluster: Cluster;
  let sshd: Sshd;

  beforeAll(async () => {
    stage = running.use(await startServersStage(peers.sshd));
    ({ cluster, sshd } = stage);
  });
  afterAll(() => running.disposeAsync());

  /** Makes or opens the repository, and tells its id. */
  async function repositoryId(namespace: string, name = 'it', create = true): Promise<string> {
    const backupServer = await serverFromConfiguration(cluster, name, { namespace });
    expectNoCanary('a location', backupServer.location);
    return withServerRepository(backupServer, { create, retry: ONCE }, async ({ config }) => config.id);
  }

  describe('of a configuration', () => {
    it('are opened with what Secrets hold, under any name where there is one key', async () => {
      const namespace = await stage.newNamespace();
      const place = await stage.ours.place(namespace);
      const url = new URL(place.location.slice('rest:'.length));
      const login = { username: url.username, password: decodeURIComponent(url.password) };
      await stage.secret(namespace, 'any', { 'some-key': `${PASSWORD}\n` });
      await stage.secret(namespace, 'login', login);
      const rest = {
        protocol: 'http',
        hostname: url.hostname,
        port: Number(url.port),
        repositoryPath: namespace,
        repositoryPasswordSecretRef: 'any',
        credentialsSecretRef: 'login',
      };
      await stage.configuration(namespace, { rest });
      expect(await failure(repositoryId(namespace, 'it', false))).toMatchObject({ code: 'no-repository' });
      const id = await repositoryId(namespace);
      expect(await repositoryId(namespace)).toBe(id);
      const same = serverFromUrl(place.location, { password: PASSWORD });
      expect(await withServerRepository(same, { create: false }, async ({ config }) => config.id)).toBe(id);

      await stage.secret(namespace, 'two', { a: PASSWORD, b: PASSWORD });
      await stage.secret(namespace, 'empty', { username: '', password: canary('x') });
      await stage.secret(namespace, 'wrong', { username: 'tester', password: canary('wrong') });
      await stage.secret(namespace, 'wrong-password', { 'repo-password': canary('wrong'), other: '' });
      const cases = [
        [{ repositoryPasswordSecretRef: 'two' }, 'bad-request', 'Secret two has no repo-password'],
        [{ repositoryPasswordSecretRef: 'none' }, 'not-found', 'Secret none is not in the namespace'],
        [{ repositoryPasswordSecretRef: 'wrong-password' }, 'wrong-password', ''],
        [{ credentialsSecretRef: 'any' }, 'bad-request', 'Secret any has no username'],
        [{ credentialsSecretRef: 'empty' }, 'bad-request', 'Secret empty has no username'],
        [{ credentialsSecretRef: 'wrong' }, 'unauthorized', ''],
        [{ caBundleConfigMapRef: 'none' }, 'not-found', 'ConfigMap none'],
        [{ port: 1 }, 'io', ''],
      ] as const;
      for (const [number, [changes, code, message]] of cases.entries()) {
        const name = `case-${number}`;
        await stage.configuration(namespace, { rest: { ...rest, ...changes } }, name);
        const error = await failure(repositoryId(namespace, name));
        expect(error, name).toMatchObject({ code, message: expect.stringContaining(message) });
      }
      expect(await failure(repositoryId(namespace, 'none'))).toMatchObject({ code: 'not-found' });
    });

    it('must be the ones whose SSH key was seen first, or is known', async () => {
      const namespace = await stage.newNamespace();
      const key = readFileSync(sshd.identity, 'utf8');
      await stage.secret(namespace, 'password', { 'repo-password': PASSWORD });
      await stage.secret(namespace, 'key', { any: key.trim() });
      const sftp = {
        username: sshd.user,
        hostname: '127.0.0.1',
        port: sshd.port,
        repositoryPath: sshd.folder(namespace),
        repositoryPasswordSecretRef: 'password',
        sshKeySecretRef: 'key',
      };
      const { apiVersion } = await stage.configuration(namespace, { sftp });
      expect(apiVersion).toBe('org.eclipse.che/v1');
      const reader = await stage.server.connect('reader');
      onTestFinished(() => reader[Symbol.asyncDispose]());
      await stage.grantReading(namespace);
      const seen = await serverFromConfiguration(reader, 'it', { namespace });
      const asReader = withServerRepository(seen, { create: true, retry: ONCE }, async () => undefined);
      expect(await failure(asReader)).toMatchObject({
        code: 'untrusted',
        message: expect.stringContaining('known_hosts'),
      });

      const id = await repositoryId(namespace);
      const ref = at(KIND.serverConfiguration, namespace, 'it');
      const line = (await stage.api.get(ref)).metadata.annotations?.[HOST_KEY];
      expect(line).toMatch(new RegExp(`^\\[127\\.0\\.0\\.1\\]:${sshd.port} ssh-ed25519 \\S+$`));
      expect(await repositoryId(namespace)).toBe(id);

      const known = readFileSync(sshd.knownHosts, 'utf8');
      await stage.secret(namespace, 'with-host', { 'ssh-privatekey': key, known_hosts: known });
      await stage.configuration(namespace, { sftp: { ...sftp, sshKeySecretRef: 'with-host' } }, 'with-host');
      const without = { 'ssh-privatekey': key, known_hosts: 'elsewhere ssh-ed25519 AAAA' };
      await stage.secret(namespace, 'with-another', without);
      await stage.configuration(namespace, { sftp: { ...sftp, sshKeySecretRef: 'with-another' } }, 'with-another');
      expect(await repositoryId(namespace, 'with-host')).toBe(id);
      const { metadata } = await stage.api.get(at(KIND.serverConfiguration, namespace, 'with-host'));
      expect(metadata.annotations ?? {}).not.toHaveProperty([HOST_KEY]);
      expect(await failure(repositoryId(namespace, 'with-another'))).toMatchObject({ code: 'untrusted' });

      sshd.changeHostKey();
      await sshd.restart();
      for (const name of ['it', 'with-host']) {
        expect(await failure(repositoryId(namespace, name))).toMatchObject({ code: 'untrusted' });
      }
      await stage.api.merge(ref, { metadata: { annotations: { [HOST_KEY]: null } } });
      expect(await repositoryId(namespace)).toBe(id);
      // What was learned of another address counts for nothing here.
      await stage.api.merge(ref, {
        metadata: { annotations: { [HOST_KEY]: line?.replace('127.0.0.1', '127.0.0.2') } },
      });
      expect(await repositoryId(namespace)).toBe(id);
      expect((await stage.api.get(ref)).metadata.annotations?.[HOST_KEY]).toMatch(/^\[127\.0\.0\.1\]/);
    });
  });

  it('have one SSH key, whoever looks at the same time', async () => {
    const namespace = await stage.newNamespace();
    await stage.configuration(namespace, { rest: { hostname: 'host', repositoryPasswordSecretRef: 'x' } });
    const ref = at(KIND.serverConfiguration, namespace, 'it');
    const lines = ['A', 'B', 'C'].map((key) => `host ssh-ed25519 ${key}`);
    const learned = await Promise.allSettled(lines.map((line) => learnHostKey(cluster, ref, line, {})));
    const [known, ...others] = lines.filter((_, number) => learned[number]?.status === 'fulfilled');
    expect(others).toEqual([]);
    expect((await stage.api.get(ref)).metadata.annotations).toEqual({ [HOST_KEY]: known });
    for (const line of lines.filter((one) => one !== known)) {
      expect(await failure(learnHostKey(cluster, ref, line, {}))).toMatchObject({ code: 'untrusted' });
    }
    await learnHostKey(cluster, ref, known ?? '', {});
  });

  it('are stored as flags say, one in the place of the other', async () => {
    const namespace = await stage.newNamespace();
    const sshKey = readFileSync(sshd.identity, 'utf8');
    const keys = { awsAccessKeyId: 'id', awsSecretAccessKey: canary('aws') };
    const urls = [
      ['rest:https://u:p%2F@host/a/b', {}, 'rest', 'rest:https://host/a/b/'],
      [
        'rest:http://[::1]',
        { username: 'u', serverPassword: canary('rest') },
        'rest',
        'rest:http://[::1]:80/'.replace(':80', ''),
      ],
      ['rest:host:8000', {}, 'rest', 'rest:https://host:8000/'],
      ['s3:/my.bucket/a', { ...keys, awsRegion: 'eu-west-1' }, 'awss3', 's3:https://s3.amazonaws.com/my.bucket/a'],
      [
        's3:http://host:9000/bucket',
        { ...keys, awsSessionToken: canary('token') },
        'awss3',
        's3:http://host:9000/bucket',
      ],
      ['sftp:user@host:rel/x', { sshKey }, 'sftp', 'sftp://user@host:22/rel/x'],
      ['sftp://user@host:2222//abs', { sshKey }, 'sftp', 'sftp://user@host:2222//abs'],
      ['rest:host', {}, 'rest', 'rest:https://host/'],
    ] as const;
    for (const [url, credentials, section, location] of urls) {
      const name = await storeConfiguration(cluster, {
        namespace,
        url,
        credentials: { password: PASSWORD, ...credentials },
      });
      expect(name).toBe('eclipse-che-backup-server-config');
      const object = await stage.api.get(at(KIND.serverConfiguration, namespace, name));
      expect(Object.keys(object.spec ?? {}), url).toEqual([section]);
      expectNoCanary('a configuration', JSON.stringify(object));
      const stored = await serverFromConfiguration(cluster, name, { namespace });
      expect(stored).toMatchObject({ location, password: PASSWORD });
    }
    const names = (await stage.api.list(KIND.secret, namespace)).map(({ metadata }) => metadata.name);
    expect(names.filter((name) => name.startsWith('chectl-'))).toEqual([
      'chectl-aws-credentials',
      'chectl-backup-repository-password',
      'chectl-backup-rest-server-credentials',
      'chectl-backup-sftp-server-key',
    ]);
    const before = await stage.api.list(KIND.secret, namespace);
    const wrong = { namespace, url: 's3:/bucket', credentials: { password: 'x', awsAccessKeyId: 'id' } };
    expect(await failure(storeConfiguration(cluster, wrong))).toMatchObject({ code: 'bad-request' });
    expect(await stage.api.list(KIND.secret, namespace)).toEqual(before);
  });

  it('are chosen among those of one namespace', async () => {
    const [namespace, other] = [await stage.newNamespace(), await stage.newNamespace()];
    const rest = { hostname: 'host', repositoryPasswordSecretRef: 'x' };
    await stage.configuration(other, { rest });
    const choose = (purpose: 'update' | 'restore-object' | 'backup-command' | 'restore-command') =>
      chooseConfiguration(cluster, { namespace, purpose });
    expect(await choose('update')).toBeUndefined();
    expect(await choose('backup-command')).toBeUndefined();
    for (const purpose of ['restore-object', 'restore-command'] as const) {
      expect(await failure(choose(purpose))).toMatchObject({ code: 'not-found' });
    }
    await stage.configuration(namespace, { rest }, 'b');
    for (const purpose of ['update', 'restore-object', 'backup-command', 'restore-command'] as const) {
      expect(await choose(purpose)).toBe('b');
    }
    await stage.configuration(namespace, { rest }, 'a');
    expect(await choose('update')).toBeUndefined();
    for (const purpose of ['restore-object', 'backup-command', 'restore-command'] as const) {
      expect(await failure(choose(purpose))).toMatchObject({
        code: 'ambiguous',
        message: expect.stringContaining('a, b'),
      });
    }
  });

  describe('inside of the cluster', () => {
    const image = 'registry.example/che-backup:1';
    const deployment = (namespace: string) => at(KIND.deployment, namespace, INTERNAL.deployment);

    /** What a Deployment's controller would say once its pod is ready. */
    async function play(namespace: string): Promise<void> {
      await until('the Deployment is there', () =>
        stage.api.get(deployment(namespace)).then(
          () => true,
          () => false,
        ),
      );
      const { metadata } = await stage.api.get(deployment(namespace));
      const counts = { replicas: 1, updatedReplicas: 1, availableReplicas: 1, readyReplicas: 1 };
      const status = { observedGeneration: metadata.generation, ...counts };
      await stage.api.merge(deployment(namespace), { status }, 'status');
    }

    const parts = async (namespace: string): Promise<KubeObject[]> => {
      const kinds = [KIND.secret, KIND.service, KIND.volumeClaim, KIND.serverConfiguration];
      return (await Promise.all(kinds.map((kind) => stage.api.list(kind, namespace)))).flat();
    };

    it('there is one that keeps its backups and its passwords, and lets nobody else in', async () => {
      const namespace = await stage.newNamespace();
      const making = Promise.all([
        ensureInternalServer(cluster, namespace, { image }),
        ensureInternalServer(cluster, namespace, { image }),
      ]);
      await play(namespace);
      expect(await making).toEqual([INTERNAL.configuration, INTERNAL.configuration]);
      const made = await parts(namespace);
      for (const { metadata } of [...made, await stage.api.get(deployment(namespace))]) {
        expect(metadata.labels, metadata.name).toMatchObject({
          'app.kubernetes.io/part-of': 'backup.che.eclipse.org',
          'app.kubernetes.io/component': 'che-backup-internal-rest-server',
        });
        expect(metadata.ownerReferences).toBeUndefined();
      }
      const object = await stage.api.get(deployment(namespace));
      const again = await ensureInternalServer(cluster, namespace, { image });
      expect(again).toBe(INTERNAL.configuration);
      expect(await parts(namespace)).toEqual(made);
      // Whoever knows Che by another name gets the same server, which goes on running.
      await ensureInternalServer(cluster, namespace, { image, flavor: 'codeready' });
      expect((await stage.api.get(deployment(namespace))).metadata.generation).toBe(object.metadata.generation);

      // The server as its pod would run it.
      const [container] = (object.spec as unknown as { template: { spec: { containers: Container[] } } }).template.spec
        .containers;
      expect(container?.command).toEqual(['restic-engine']);
      const dir = makeTempDir();
      onTestFinished(() => dir[Symbol.dispose]());
      const read = await stage.api.get(at(KIND.secret, namespace, INTERNAL.login));
      const users = join(dir.path, 'htpasswd');
      writeFileSync(users, Buffer.from(read.data?.['htpasswd'] ?? '', 'base64'));
      const places = new Map([
        ['/data', join(dir.path, 'data')],
        ['/etc/backup-users/htpasswd', users],
        [':8000', '127.0.0.1:0'],
      ]);
      const daemon = await startDaemon({
        command: process.execPath,
        args: [
          '--conditions=@restic-engine/source',
          MAIN,
          ...(container?.args ?? []).map((word) => places.get(word) ?? word),
        ],
        ready: /start server on 127\.0\.0\.1:(\d+)/,
      });
      onTestFinished(() => daemon.kill());
      // No pod has a name here.
      const ref = at(KIND.serverConfiguration, namespace, INTERNAL.configuration);
      const { rest } = (await stage.api.get(ref)).spec as { rest: { hostname: string; port: number } };
      expect(rest).toMatchObject({ hostname: `backup-rest-server-service.${namespace}.svc`, port: 8000 });
      await stage.api.merge(ref, { spec: { rest: { hostname: '127.0.0.1', port: daemon.port } } });
      await repositoryId(namespace, INTERNAL.configuration);
      await stage.api.merge(ref, { spec: { rest: { credentialsSecretRef: null } } });
      expect(await failure(repositoryId(namespace, INTERNAL.configuration))).toMatchObject({ code: 'unauthorized' });
    });

    it('what there was of an old one is taken over, but never another password', async () => {
      const namespace = await stage.newNamespace();
      await stage.secret(namespace, INTERNAL.password, { 'repo-password': PASSWORD });
      const ports = [{ name: 'old', port: 8000 }];
      const service = { namespace, name: INTERNAL.service };
      await stage.api.create({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: service,
        spec: { selector: { app: 'che', component: 'che-backup-internal-rest-server' }, ports },
      });
      await stage.configuration(
        namespace,
        { rest: { hostname: 'old', repositoryPasswordSecretRef: 'x' } },
        INTERNAL.configuration,
      );
      const making = ensureInternalServer(cluster, namespace, { image, storage: '1Gi', storageClass: 'fast' });
      await play(namespace);
      await making;
      const { spec } = await stage.api.get(at(KIND.service, namespace, INTERNAL.service));
      const pod = (await stage.api.get(deployment(namespace))).spec as unknown as {
        template: { metadata: KubeObject['metadata'] };
      };
      const selector = spec?.['selector'] as Record<string, string>;
      expect(selector).not.toHaveProperty('app');
      expect(pod.template.metadata.labels).toMatchObject(selector);
      expect((await stage.api.get(at(KIND.volumeClaim, namespace, INTERNAL.data))).spec).toMatchObject({
        storageClassName: 'fast',
        resources: { requests: { storage: '1Gi' } },
      });
      const found = await serverFromConfiguration(cluster, INTERNAL.configuration, { namespace });
      expect(found).toMatchObject({
        location: `rest:http://${INTERNAL.service}.${namespace}.svc:8000/che/`,
        password: PASSWORD,
      });

      await stage.api.merge(at(KIND.secret, namespace, INTERNAL.password), { data: { 'repo-password': null } });
      const before = await parts(namespace);
      expect(await failure(ensureInternalServer(cluster, namespace, { image }))).toMatchObject({ code: 'bad-request' });
      expect(await parts(namespace)).toEqual(before);
    });

    it('nobody waits for one forever', async () => {
      const namespace = await stage.newNamespace();
      const waiting = ensureInternalServer(cluster, namespace, { image, readyTimeoutMs: 300 });
      expect(await failure(waiting)).toMatchObject({
        code: 'timeout',
        message: expect.stringContaining(INTERNAL.deployment),
      });
      // A pod of an older version does not count.
      const making = ensureInternalServer(cluster, namespace, { image: `${image}-newer`, readyTimeoutMs: 300 });
      const status = { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1, readyReplicas: 1 };
      await stage.api.merge(deployment(namespace), { status }, 'status');
      expect(await failure(making)).toMatchObject({ code: 'timeout' });
      const stopping = new AbortController();
      const stopped = ensureInternalServer(cluster, namespace, { image: `${image}-newest`, signal: stopping.signal });
      stopping.abort();
      expect(await failure(stopped)).toMatchObject({ code: 'aborted' });
    });
  });
});

interface Container {
  readonly command: readonly string[];
  readonly args: readonly string[];
}
