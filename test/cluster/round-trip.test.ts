import type { BackupStateResult, Cluster, RestoreResult } from '@restic-engine/che-state';
import { backupState, openState, planRestore, restoreState } from '@restic-engine/che-state';
import type { Repository } from 'restic-engine';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeers } from '../peers/peers.ts';
import { startCeph } from '../servers/ceph.ts';
import { showLogsOfFailures } from '../servers/logs.ts';
import { startRestServer } from '../servers/rest-server.ts';
import type { Place, Server } from '../servers/server.ts';
import { startSshd } from '../servers/sshd.ts';
import { KIND } from './crds/kinds.ts';
import { startApiServer, type ApiServer } from './support/api-server.ts';
import { withRepositoryAt } from './support/backup-server.ts';
import { expectNoCanary, expectNoCanaryIn } from './support/canary.ts';
import { destroy, destroyNamespaces, install, installationV2, until } from './support/installation.ts';
import { takePicture, type Picture } from './support/picture.ts';
import { startPlayers } from './support/players.ts';

const NEEDED = ['kube-apiserver', 'etcd', 'kubectl', 'rest-server', 'ceph', 'sshd'] as const;
const OBJECTS = 2000;

await describeWithPeers(NEEDED, 'an installation with 200 workspaces in 4 namespaces and 2,000 objects', (peers) => {
  showLogsOfFailures();
  const installation = installationV2({ users: 4, devWorkspaces: 200, objects: OBJECTS });
  const { namespace, userNamespaces } = installation;
  const places = new Map<string, Place>();
  const running = new AsyncDisposableStack();
  let server: ApiServer;
  let cluster: Cluster;
  let before: Picture;

  beforeAll(async () => {
    const start = async (name: string, starting: Promise<Server>): Promise<void> => {
      places.set(name, await running.use(await starting).place('che'));
    };
    const servers = [
      start('REST', startRestServer(peers['rest-server'])),
      start('S3', startCeph(peers.ceph)),
      start('SFTP', startSshd(peers.sshd)),
    ];
    server = running.use(await startApiServer());
    running.use(startPlayers(server.api));
    await install(server.api, installation);
    before = await takePicture(server.api, installation);
    cluster = running.use(await server.connect());
    await Promise.all(servers);
  }, 300_000);
  afterAll(() => running.disposeAsync());

  const withRepository = <T>(name: string, use: (repository: Repository) => Promise<T>): Promise<T> =>
    withRepositoryAt(places.get(name) as Place, use);

  const backUp = (name: string): Promise<BackupStateResult> =>
    withRepository(name, (repository) => backupState(repository, { cluster, reason: 'manual' }));

  /** Restores a backup, which must end without differences and without having told a secret. */
  async function restore(name: string, snapshotId: string): Promise<RestoreResult> {
    const told: unknown[] = [];
    const result = await withRepository(name, async (repository) => {
      const plan = await planRestore({ cluster, state: await openState(repository, snapshotId) });
      told.push(plan);
      return restoreState({ cluster, repository, plan, onProgress: (progress) => void told.push(progress) });
    });
    expectNoCanary('a plan, a progress or a result', JSON.stringify([told, result]));
    await expectNoCanaryIn(server.api);
    expect(result).toMatchObject({ snapshotId, removed: 0, differences: [] });
    // The DevWorkspace operator answers a little after the restore.
    await until('workspaces have their ids', async () => {
      const all = await server.api.list(KIND.devWorkspace);
      return all.every(({ status }) => status?.['devworkspaceId'] !== undefined);
    });
    return result;
  }

  it('comes back from a REST server after everything was destroyed', { timeout: 300_000 }, async () => {
    const backup = await backUp('REST');
    expect(backup).toMatchObject({ objects: OBJECTS, missing: [] });
    expect(Object.keys(before)).toHaveLength(OBJECTS);

    await destroy(server.api, installation);
    expect(await takePicture(server.api, installation)).toEqual({});

    const result = await restore('REST', backup.snapshotId);
    expect(result).toMatchObject({ applied: OBJECTS, safetySnapshotId: undefined });
    expect(await takePicture(server.api, installation)).toEqual(before);
  });

  it.each([
    ['S3', 'Che and a user', (): string[] => [namespace, userNamespaces[0] ?? '']],
    ['SFTP', 'another user', (): string[] => [userNamespaces[1] ?? '']],
  ] as const)('comes back from %s after %s were destroyed', { timeout: 300_000 }, async (name, _what, lost) => {
    const { snapshotId, objects } = await backUp(name);
    expect(objects).toBe(OBJECTS);
    const namespaces = lost();
    await destroyNamespaces(server.api, namespaces);
    const { applied } = await restore(name, snapshotId);
    const isLost = ({ metadata }: (typeof installation.saved)[number]): boolean =>
      namespaces.includes(metadata.namespace ?? metadata.name);
    expect(applied).toBe(installation.saved.filter(isLost).length);
    expect(await takePicture(server.api, installation)).toEqual(before);
  });

  it.each(['REST', 'S3', 'SFTP'])('stores nothing but a change in the next backup (%s)', async (name) => {
    const ref = { kind: KIND.configMap, namespace: userNamespaces[2], name: 'mounted' };
    await backUp(name);
    await server.api.merge(ref, { data: { 'a.txt': `changed for ${name}` } });
    const { summary, objects } = await backUp(name);
    expect(objects).toBe(OBJECTS);
    // The object and what the backup says of itself; the folders down to the object.
    expect(summary).toMatchObject({ filesNew: 0, filesChanged: 2, filesUnmodified: OBJECTS - 1, dataBlobs: 2 });
    expect(summary.treeBlobs).toBeLessThanOrEqual(5);
    const whole = summary.totalBytesProcessed;
    expect(summary.dataAddedPacked).toBeLessThan(whole / 20);
  });
});
