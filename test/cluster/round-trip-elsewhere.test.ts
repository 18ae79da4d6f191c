import { rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, Installation, KubeObject, RestoreResult } from '@restic-engine/che-state';
import {
  backupState,
  databasesOf,
  findInstallation,
  hostOf,
  openState,
  planRestore,
  restoreState,
} from '@restic-engine/che-state';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithPeers } from '../peers/peers.ts';
import { showLogsOfFailures } from '../servers/logs.ts';
import { startRestServer } from '../servers/rest-server.ts';
import type { Server } from '../servers/server.ts';
import { resticAt, type Restic } from '../support/restic.ts';
import { KIND } from './crds/kinds.ts';
import { startApiServer, type ApiServer } from './support/api-server.ts';
import { withRepositoryAt } from './support/backup-server.ts';
import { canary, expectNoCanaryIn } from './support/canary.ts';
import { destroy, install, installationV1, installationV2 } from './support/installation.ts';
import { takePicture, type Picture } from './support/picture.ts';
import { startPlayers } from './support/players.ts';
import { withPods } from './support/pods.ts';
import { quoted, startPostgres, type Postgres } from './support/postgres.ts';

const NEEDED = ['kube-apiserver', 'etcd', 'kubectl', 'rest-server', 'restic', 'postgresql'] as const;
const ROLES = new URL('../../deploy/operator/rbac.yaml', import.meta.url).pathname;

