/** Restores that die, wait for ever, meet each other, or have a damaged backup: nothing is lost, and somebody goes on. */
import type { KubeObject, ObjectRef } from '@restic-engine/che-state';
import { openRepository } from 'restic-engine';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { at, KIND } from './crds/kinds.ts';
import { installationV2, type TestInstallation, until } from './support/installation.ts';
import { mortal } from './support/mortal.ts';
import { takePicture } from './support/picture.ts';
import { PASSWORD, type Place, restoreAll, startPlace, withBackup } from './support/restoring.ts';

const CHE = 'eclipse-che';

const cheCluster = at(KIND.cheClusterV2, CHE, 'eclipse-che');
const progress = at(KIND.configMap, CHE, 'che-restore-progress');
const oauth = at(KIND.secret, CHE, 'github-oauth');
const git = at(KIND.secret, 'user1-che', 'git-credentials');
const workspace = at(KIND.devWorkspace, 'user1-che', 'workspace-1');

/** A few objects of each kind of place: what matters here is how often one can die. */
function tiny(): TestInstallation {
  const { saved, ...rest } = installationV2({ users: 1, devWorkspaces: 1 });
  const names = ['eclipse-che', 'github-oauth', 'self-signed-certificate', 'user1-che', 'git-credentials'];
  return {
    ...rest,
    saved: saved.filter(({ kind, metadata: { name } }) => names.includes(name) || kind.startsWith('DevWorkspace')),
    derived: [],
  };
}

