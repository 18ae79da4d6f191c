/** The Che operator of another version, with OLM played by the test, and from manifests. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  approveInstallPlan,
  bringOperator,
  type Cluster,
  connectCluster,
  findSubscription,
  type KubeObject,
  operatorVersion,
  type OperatorProgress,
  pendingInstallPlan,
} from '@restic-engine/che-state';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { applyCrds } from './crds/install.ts';
import { KIND } from './crds/kinds.ts';
import { type ApiServer, startApiServer } from './support/api-server.ts';
import { mortal } from './support/mortal.ts';
import { deployment, startOlm, type Olm } from './support/olm.ts';

const VERSIONS = ['7.40.0', '7.41.0', '7.42.0'];
const TIMEOUT_MS = 45_000;
const APPROVAL_BEFORE = 'backup.che.eclipse.org/approval-before';

await describeWithPeer('kube-apiserver', 'the Che operator', () => {
  let server: ApiServer;
  let olm: Olm;
  let cluster: Cluster;
  beforeAll(async () => {
    server = await startApiServer();
    cluster = await connectCluster({ kubeconfig: server.kubeconfig });
    olm = startOlm(server.api, { versions: VERSIONS, failing: ['7.41.0'] });
  });
  afterAll(async () => {
    await olm[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const subscriptionIn = (namespace: string, more: object = {}): KubeObject => ({
    apiVersion: 'operators.coreos.com/v1alpha1',
    kind: 'Subscription',
    metadata: { name: 'che', namespace, labels: { of: 'the-admin' }, annotations: { note: 'keep' } },
    spec: {
      name: 'eclipse-che',
      channel: 'stable',
      source: 'community-operators',
      sourceNamespace: 'openshift-marketplace',
      installPlanApproval: 'Automatic',
      config: { env: [{ name: 'HTTP_PROXY', value: 'x' }] },
      ...more,
    },
  });

  const namespaced = async (name: string): Promise<string> => {
    await server.api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    return name;
  };

  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    const deadline = Date.now() + TIMEOUT_MS;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error('it never came true');
      await sleep(50);
    }
  };

  /** An installation of the newest version in a namespace of its own, as OLM makes it. */
  const installed = async (namespace: string, more: object = {}): Promise<string> => {
    await namespaced(namespace);
    await server.api.create(subscriptionIn(namespace, more));
    await until(async () => (await findSubscription(cluster, { namespace }))?.installedCsv !== undefined);
    return namespace;
  };

  const csvsIn = async (namespace: string): Promise<readonly string[]> =>
    (await server.api.list(KIND.clusterServiceVersion, namespace)).map(({ metadata }) => metadata.name);

  /** Everything is as it is to be after a way back to the oldest version. */
  const expectBack = async (namespace: string): Promise<void> => {
    expect(await operatorVersion(cluster, namespace)).toBe('7.40.0');
    expect(await csvsIn(namespace)).toEqual(['eclipse-che.v7.40.0']);
    const subscription = await server.api.get({ kind: KIND.subscription, namespace, name: 'che' });
    expect(subscription.metadata.labels).toEqual({ of: 'the-admin' });
    expect(subscription.metadata.annotations).toEqual({ note: 'keep', [APPROVAL_BEFORE]: 'Automatic' });
    expect(subscription.spec).toEqual({
      ...subscriptionIn(namespace).spec,
      startingCSV: 'eclipse-che.v7.40.0',
      installPlanApproval: 'Manual',
    });
    const notes = await server.api.list(KIND.configMap, namespace);
    expect(notes.filter(({ metadata }) => metadata.name !== 'kube-root-ca.crt')).toEqual([]);
  };

  it.concurrent('is brought back through OLM, and not forward again', async () => {
    const namespace = await installed('back');
    expect(await operatorVersion(cluster, namespace)).toBe('7.42.0');
    const copied = { name: 'eclipse-che.v7.39.0', namespace, labels: { 'olm.copiedFrom': 'elsewhere' } };
    const other = { name: 'devworkspace-operator.v0.20.0', namespace };
    for (const metadata of [copied, other]) {
      await server.api.create({
        apiVersion: 'operators.coreos.com/v1alpha1',
        kind: 'ClusterServiceVersion',
        metadata,
        spec: {},
      });
    }
    // Waits for approval, of another version, and whoever made it has to approve it.
    const stray = { kind: KIND.installPlan, namespace, name: 'stray' };
    await server.api.create({
      apiVersion: 'operators.coreos.com/v1alpha1',
      kind: 'InstallPlan',
      metadata: { name: 'stray', namespace },
      spec: { approval: 'Manual', approved: false, clusterServiceVersionNames: ['eclipse-che.v7.42.1'] },
    });
    const steps: OperatorProgress[] = [];
    const options = { version: '7.40.0', namespace, timeoutMs: TIMEOUT_MS };
    const counted = mortal(cluster);
    const brought = await bringOperator(counted.cluster, { ...options, onProgress: (step) => steps.push(step) });
    expect(counted.changes()).toBe(6);
    expect(brought).toEqual({ version: '7.40.0', by: 'olm', changed: true });
    expect(steps.map(({ step }) => step).filter((step) => step !== 'wait')).toEqual([
      'remove-subscription',
      'remove-csv',
      'create-subscription',
      'approve',
    ]);
    expect((await server.api.get(stray)).spec).toMatchObject({ approved: false });
    await server.api.remove(stray);
    expect(await csvsIn(namespace)).toEqual(expect.arrayContaining([copied.name, other.name]));
    for (const { name } of [copied, other])
      await server.api.remove({ kind: KIND.clusterServiceVersion, namespace, name });
    await expectBack(namespace);

    expect(await bringOperator(cluster, options)).toEqual({ version: '7.40.0', by: 'olm', changed: false });
    // The next version waits for the administrator, who may approve it.
    const subscription = (await findSubscription(cluster, { namespace }))!;
    expect(subscription).toMatchObject({ approval: 'Manual', installedCsv: 'eclipse-che.v7.40.0', channel: 'stable' });
    await until(async () => (await pendingInstallPlan(cluster, subscription)) !== undefined);
    const plan = (await pendingInstallPlan(cluster, subscription))!;
    expect(plan).toMatchObject({ csv: 'eclipse-che.v7.41.0', version: '7.41.0', namespace });
    await expect(approveInstallPlan(cluster, { ...plan, uid: 'of-another' })).rejects.toMatchObject({
      code: 'bad-request',
    });
    expect(olm.installed.filter((each) => each.startsWith(`${namespace} `))).toEqual(
      ['7.42.0', '7.40.0'].map((version) => `${namespace} eclipse-che.v${version}`),
    );
    await approveInstallPlan(cluster, plan);
    await until(async () => (await csvsIn(namespace)).includes('eclipse-che.v7.41.0'));
    expect((await pendingInstallPlan(cluster, subscription))?.csv).not.toBe(plan.csv);
  });

  it.concurrent('is brought back by whoever goes on where another died', async () => {
    const deaths = [1, 2, 3, 4, 5, 6].flatMap((at) => (['before', 'after'] as const).map((when) => ({ at, when })));
    const changes = await Promise.all(
      deaths.map(async (death) => {
        const namespace = await installed(`death-${death.at}-${death.when}`);
        const options = { version: '7.40.0', namespace, timeoutMs: TIMEOUT_MS };
        const dying = mortal(cluster, death);
        await expect(bringOperator(dying.cluster, options)).rejects.toMatchObject({ code: 'io' });
        const next = mortal(cluster);
        await bringOperator(next.cluster, options);
        await expectBack(namespace);
        return next.changes();
      }),
    );
    // Only after the last change nothing is left to be done.
    expect(changes.map((count) => count === 0)).toEqual(deaths.map(({ at, when }) => at === 6 && when === 'after'));
  });

  it.concurrent('is brought to another version than the one that an interrupted call was for', async () => {
    const namespace = await installed('mind-changed');
    const first = mortal(cluster, { at: 4, when: 'after' }).cluster;
    const options = { namespace, timeoutMs: TIMEOUT_MS };
    await expect(bringOperator(first, { ...options, version: '7.42.1' })).rejects.toMatchObject({ code: 'io' });
    await bringOperator(cluster, { ...options, version: '7.40.0' });
    await expectBack(namespace);
  });

  it.concurrent('is brought back although somebody has made the Subscription again meanwhile', async () => {
    const namespace = await installed('made-again');
    const options = { version: '7.40.0', namespace, timeoutMs: TIMEOUT_MS };
    const first = mortal(cluster, { at: 2, when: 'after' }).cluster;
    await expect(bringOperator(first, options)).rejects.toMatchObject({ code: 'io' });
    await server.api.create(subscriptionIn(namespace));
    await bringOperator(cluster, options);
    await expectBack(namespace);
  });

  it.concurrent('stays what it is when somebody has only begun to change it', async () => {
    for (const [at, changed] of [
      [1, false],
      [2, true],
    ] as const) {
      const namespace = await installed(`given-up-${at}`);
      const first = mortal(cluster, { at, when: 'after' }).cluster;
      const options = { namespace, timeoutMs: TIMEOUT_MS };
      await expect(bringOperator(first, { ...options, version: '7.40.0' })).rejects.toMatchObject({ code: 'io' });
      expect((await bringOperator(cluster, { ...options, version: '7.42.0' })).changed).toBe(changed);
      expect(await csvsIn(namespace)).toEqual(['eclipse-che.v7.42.0']);
      expect(await operatorVersion(cluster, namespace)).toBe('7.42.0');
      const { approval, installedCsv } = (await findSubscription(cluster, { namespace }))!;
      expect(approval).toBe(changed ? 'Manual' : 'Automatic');
      expect(installedCsv).toBe('eclipse-che.v7.42.0');
      const notes = await server.api.list(KIND.configMap, namespace);
      expect(notes.filter(({ metadata }) => metadata.name !== 'kube-root-ca.crt')).toEqual([]);
    }
  });

  it.concurrent('is not what OLM cannot install in time', async () => {
    const namespace = await installed('failing');
    const bring = bringOperator(cluster, { version: '7.41.0', namespace, timeoutMs: 6000 });
    await expect(bring).rejects.toMatchObject({ code: 'timeout' });
    await expect(bring).rejects.toThrow('eclipse-che.v7.41.0, which is ');
    // The way to another version is still open.
    await bringOperator(cluster, { version: '7.40.0', namespace, timeoutMs: TIMEOUT_MS });
    await expectBack(namespace);
  });

  it.concurrent('stays as it is when the catalog does not have the version', async () => {
    const namespace = await installed('catalog', { channel: 'next' });
    const group = 'packages.operators.coreos.com';
    const kind = { group, version: 'v1', kind: 'PackageManifest', plural: 'packagemanifests', namespaced: true };
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    await applyCrds(server.api, [
      {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `packagemanifests.${group}` },
        spec: {
          group,
          scope: 'Namespaced',
          names: { kind: kind.kind, plural: kind.plural, singular: 'packagemanifest', listKind: 'PackageManifestList' },
          versions: [{ name: 'v1', served: true, storage: true, schema }],
        },
      },
    ]);
    const channel = (name: string, ...versions: readonly string[]) => ({
      name,
      entries: versions.map((version) => ({ name: `eclipse-che.v${version}`, version })),
    });
    await server.api.call('POST', `/apis/${group}/v1/namespaces/${namespace}/packagemanifests`, {
      apiVersion: `${group}/v1`,
      kind: kind.kind,
      metadata: { name: 'eclipse-che', namespace },
      status: {
        catalogSource: 'community-operators',
        channels: [channel('next', '7.42.0'), channel('stable', '7.40.0')],
      },
    });
    const before = await server.api.get({ kind: KIND.subscription, namespace, name: 'che' });
    const options = { namespace, timeoutMs: TIMEOUT_MS };
    const watcher = mortal(cluster);
    await expect(bringOperator(watcher.cluster, { ...options, version: '7.39.0' })).rejects.toMatchObject({
      code: 'not-found',
    });
    expect(watcher.changes()).toBe(0);
    expect(await server.api.get({ kind: KIND.subscription, namespace, name: 'che' })).toEqual(before);

    await bringOperator(cluster, { ...options, version: '7.40.0' });
    await expectBack(namespace);
  });

  it('is found where several Subscriptions are, and which of them is meant', async () => {
    const [own, another] = [await namespaced('own'), await namespaced('another')];
    const downstream = await namespaced('openshift-operators');
    const quiet = { installPlanApproval: 'Manual' };
    await server.api.create(subscriptionIn(own, quiet));
    await server.api.create(subscriptionIn(another, { ...quiet, name: 'devspaces' }));
    await server.api.create(subscriptionIn(downstream, { ...quiet, name: 'codeready-workspaces' }));
    const find = async (options: object) => (await findSubscription(cluster, options))?.namespace;
    expect(await find({ namespace: own })).toBe(own);
    expect(await find({ namespace: own, flavor: 'devspaces' })).toBe(another);
    expect(await find({ namespace: 'is-not-there' })).toBe(downstream);
    expect(await find({})).toBe(downstream);
    expect(await find({ flavor: 'che', namespace: own })).toBe(own);
    await expect(find({ flavor: 'che' })).rejects.toMatchObject({ code: 'ambiguous' });
    await using nobody = await connectCluster({ kubeconfig: server.kubeconfig, context: 'nobody' });
    await expect(findSubscription(nobody, { namespace: own })).rejects.toMatchObject({ code: 'denied' });
    await expect(operatorVersion(nobody, own)).rejects.toMatchObject({ code: 'denied' });
    for (const namespace of [own, another, downstream]) {
      await server.api.remove({ kind: KIND.subscription, namespace, name: 'che' });
    }
  });

  it('is applied from manifests where there is no Subscription', async () => {
    const namespace = await namespaced('manifests');
    // Only those of this flavor are looked at, and there are none.
    const options = { namespace, flavor: 'devspaces', timeoutMs: TIMEOUT_MS };
    expect(await operatorVersion(cluster, namespace)).toBeUndefined();
    await expect(bringOperator(cluster, { ...options, version: '7.42.0' })).rejects.toMatchObject({
      code: 'bad-request',
    });
    const widgets = { kind: 'Widget', plural: 'widgets', singular: 'widget', listKind: 'WidgetList' };
    const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
    const versions = [{ name: 'v1', served: true, storage: true, schema }];
    const group = 'widgets.example.org';
    const manifests = (version: string): KubeObject[] => [
      deployment({ namespace, version }),
      { apiVersion: `${group}/v1`, kind: 'Widget', metadata: { name: 'one' }, spec: {} },
      {
        apiVersion: 'apiextensions.k8s.io/v1',
        kind: 'CustomResourceDefinition',
        metadata: { name: `widgets.${group}` },
        spec: { group, scope: 'Namespaced', names: widgets, versions },
      },
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'che-operator' } },
    ];
    const refuse = (given: readonly KubeObject[], version = '7.42.0') =>
      bringOperator(cluster, { ...options, version, manifests: given });
    await expect(refuse(manifests('7.41.0'))).rejects.toMatchObject({ code: 'mismatch' });
    await expect(refuse(manifests('7.42.0').slice(1))).rejects.toMatchObject({ code: 'bad-request' });
    expect(await operatorVersion(cluster, namespace)).toBeUndefined();

    /** Plays the controller of Deployments. */
    const rollOut = async (): Promise<void> => {
      const ref = { kind: KIND.deployment, namespace, name: 'che-operator' };
      await until(async () => (await operatorVersion(cluster, namespace)) !== undefined);
      const { metadata } = await server.api.get(ref);
      const counts = { replicas: 1, updatedReplicas: 1 };
      await server.api.merge(ref, { status: { ...counts, observedGeneration: metadata.generation } }, 'status');
      await sleep(1500);
      expect(done).toBe(false);
      await server.api.merge(ref, { status: { readyReplicas: 1, availableReplicas: 1 } }, 'status');
    };
    let done = false;
    const bring = refuse(manifests('7.42.0')).finally(() => (done = true));
    await rollOut();
    expect(await bring).toEqual({ version: '7.42.0', by: 'manifests', changed: true });
    expect(await operatorVersion(cluster, namespace)).toBe('7.42.0');
    const widget = { kind: { group, version: 'v1', kind: 'Widget', plural: 'widgets', namespaced: true }, name: 'one' };
    expect(await cluster.get({ ...widget, namespace })).toBeDefined();

    const elsewhere = manifests('7.40.0').map((each) =>
      each.kind === 'Deployment' ? deployment({ namespace: 'default', version: '7.40.0' }) : each,
    );
    await expect(refuse(elsewhere, '7.40.0')).rejects.toMatchObject({ code: 'mismatch' });
    // The old one still counts as rolled out until the controller has seen the new one, which nobody plays now.
    const late = bringOperator(cluster, {
      ...options,
      version: '7.40.0',
      manifests: manifests('7.40.0'),
      timeoutMs: 2000,
    });
    await expect(late).rejects.toMatchObject({ code: 'timeout' });
  });
});
