/** Installations that are backed up, damaged or destroyed, and restored; judged by looking at all objects. */
import {
  type Cluster,
  type KubeObject,
  type Mismatch,
  type ObjectRef,
  openState,
  planRestore,
  type PlanRestoreOptions,
  type SavedObject,
} from '@restic-engine/che-state';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { at, KIND } from './crds/kinds.ts';
import { destroy, installationV2, until } from './support/installation.ts';
import { takePicture } from './support/picture.ts';
import { type BackedUp, type Place, restoreAll, startPlace, withBackup } from './support/restoring.ts';

const CHE = 'eclipse-che';
const SMALL = { users: 2, devWorkspaces: 3 } as const;

const cheCluster = at(KIND.cheClusterV2, CHE, 'eclipse-che');
const oauth = at(KIND.secret, CHE, 'github-oauth');
const git = at(KIND.secret, 'user1-che', 'git-credentials');
const workspace = at(KIND.devWorkspace, 'user1-che', 'workspace-1');
const editor = at(KIND.devWorkspaceTemplate, 'user1-che', 'editor-1');

await describeWithPeer('kube-apiserver', 'restoring an installation', () => {
  let place: Place;
  beforeAll(async () => {
    place = await startPlace();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  const find = (ref: ObjectRef): Promise<KubeObject | undefined> => place.api.find(ref);

  it('brings back what was destroyed', async () => {
    const { api, cluster } = place;
    const che = installationV2(SMALL);
    await withBackup(place, che, async (backup) => {
      const before = await takePicture(api, che);
      await destroy(api, che);
      const stages: string[] = [];
      let met = 0;
      const hurried: Cluster = {
        ...cluster,
        async merge(ref, patch, options) {
          // Somebody else changes the first one that is linked, in between.
          if (Object.hasOwn(Object(patch['metadata']), 'ownerReferences') && met++ === 0) {
            for (const label of ['x', null]) await api.merge(ref, { metadata: { labels: { meanwhile: label } } });
          }
          return cluster.merge(ref, patch, options);
        },
      };
      const result = await restoreAll(hurried, backup, {
        onProgress: ({ stage }) => stages.push(stage),
      });
      expect(result).toMatchObject({ applied: che.saved.length, differences: [], resumed: false });
      // There was nothing to be saved.
      expect(result.safetySnapshotId).toBeUndefined();
      expect(met).toBeGreaterThan(1);
      expect([...new Set(stages)].join(' ')).toBe('safety objects cr wait-clean namespaces workspaces links verify');
      expect(await takePicture(api, che)).toEqual(before);
      expect((await api.get(editor)).metadata.ownerReferences).toMatchObject([
        { kind: 'DevWorkspace', name: 'workspace-1', uid: (await api.get(workspace)).metadata.uid },
      ]);
      expect((await api.get(workspace)).spec?.['started']).toBe(false);
      expect(await find(at(KIND.configMap, CHE, 'che-restore-progress'))).toBeUndefined();
      expect(await restoreAll(cluster, backup)).toMatchObject({ applied: 0, differences: [] });
    });
  });

  it('repairs what was changed and keeps what came later, after backing that up', async () => {
    const { api, cluster } = place;
    const che = installationV2(SMALL);
    await withBackup(place, che, async (backup) => {
      const before = await takePicture(api, che);
      await api.merge(oauth, { data: { id: null, extra: 'eA==' }, metadata: { labels: { extra: 'yes' } } });
      await api.merge(cheCluster, { spec: { networking: { hostname: 'other.example' } } });
      await api.remove(git);
      await api.remove(workspace);
      const list = [
        { name: 'one', container: { image: 'a' } },
        { name: 'two', container: { image: 'b' } },
      ];
      const changed = at(KIND.devWorkspace, 'user2-che', 'workspace-1');
      await api.merge(changed, { spec: { template: { components: list, projects: null } } });
      await until('the workspace is gone', async () => (await find(workspace)) === undefined);
      const later = { apiVersion: 'v1', kind: 'Secret', metadata: { ...pick(git), name: 'later' }, data: {} };
      const labels = { 'controller.devfile.io/git-credential': 'true' };
      await api.create({ ...later, metadata: { ...later.metadata, labels } });

      const state = await openState(backup.repository, backup.snapshotId);
      const plan = await planRestore({ cluster, state });
      expect(actions(plan.objects, 'replace')).toEqual([
        'CheCluster/eclipse-che',
        'DevWorkspace/workspace-1',
        'Secret/github-oauth',
      ]);
      expect(actions(plan.objects, 'keep')).toEqual(['Secret/later']);

      const result = await restoreAll(cluster, backup);
      expect(result.differences).toEqual([]);
      expect(await takePicture(api, che)).toEqual(before);
      expect((await api.get(oauth)).metadata.labels).not.toHaveProperty('extra');
      expect(await find(at(KIND.secret, 'user1-che', 'later'))).toBeDefined();

      const safe = await openState(backup.repository, result.safetySnapshotId ?? '');
      expect(safe.info.reason).toBe('before-restore');
      const secret = safe.objects.find(({ path }) => path === 'secrets/github-oauth.yaml');
      expect((await safe.read(secret!)).data).toHaveProperty('extra', 'eA==');
      expect(safe.objects.some(({ ref }) => ref.name === 'workspace-1' && ref.namespace === 'user1-che')).toBe(false);
    });
  });

  it('removes what came later when that is wanted, but no volumes, namespaces and other people', async () => {
    const { api, cluster } = place;
    const che = installationV2(SMALL);
    const other = 'user9-che';
    const role = at(KIND.clusterRole, undefined, 'of-others-too');
    const naming = { spec: { devEnvironments: { user: { clusterRoles: ['roles-of-users', role.name] } } } };
    const use = async (backup: BackedUp): Promise<void> => {
      const before = await takePicture(api, che);
      const labels = { 'controller.devfile.io/git-credential': 'true' };
      const secret = (namespace: string, more = {}): KubeObject => ({
        apiVersion: 'v1',
        kind: 'Secret',
        data: {},
        metadata: { name: 'later', namespace, labels: { ...labels, ...more } },
      });
      const scm = { 'app.kubernetes.io/component': 'oauth-scm-configuration' };
      const user = che.saved.find(({ kind }) => kind === 'Namespace')!;
      await api.create({ ...user, metadata: { ...user.metadata, name: other } });
      await api.create(secret('user1-che'));
      await api.create(secret(other));
      await api.create(secret(CHE, { ...scm, 'app.kubernetes.io/part-of': 'che.eclipse.org' }));
      await api.create({ ...secret(CHE), metadata: { name: 'not-of-che', namespace: CHE } });
      const claim = che.saved.find(
        ({ kind, metadata }) => kind === 'PersistentVolumeClaim' && metadata.namespace !== CHE,
      )!;
      const mount = { 'controller.devfile.io/mount-to-devworkspace': 'true' };
      await api.create({ ...claim, metadata: { name: 'later', namespace: 'user1-che', labels: mount } });
      const sample = await api.get(workspace);
      const { annotations, labels: own } = sample.metadata;
      await api.create({
        ...sample,
        metadata: {
          name: 'later',
          namespace: 'user1-che',
          ...(annotations && { annotations }),
          ...(own && { labels: own }),
        },
      });
      const users = che.saved.find(({ metadata }) => metadata.name === 'roles-of-users')!;
      await api.create({ ...users, metadata: { name: role.name } });
      // What came later is known also while Che itself is not there.
      await api.remove(cheCluster);
      await until('the CheCluster is gone', async () => (await find(cheCluster)) === undefined);
      try {
        const result = await restoreAll(cluster, backup, { remove: true });
        expect(result).toMatchObject({ removed: 3, differences: [] });
        await until('the workspace is gone', async () => !(await find(at(KIND.devWorkspace, 'user1-che', 'later'))));
        expect(await find(at(KIND.secret, 'user1-che', 'later'))).toBeUndefined();
        expect(await find(at(KIND.secret, CHE, 'later'))).toBeUndefined();
        expect(await find(at(KIND.secret, CHE, 'not-of-che'))).toBeDefined();
        expect(await find(at(KIND.secret, other, 'later'))).toBeDefined();
        expect(await find(at(KIND.volumeClaim, 'user1-che', 'later'))).toBeDefined();
        expect(await find(role)).toBeDefined();
        const safe = await openState(backup.repository, result.safetySnapshotId ?? '');
        const saved = safe.objects.map(({ path }) => path);
        expect(saved).toContain('secrets/later.yaml');
        expect(saved).toContain('objects/user1-che/workspace.devfile.io_DevWorkspace/later.yaml');
        await api.remove(role);
        expect(await takePicture(api, che)).toEqual(before);
      } finally {
        await api.remove(at(KIND.namespace, undefined, other));
        await until('the namespace is gone', async () => !(await find(at(KIND.namespace, undefined, other))));
      }
    };
    await withBackup(place, che, use, () => api.merge(cheCluster, naming));
  });

  it('refuses what does not fit, unless that is allowed', async () => {
    const { cluster } = place;
    const che = installationV2(SMALL);
    await withBackup(place, che, async (backup) => {
      const state = await openState(backup.repository, backup.snapshotId);
      const { info } = state;
      const plan = (changes: Partial<typeof info>, options: Partial<PlanRestoreOptions> = {}) =>
        planRestore({ cluster, state: { ...state, info: { ...info, ...changes } }, ...options });
      const refused = async (what: Mismatch, changes: Partial<typeof info>, backup: string, target: string) => {
        await expect(plan(changes)).rejects.toMatchObject({
          code: 'mismatch',
          context: { [what]: `${backup} → ${target}` },
        });
        const allowed = await plan(changes, { allow: [what] });
        expect(allowed.mismatches).toEqual([{ what, backup, target }]);
      };
      await refused('version', { cheVersion: '7.80.0' }, '7.80.0', '7.90.0');
      await refused('infrastructure', { infrastructure: 'Kubernetes' }, 'Kubernetes', 'Openshift 4');
      await refused('domain', { appsDomain: 'old.example' }, 'old.example', 'apps.one.example');
      await refused('cluster', { clusterUid: 'another' }, 'another', String(info.clusterUid));
      await refused('namespace', { namespace: 'old-che' }, 'old-che', CHE);
      await expect(plan({ cheVersion: '7.80.0', clusterUid: 'another' }, { allow: ['cluster'] })).rejects.toMatchObject(
        {
          message: 'the backup is of another version than the target',
        },
      );
      expect((await plan({ appsDomain: 'old.example' }, { domain: 'apps.one.example' })).mismatches).toHaveLength(1);
      // An old backup says nothing of its cluster.
      expect((await plan({ clusterUid: undefined })).mismatches).toEqual([]);

      await expect(planRestore({ cluster, state, namespace: 'elsewhere', allow: ['namespace'] })).rejects.toMatchObject(
        {
          code: 'already-exists',
          context: { namespace: CHE },
        },
      );
      const kinds = state.objects.map((saved) =>
        saved.ref.kind.kind === 'Route' || saved.ref.kind.kind === 'LimitRange'
          ? { ...saved, ref: { ...saved.ref, kind: { ...saved.ref.kind, version: 'v9' } } }
          : saved,
      );
      const original = new Map(state.objects.map((saved) => [saved.path, saved]));
      const strange = { ...state, objects: kinds, read: (saved: SavedObject) => state.read(original.get(saved.path)!) };
      await expect(planRestore({ cluster, state: strange })).rejects.toMatchObject({
        code: 'mismatch',
        context: { infrastructure: 'LimitRange' },
      });
      const skipping = await planRestore({ cluster, state: strange, allow: ['infrastructure'] });
      expect(actions(skipping.objects, 'skip')).toEqual(['LimitRange/limits', 'LimitRange/limits']);
      const renamed = state.objects.map((saved) =>
        saved.ref.kind.kind === 'CheCluster' ? { ...saved, ref: { ...saved.ref, name: 'other' } } : saved,
      );
      await expect(planRestore({ cluster, state: { ...strange, objects: renamed } })).rejects.toMatchObject({
        code: 'bad-request',
        context: { backup: 'other', target: 'eclipse-che' },
      });
    });
  });

  it('restores only what is chosen', async () => {
    const { api, cluster } = place;
    const che = installationV2(SMALL);
    await withBackup(place, che, async (backup) => {
      const before = await takePicture(api, che);
      const state = await openState(backup.repository, backup.snapshotId);
      const chosen = async (...only: readonly string[]): Promise<number> =>
        (await planRestore({ cluster, state, only })).objects.length;
      const kinds = (...names: readonly string[]) => che.saved.filter(({ kind }) => names.includes(kind)).length;
      const inUser1 = che.saved.filter(({ metadata: { namespace, name } }) => (namespace ?? name) === 'user1-che');
      expect(await chosen('CheCluster')).toBe(1);
      expect(await chosen('configmaps')).toBe(kinds('ConfigMap'));
      expect(await chosen('SECRET', 'Role')).toBe(kinds('Secret', 'Role'));
      expect(await chosen('Secret/user1-che/git-credentials')).toBe(1);
      expect(await chosen('Secret/git-credentials')).toBe(2);
      expect(await chosen('DevWorkspace/*/workspace-2')).toBe(1);
      expect(await chosen('DevWorkspace/user1-*/workspace-*')).toBe(2);
      expect(await chosen('namespace:user1-che')).toBe(inUser1.length);
      expect(await chosen('namespace:user1-che', 'Secret/user1-che/pull')).toBe(inUser1.length);
      const wrong = [
        'databases',
        'database:dbche',
        'Secret/nope',
        'frobnicates',
        'a/b/c/d',
        '',
        'Secret/',
        'namespace:',
        'x y',
      ];
      for (const selector of wrong) {
        await expect(chosen('CheCluster', selector)).rejects.toMatchObject({
          code: 'bad-request',
          context: { selector },
        });
      }

      await destroy(api, che);
      // Neither is Che there, nor is it waited for; the namespace comes along.
      expect(await restoreAll(cluster, backup, { only: ['Secret/user1-che/git-credentials'] })).toMatchObject({
        applied: 2,
        differences: [],
      });
      const after = await takePicture(api, che);
      expect(Object.entries(after)).toEqual(Object.entries(before).filter(([name]) => name in after));
      expect(Object.keys(after)).toEqual(['Namespace//user1-che', 'Secret/user1-che/git-credentials']);
      expect(await find(cheCluster)).toBeUndefined();
    });
  });

  it('tells what the API refuses to change, and does the rest', async () => {
    const { api, cluster } = place;
    const che = installationV2({ users: 1, devWorkspaces: 1 });
    await withBackup(place, che, async (backup) => {
      const before = await takePicture(api, che);
      const claim = at(KIND.volumeClaim, 'user1-che', 'claim-devworkspace');
      const again = async (ref: ObjectRef, change: (old: KubeObject) => object): Promise<void> => {
        const { metadata, ...rest } = await api.get(ref);
        const { labels = {}, annotations = {} } = metadata;
        const bare = { name: ref.name, namespace: metadata.namespace ?? '', labels, annotations };
        await api.remove(ref);
        await api.merge(ref, { metadata: { finalizers: null } }).catch(() => undefined);
        await until('it is gone', async () => (await find(ref)) === undefined);
        await api.create({ ...rest, metadata: bare, ...change({ ...rest, metadata }) } as KubeObject);
      };
      await again(claim, ({ spec }) => ({
        spec: { ...spec, resources: { requests: { storage: '77Gi' } } },
        status: {},
      }));
      await again(oauth, () => ({ type: 'example.org/other' }));
      await api.remove(git);
      const result = await restoreAll(cluster, backup);
      expect(result.applied).toBe(1);
      expect(result.differences).toEqual([
        {
          ref: expect.objectContaining({ name: 'github-oauth' }),
          problem: 'different',
          fields: ['type'],
          reason: expect.stringContaining('422'),
        },
        {
          ref: expect.objectContaining({ name: 'claim-devworkspace' }),
          problem: 'different',
          fields: ['spec.resources.requests.storage'],
          reason: expect.stringContaining('422'),
        },
      ]);
      const after = await takePicture(api, che);
      const refused = ['Secret/eclipse-che/github-oauth', 'PersistentVolumeClaim/user1-che/claim-devworkspace'];
      for (const [name, object] of Object.entries(before)) {
        if (!refused.includes(name)) expect(after[name]).toEqual(object);
      }
    });
  });

  it('creates workspaces as their users, where those may', async () => {
    const { api, cluster } = place;
    const che = installationV2({ users: 2, devWorkspaces: 2 });
    const restricted = { metadata: { annotations: { 'controller.devfile.io/restricted-access': 'true' } } };
    const other = at(KIND.devWorkspace, 'user2-che', 'workspace-1');
    const prepare = () => Promise.all([api.merge(workspace, restricted), api.merge(other, restricted)]);
    const use = async (backup: BackedUp): Promise<void> => {
      await api.createAll([
        {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'RoleBinding',
          metadata: { name: 'own', namespace: 'user1-che' },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
          subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'user1' }],
        },
      ]);
      await api.remove(workspace);
      await api.remove(other);
      await until('they are gone', async () => !(await find(workspace)) && !(await find(other)));
      const users: string[] = [];
      const watched: Cluster = {
        ...cluster,
        as: (user) => {
          users.push(`${user.name} ${user.uid}`);
          return cluster.as(user);
        },
      };
      await using nobody = await place.server.connect('nobody');
      const powerless: Cluster = { ...cluster, as: (user) => nobody.as(user) };
      const missing = { problem: 'missing', reason: expect.stringContaining('cannot impersonate') };
      const { differences } = await restoreAll(powerless, backup, { impersonate: true });
      expect(differences.filter(({ ref }) => ref.kind.kind === 'DevWorkspace')).toMatchObject([missing, missing]);
      const result = await restoreAll(watched, backup, { impersonate: true });
      expect(users.toSorted()).toEqual(['user1 uid-of-user1-che', 'user2 uid-of-user2-che']);
      expect(result.differences).toEqual([
        expect.objectContaining({ ref: expect.objectContaining({ namespace: 'user2-che' }), fields: [] }),
      ]);
    };
    await withBackup(place, che, use, prepare);
  });
});

const pick = ({ namespace }: ObjectRef) => ({ namespace: namespace ?? '' });

function actions(
  objects: readonly { readonly ref: ObjectRef; readonly action: string }[],
  action: string,
): readonly string[] {
  const found = objects.filter((one) => one.action === action);
  return found.map(({ ref }) => `${ref.kind.kind}/${ref.name}`).toSorted();
}