await describeWithPeers(NEEDED, 'a backup', (peers) => {
  showLogsOfFailures();
  const running = new AsyncDisposableStack();
  let storage: Server;

  beforeAll(async () => {
    storage = running.use(await startRestServer(peers['rest-server']));
  });
  afterAll(() => running.disposeAsync());

  const resticOn = async (name: string, cwd?: string): Promise<Restic> => {
    const { location, env } = await storage.place(name);
    return resticAt(peers.restic, { repo: location, env, ...(cwd !== undefined && { cwd }) });
  };

  describe("of today's Che", () => {
    const installation = installationV2({ users: 2, devWorkspaces: 4 });
    let server: ApiServer;
    let snapshotId: string;

    beforeAll(async () => {
      server = running.use(await startApiServer());
      const players = startPlayers(server.api);
      await install(server.api, installation);
      await players[Symbol.asyncDispose]();
    }, 120_000);

    it('takes no more than the right to read', async () => {
      await server.kubectl(['apply', '-f', ROLES]);
      await server.kubectl([
        'create',
        'clusterrolebinding',
        'reads',
        '--clusterrole=che-backup-collect',
        '--user=reader',
      ]);
      await using reader = await server.connect('reader');
      const backup = await withRepositoryAt(await storage.place('today'), (repository) =>
        backupState(repository, { cluster: reader, reason: 'manual' }),
      );
      expect(backup).toMatchObject({ objects: installation.saved.length, missing: [] });
      ({ snapshotId } = backup);
      const ref = { kind: KIND.configMap, namespace: installation.namespace, name: 'git-certificates' };
      await expect(reader.remove(ref)).rejects.toMatchObject({ code: 'denied' });
    });

    it('is a repository like any other for restic', async () => {
      const restic = await resticOn('today');
      await restic.ok(['check', '--read-data']);
      const [snapshot] = await restic.json(['snapshots']);
      const where = await findInstallationOn(server);
      expect(snapshot?.[0]).toMatchObject({
        id: snapshotId,
        hostname: hostOf(where),
        tags: ['che', 'namespace:eclipse-che', 'version:7.90.0', 'reason:manual'],
      });
      const listed = (await restic.ok(['ls', snapshotId])).split('\n').filter((line) => line.endsWith('.yaml'));
      // And what the backup says of itself.
      expect(listed).toHaveLength(installation.saved.length + 1);
      expect(listed).toEqual(
        expect.arrayContaining([
          '/backup-info.yaml',
          '/che-cr.yaml',
          '/secrets/github-oauth.yaml',
          '/configmaps/company-certificates.yaml',
          '/objects/_cluster/core_Namespace/user1-che.yaml',
          '/objects/user2-che/workspace.devfile.io_DevWorkspace/workspace-1.yaml',
        ]),
      );
      const text = await restic.ok(['dump', snapshotId, '/secrets/github-oauth.yaml']);
      expect(text).toContain(Buffer.from(canary('eclipse-che/github-oauth/id')).toString('base64'));
    });

    it('comes back in another cluster, namespace and domain', { timeout: 120_000 }, async () => {
      await using other = await startApiServer();
      await using _players = startPlayers(other.api, { domain: 'apps.two.example' });
      const before = await takePicture(server.api, installation);
      await using cluster = await other.connect();
      const options = { cluster, namespace: 'che-two', domain: 'apps.two.example' };
      await withRepositoryAt(await storage.place('today'), async (repository) => {
        const state = await openState(repository, snapshotId);
        await expect(planRestore({ ...options, state })).rejects.toMatchObject({
          code: 'mismatch',
          context: { namespace: 'eclipse-che → che-two' },
        });
        const plan = await planRestore({ ...options, state, allow: ['namespace', 'cluster'] });
        const result = await restoreState({ cluster, repository, plan });
        expect(result).toMatchObject({ applied: installation.saved.length, differences: [] });
      });
      await expectNoCanaryIn(other.api);
      expect(await takePicture(other.api, movedTo('che-two', installation))).toEqual(moved(before));
    });

    async function findInstallationOn(at: ApiServer): Promise<Installation> {
      await using cluster = await at.connect();
      return await findInstallation(cluster);
    }
  });

  describe('of Che up to 7.42', () => {
    const installation = installationV1();
    const { namespace } = installation;
    const owner = canary(`${namespace}/che-postgres/user`);
    let server: ApiServer;
    let postgres: Postgres;
    let cluster: Cluster;

    beforeAll(async () => {
      const starting = startPostgres(peers.postgresql);
      server = running.use(await startApiServer({ crds: { platform: 'kubernetes', che: 'v1' } }));
      running.use(startPlayers(server.api, { cheVersion: '7.41.0' }));
      postgres = running.use(await starting);
      process.env['PATH'] = `${postgres.clients}${delimiter}${process.env['PATH'] ?? ''}`;
      await postgres.sql('postgres', `CREATE ROLE ${quoted(owner)} LOGIN`);
      await postgres.sql('postgres', 'CREATE ROLE keycloak LOGIN');
      cluster = withPods(running.use(await server.connect()), { env: postgres.insideEnv });
    }, 120_000);

    const databases = async (where: Installation) => {
      await startDatabasePod();
      return databasesOf(cluster, where, {});
    };

    /** As the operator of old would. */
    async function startDatabasePod(): Promise<void> {
      const metadata = { name: 'postgres', namespace, labels: { component: 'postgres' } };
      const spec = { containers: [{ name: 'postgres', image: 'none' }] };
      const there = await server.api.list(KIND.pod, namespace);
      if (there.length > 0) return;
      await server.api.create({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
      await server.api.merge(
        { kind: KIND.pod, namespace, name: 'postgres' },
        { status: { phase: 'Running' } },
        'status',
      );
    }

    const rows = (name: string): Promise<string> => postgres.sql(name, 'SELECT count(*), sum(id) FROM things');

    it('comes back with its databases', { timeout: 120_000 }, async () => {
      await install(server.api, installation);
      for (const [at, name] of ['dbche', 'keycloak'].entries()) {
        await postgres.sql('postgres', `CREATE DATABASE ${name}`);
        await postgres.sql(
          name,
          'CREATE TABLE things (id int)',
          `INSERT INTO things SELECT generate_series(1, ${at + 5})`,
        );
      }
      const before = await takePicture(server.api, installation);
      const contents = [await rows('dbche'), await rows('keycloak')];
      await withRepositoryAt(await storage.place('old'), async (repository) => {
        const found = await findInstallation(cluster);
        const backup = await backupState(repository, { cluster, reason: 'manual', databases: await databases(found) });
        expect(backup.objects).toBe(installation.saved.length);
        await destroy(server.api, installation);
        for (const name of ['dbche', 'keycloak']) await postgres.sql(name, 'DROP TABLE things');

        const plan = await planRestore({ cluster, state: await openState(repository, backup.snapshotId) });
        expect(plan.databases.map(({ name }) => name)).toEqual(['dbche', 'keycloak']);
        const result = await restoreState({ cluster, repository, plan, databases });
        expect(result).toMatchObject({ applied: installation.saved.length, differences: [] });
        expect(result.databases).toHaveLength(2);
      });
      await expectNoCanaryIn(server.api);
      expect(await takePicture(server.api, installation)).toEqual(before);
      expect([await rows('dbche'), await rows('keycloak')]).toEqual(contents);
      await destroy(server.api, installation);
    });

    it('comes back from a snapshot of the old operator', { timeout: 120_000 }, async () => {
      await install(server.api, installation);
      const before = await takePicture(server.api, installation);
      const live = await Promise.all(
        [KIND.cheClusterV1, KIND.secret, KIND.configMap].map((kind) => server.api.list(kind, namespace)),
      );
      const kept = new Set(installation.saved.map(({ metadata }) => metadata.name));
      const saved = live.flat().filter(({ metadata }) => kept.has(metadata.name));
      await using folder = await oldBackupFolder(saved, namespace);
      const restic = await resticOn('older', folder.path);
      await restic.ok(['init']);
      const { snapshot_id: snapshotId } = await restic.backup(['.', '--host', 'che-operator-5d8f7c9b6-x2k4p']);
      await destroy(server.api, installation);

      const result: RestoreResult = await withRepositoryAt(await storage.place('older'), async (repository) => {
        const state = await openState(repository, 'latest', { anyInstallation: true });
        expect(state.snapshot.id).toBe(snapshotId);
        expect(state.info).toMatchObject({ cheVersion: '7.41.0', namespace, clusterUid: undefined });
        const plan = await planRestore({ cluster, state });
        return restoreState({ cluster, repository, plan, databases });
      });
      expect(result).toMatchObject({ applied: installation.saved.length, differences: [] });
      expect(await takePicture(server.api, installation)).toEqual(before);
    });
  });
});

/** What is called after the namespace, and what is below the domain, is called otherwise there. */
function renamed(text: string): string {
  return text
    .replaceAll('/eclipse-che/', '/che-two/')
    .replaceAll('"namespace":"eclipse-che"', '"namespace":"che-two"')
    .replaceAll('eclipse-che-client', 'che-two-client')
    .replaceAll('apps.one.example', 'apps.two.example');
}

/**
 * How a picture of the first cluster looks in the second. OpenShift knows its domain itself, and where people may go back
 * to after they have logged in is written anew by Che's operator.
 */
function moved(picture: Picture): unknown {
  const text = renamed(JSON.stringify(picture))
    .replace('"domain":"apps.two.example",', '')
    .replace('"https://che.apps.two.example/oauth/callback"', '"https://che.apps.one.example/oauth/callback"');
  return JSON.parse(text);
}

function movedTo<T extends object>(namespace: string, installation: T): T {
  return { ...(JSON.parse(renamed(JSON.stringify(installation))) as T), namespace };
}

/** What the old operator put into its folder, whose name is in its snapshots, and how it wrote it. */
async function oldBackupFolder(
  live: readonly KubeObject[],
  namespace: string,
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = '/tmp/che-backup-data';
  // Two runs of this test on one machine take turns.
  while (
    !(await mkdir(path).then(
      () => true,
      () => false,
    ))
  )
    await sleep(100);
  for (const name of ['configmaps', 'secrets', 'db']) await mkdir(join(path, name));
  const folders: Readonly<Record<string, string>> = { ConfigMap: 'configmaps', Secret: 'secrets' };
  for (const { apiVersion, kind, metadata, ...rest } of live) {
    const {
      resourceVersion: _version,
      finalizers: _finalizers,
      managedFields: _fields,
      ...meta
    } = metadata as typeof metadata & { managedFields?: unknown };
    const folder = folders[kind];
    // YAML takes JSON. What was read without a cache came without its kind.
    const text = { metadata: meta, ...rest, ...(folder === undefined && { apiVersion, kind }) };
    const file = folder === undefined ? 'che-cr.yaml' : `${folder}/${metadata.name}.yaml`;
    await writeFile(join(path, file), JSON.stringify(text));
  }
  const info = [
    'appsDomain: apps.one.example',
    'cheVersion: 7.41.0',
    'creationDate: 2022-01-10 09:15:02.123456789 +0000 UTC m=+81.5',
    'infrastructure: Kubernetes',
    'metadataFileVersion: v1',
    `namespace: ${namespace}`,
  ];
  await writeFile(join(path, 'backup-info.yaml'), `${info.join('\n')}\n`);
  return { path, [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true, force: true }) };
}