await describeWithPeer('kube-apiserver', 'a restore that is disturbed', () => {
  let place: Place;
  beforeAll(async () => {
    place = await startPlace();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  const find = (ref: ObjectRef): Promise<KubeObject | undefined> => place.api.find(ref);

  it('is gone on with, wherever it dies', { timeout: 240_000 }, async () => {
    const { api, cluster } = place;
    const che = tiny();
    await withBackup(place, che, async (backup) => {
      const before = await takePicture(api, che);
      const safetySnapshots = async (): Promise<number> => {
        let count = 0;
        for await (const _ of backup.backend.list('snapshot')) count++;
        return count;
      };
      const damage = async (): Promise<void> => {
        await api.merge(oauth, { data: { id: 'eA==' }, metadata: { labels: { extra: 'yes' } } });
        await Promise.all([api.remove(git), api.remove(workspace)]);
        await until('the workspace is gone', async () => (await find(workspace)) === undefined);
      };
      const looked = [cheCluster, oauth, git, workspace, at(KIND.devWorkspaceTemplate, 'user1-che', 'editor-1')];
      // To die before a change leaves what dying after the one before it leaves.
      for (let last = 0; ; last++) {
        await damage();
        const snapshots = await safetySnapshots();
        const dying = mortal(cluster, last === 0 ? { at: 1, when: 'before' } : { at: last, when: 'after' });
        // The first changes are about making it safe; after that it is made safe already.
        const options = { recreate: true, safety: last < 5 };
        const first = await restoreAll(dying.cluster, backup, options).catch((error: unknown) => error);
        if (!(first instanceof Error)) {
          expect(last).toBeGreaterThan(20);
          expect(first).toMatchObject({ resumed: false, differences: [] });
          break;
        }
        expect(first).toMatchObject({ code: 'io' });
        const note = (await find(progress))?.data;
        const result = await restoreAll(cluster, backup, options);
        expect({ last, ...result }).toMatchObject({ last, differences: [], resumed: note !== undefined });
        expect(await find(progress)).toBeUndefined();
        for (const ref of looked) expect(await find(ref), `${ref.name} after ${last} changes`).toBeDefined();
        if (note?.['safetySnapshotId']) {
          expect(result.safetySnapshotId).toBe(note['safetySnapshotId']);
          expect(await safetySnapshots()).toBe(snapshots + 1);
        }
      }
      expect(await takePicture(api, che)).toEqual(before);
    });
  });

  it('is gone on with in those stages only that were asked for', async () => {
    const { api, cluster } = place;
    await withBackup(place, tiny(), async (backup) => {
      await api.remove(git);
      const dying = mortal(cluster, { at: 4, when: 'after' });
      await expect(restoreAll(dying.cluster, backup)).rejects.toMatchObject({ code: 'io' });
      expect(await find(progress)).toBeDefined();
      const stages = new Set<string>();
      const onProgress = ({ stage }: { readonly stage: string }): unknown => stages.add(stage);
      expect(await restoreAll(cluster, backup, { onProgress })).toMatchObject({ resumed: true, differences: [] });
      expect([...stages]).toEqual(expect.arrayContaining(['objects', 'verify']));
      for (const stage of ['request-deletion', 'cleanup', 'remove']) expect(stages).not.toContain(stage);
    });
  });

  it('touches nothing when anything of the backup cannot be read', async () => {
    const { cluster } = place;
    const che = installationV2({ users: 1, devWorkspaces: 1 });
    await withBackup(place, che, async ({ backend, snapshotId }) => {
      const packs = await Array.fromAsync(backend.list('data'));
      expect(packs.length).toBeGreaterThan(1);
      for (const { name } of packs) {
        const file = { type: 'data', name } as const;
        const whole = await backend.load(file);
        const bent = whole.slice();
        bent[20] = bent[20]! ^ 1;
        for (const damaged of [undefined, bent]) {
          await backend.remove(file);
          if (damaged !== undefined) await backend.save(file, [damaged]);
          await using repository = await openRepository({ backend, password: PASSWORD, workers: 0 });
          const watched = mortal(cluster);
          const restoring = restoreAll(watched.cluster, { repository, snapshotId }, { recreate: true, remove: true });
          const code = expect.toBeOneOf(['corrupt', 'not-found']);
          await expect(restoring).rejects.toMatchObject({ code });
          expect(watched.changes()).toBe(0);
        }
        await backend.remove(file);
        await backend.save(file, [whole]);
      }
    });
  });

  it('deletes the CheCluster first when that is wanted, and goes on when it cannot get rid of it', async () => {
    const { api, cluster } = place;
    const che = installationV2({ users: 1, devWorkspaces: 1 });
    await withBackup(place, che, async (backup) => {
      const { repository } = backup;
      const before = await takePicture(api, che);
      const { uid, finalizers = [] } = (await api.get(cheCluster)).metadata;
      await api.merge(cheCluster, { metadata: { finalizers: [...finalizers, 'test.example/never'] } });
      await expect(restoreAll(cluster, backup, { recreate: true, readyTimeoutMs: 300 })).rejects.toMatchObject({
        code: 'timeout',
        context: { kind: 'CheCluster', name: 'eclipse-che', state: 'finalizers: test.example/never' },
      });
      expect((await api.get(progress)).data).toMatchObject({ stage: 'cleanup', replacedUid: uid, holder: '' });
      expect((await api.get(cheCluster)).metadata.uid).toBe(uid);
      const going = restoreAll(cluster, backup, { recreate: true });
      // Nobody may forget or prune what is still to be read.
      await until('it goes on', async () => (await api.get(progress)).data?.['holder'] !== '');
      await expect(repository.lock({ exclusive: true })).rejects.toMatchObject({ code: 'locked' });
      await api.merge(cheCluster, { metadata: { uid, finalizers: null } });
      expect(await going).toMatchObject({ resumed: true, differences: [] });
      await (await repository.lock({ exclusive: true }))[Symbol.asyncDispose]();
      expect((await api.get(cheCluster)).metadata.uid).not.toBe(uid);
      expect(await takePicture(api, che)).toEqual(before);
    });
  });

  it('lets nobody else restore meanwhile', async () => {
    const { api, cluster } = place;
    const che = installationV2({ users: 1, devWorkspaces: 1 });
    await withBackup(place, che, async (backup) => {
      await api.remove(git);
      await api.merge(cheCluster, {
        spec: { networking: { hostname: 'x.example' } },
        metadata: { finalizers: ['test.example/never'] },
      });
      const stop = new AbortController();
      const first = restoreAll(cluster, backup, { recreate: true, signal: stop.signal, takeOverAfterMs: 2000 });
      const settled = first.then(
        () => undefined,
        (error: unknown) => error,
      );
      await until('the restore waits', async () => (await find(progress))?.data?.['stage'] === 'cleanup');
      await expect(restoreAll(cluster, backup, { recreate: true, takeOverAfterMs: 2000 })).rejects.toMatchObject({
        code: 'conflict',
        message: 'this restore is under way already, by another process',
      });
      stop.abort();
      expect(await settled).toMatchObject({ code: 'aborted' });
      await expect(restoreAll(cluster, backup)).rejects.toMatchObject({
        code: 'conflict',
        message: expect.stringContaining('che-restore-progress'),
        context: { namespace: CHE, snapshotId: backup.snapshotId, stage: 'cleanup' },
      });
      await api.merge(cheCluster, { metadata: { finalizers: null } });
      expect(await restoreAll(cluster, backup, { recreate: true })).toMatchObject({ resumed: true, differences: [] });
      expect(await find(progress)).toBeUndefined();
    });
  });

  it('notices that it was taken over', async () => {
    const { api, cluster } = place;
    const che = installationV2({ users: 1, devWorkspaces: 1 });
    await withBackup(place, che, async (backup) => {
      await api.merge(cheCluster, { metadata: { finalizers: ['test.example/never'] } });
      const first = restoreAll(cluster, backup, { recreate: true }).catch((error: unknown) => error);
      await until('the restore waits', async () => (await find(progress))?.data?.['stage'] === 'cleanup');
      const note = await api.get(progress);
      await api.merge(progress, { data: { ...note.data, holder: 'somebody else' } });
      expect(await first).toMatchObject({ code: 'conflict', message: 'another process has taken this restore over' });
      expect((await api.get(progress)).data).toMatchObject({ holder: 'somebody else' });
      await api.merge(cheCluster, { metadata: { finalizers: null } });
      expect(await restoreAll(cluster, backup, { recreate: true })).toMatchObject({ resumed: true, differences: [] });
    });
  });
});
