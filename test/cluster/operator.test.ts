/** The operator as a process of its own, with the rights that deploy/ gives it, against a real API server. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { apiVersionOf, connectCluster, type Kind, type KubeObject, type ObjectRef } from '@restic-engine/che-state';
import { initRepository, listSnapshots, localBackend, openRepository, type SnapshotEntry } from 'restic-engine';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWithPeer, peer } from '../peers/peers.ts';
import { startOurs, type Ours } from '../servers/ours.ts';
import { KIND } from './crds/kinds.ts';
import { canary, expectNoCanary, expectNoCanaryIn } from './support/canary.ts';
import { dieWithLock } from './support/dead-lock.ts';
import { contest } from './support/election.ts';
import { install, installationV2, until } from './support/installation.ts';
import { cheOperator, isOver, operatorLogs, startOperator, statusWhen, success } from './support/operator.ts';
import type { OperatorRequest } from './support/operator-program.ts';
import { takePicture } from './support/picture.ts';
import { ACCEPTED, REFUSED } from './support/schema-cases.ts';
import { startPlace, type Place } from './support/restoring.ts';

const CHE = 'eclipse-che';
const HOME = 'che-backup';
const DEPLOY = join(import.meta.dirname, '../../deploy');
const PASSWORD = canary('operator/repository');
const CHEAP = { N: 128, r: 1, p: 1 };
const che = installationV2({ users: 1, devWorkspaces: 2 });
/** What deploy/ binds to the operator's ServiceAccount. */
const ROLES = ['operator', 'collect', 'databases', 'internal-server', 'approve-updates', 'restore'];

type Spec = NonNullable<KubeObject['spec']>;

const at = (kind: Kind, name: string): ObjectRef => ({ kind, namespace: CHE, name });

/** A dozen programs are started one after the other, which takes its time on a machine that has much to do. */
const MANY_STARTS = 180_000;

await describeWithPeer('kube-apiserver', 'operator', () => {
  let place: Place;
  let backups: Ours;
  beforeAll(async () => {
    [place, backups] = await Promise.all([startPlace(), startOurs()]);
    // Twice: the second time there is nothing to be done.
    const applied = [await apply(), await apply()];
    if (!applied[1]?.every((line) => line.endsWith('unchanged'))) throw new Error(applied.join('\n'));
    await giveRights();
    await install(place.api, che);
    await makeServer('main');
  });
  afterAll(async () => {
    await backups[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  async function apply(): Promise<string[]> {
    const { status, stdout, stderr } = await place.server.kubectl(['apply', '-k', DEPLOY]);
    if (status !== 0) throw new Error(stderr);
    return stdout.trim().split('\n');
  }

  /** The user `operator` gets what the ServiceAccount has, which needs a controller to have a token. */
  async function giveRights(): Promise<void> {
    const subjects = [{ kind: 'User', name: 'operator', apiGroup: 'rbac.authorization.k8s.io' }];
    const bound = await place.api.list(KIND.clusterRoleBinding);
    const names = bound.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('che-backup-'));
    if (names.length !== ROLES.length) throw new Error(`other roles are bound: ${names.join()}`);
    for (const name of names)
      await place.api.merge({ kind: KIND.clusterRoleBinding, namespace: undefined, name }, { subjects });
    const binding = { kind: KIND.roleBinding, namespace: HOME, name: 'che-backup-operator' };
    await place.api.merge(binding, { subjects });
  }

  const make = (kind: Kind, name: string, spec: Spec): Promise<KubeObject> =>
    place.api.create({
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      spec,
      metadata: { name, namespace: CHE },
    });

  const secret = (name: string, values: Readonly<Record<string, string>>): Promise<KubeObject> =>
    place.api.create({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name, namespace: CHE },
      data: Object.fromEntries(
        Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
      ),
    });

  /** A configuration and its Secrets, of a repository that is cheap to open. */
  async function makeServer(name: string): Promise<void> {
    const backend = localBackend(join(backups.data, name));
    await initRepository({ backend, password: PASSWORD, kdf: CHEAP });
    const { username, password } = new URL((await backups.place(name)).location.slice('rest:'.length));
    await secret(`${name}-password`, { 'repo-password': PASSWORD });
    await secret(`${name}-login`, { username, password: decodeURIComponent(password) });
    const rest = {
      protocol: 'http',
      hostname: '127.0.0.1',
      port: backups.port,
      repositoryPath: name,
      repositoryPasswordSecretRef: `${name}-password`,
      credentialsSecretRef: `${name}-login`,
    };
    await make(KIND.serverConfiguration, name, { rest });
  }

  async function snapshots(name = 'main'): Promise<SnapshotEntry[]> {
    const backend = localBackend(join(backups.data, name));
    await using repository = await openRepository({ backend, password: PASSWORD, workers: 0 });
    return await Array.fromAsync(listSnapshots(repository));
  }

  async function madeSince(before: readonly SnapshotEntry[]): Promise<string[]> {
    const known = new Set(before.map(({ id }) => id));
    return (await snapshots()).map(({ id }) => id).filter((id) => !known.has(id));
  }

  const request = (more: Partial<OperatorRequest> = {}): OperatorRequest => ({
    kubeconfig: place.server.kubeconfig,
    context: 'operator',
    identity: 'one',
    leaseNamespace: HOME,
    image: 'example/che-backup',
    election: { durationMs: 1500, renewDeadlineMs: 1000, retryMs: 100 },
    backoff: { firstMs: 100, longestMs: 1000 },
    takeOverAfterMs: 100,
    serverPatienceMs: 1500,
    resyncMs: 300,
    ...more,
  });

  /** Lets operators die at each stage of a job, each with all that came before it. Resolves to the stages. */
  async function dieEverywhere(ref: ObjectRef): Promise<string[]> {
    const survives: string[] = [];
    for (;;) {
      await using operator = startOperator(request({ survives }));
      const ended = statusWhen(place.api, ref, isOver).then(() => 'ended');
      const died = operator.says(/dies at: ([^"]+)/);
      const first = await Promise.race([ended, died.catch(() => 'ended')]);
      if (first === 'ended') return survives;
      survives.push(first);
      ended.catch(() => undefined);
    }
  }

  it('has objects checked by the API', async () => {
    for (const [kind, spec, filled] of ACCEPTED) {
      const { spec: stored } = await make(kind, 'any', spec);
      expect(stored).toMatchObject({ ...spec, ...filled });
      await place.api.remove(at(kind, 'any'));
    }
    for (const [kind, spec, says] of REFUSED) await expect(make(kind, 'any', spec), String(says)).rejects.toThrow(says);
  });

  it('backs up, tells of it, and shows it', async () => {
    await using operator = startOperator(request({ healthPort: 0, healthHost: '127.0.0.1' }));
    const before = await snapshots();
    await make(KIND.clusterBackup, 'first', { backupServerConfigRef: 'main' });
    const status = await success(place.api, at(KIND.clusterBackup, 'first'));
    expect(status).toMatchObject({ state: 'Succeeded', stage: undefined, cheVersion: '7.90.0', backupServer: 'main' });
    expect(status.snapshotFullId).toMatch(/^[0-9a-f]{64}$/);
    expect(status.snapshotId).toBe(status.snapshotFullId?.slice(0, 8));
    expect(status.conditions).toContainEqual(expect.objectContaining({ type: 'Complete', status: 'True' }));
    expect(await madeSince(before)).toEqual([status.snapshotFullId]);
    const shown = await place.server.kubectl(['get', '-n', CHE, 'checlusterbackups']);
    expect(shown.stdout).toMatch(
      /^NAME +STATE +STAGE +SNAPSHOT +VERSION +AGE\nfirst +Succeeded +[0-9a-f]{8} +7\.90\.0 +\d/,
    );
    const events = await place.api.list(KIND.event, CHE);
    const reasons = events.map((event) => String(event['reason']));
    expect(reasons).toEqual(expect.arrayContaining(['BackupStarted', 'BackupSucceeded']));

    const port = await operator.says(/listening on (\d+)/);
    const answer = async (path: string): Promise<[number, string]> => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return [response.status, await response.text()];
    };
    expect((await answer('/healthz'))[0]).toBe(200);
    expect((await answer('/readyz'))[0]).toBe(200);
    expect((await answer('/else'))[0]).toBe(404);
    const [, metrics] = await answer('/metrics');
    expect(metrics).toContain('che_backup_operator_leader 1\n');
    expect(metrics).toContain('jobs_total{kind="CheClusterBackup",namespace="eclipse-che",result="succeeded"} 1\n');
    expect(metrics).toMatch(
      /last_success_timestamp_seconds\{kind="CheClusterBackup",namespace="eclipse-che"\} \d{10}\n/,
    );
    const promtool = await peer('promtool');
    if (promtool) execFileSync(promtool.path, ['check', 'metrics'], { input: metrics, env: promtool.env });
    expectNoCanary('the metrics', metrics);

    // What is changed afterwards has no effect, and that is said.
    await place.api.merge(at(KIND.clusterBackup, 'first'), { spec: { backupServerConfigRef: 'other' } });
    const edited = await statusWhen(place.api, at(KIND.clusterBackup, 'first'), ({ conditions }) =>
      conditions.some(({ type }) => type === 'SpecChanged'),
    );
    expect(edited).toMatchObject({ state: 'Succeeded', snapshotFullId: status.snapshotFullId });

    expect(await operator.stop()).toBe(0);
    const lease = await place.api.get({ kind: KIND.lease, namespace: HOME, name: 'che-backup-operator' });
    expect(lease.spec).toMatchObject({ holderIdentity: '' });
  });

  it('says what is wrong, and tries again what may pass', async () => {
    await using _operator = startOperator(request());
    await secret('wrong-password', { 'repo-password': canary('operator/wrong') });
    const { spec } = await place.api.get(at(KIND.serverConfiguration, 'main'));
    const rest = { ...(spec?.['rest'] as object), repositoryPasswordSecretRef: 'wrong-password' };
    await make(KIND.serverConfiguration, 'wrong', { rest });
    const closed = { protocol: 'http', hostname: '127.0.0.1', port: 1, repositoryPasswordSecretRef: 'main-password' };
    await make(KIND.serverConfiguration, 'down', { rest: closed });
    await make(KIND.clusterBackup, 'nowhere', { backupServerConfigRef: 'nowhere' });
    await make(KIND.clusterBackup, 'locked-out', { backupServerConfigRef: 'wrong' });
    const nowhere = await statusWhen(place.api, at(KIND.clusterBackup, 'nowhere'), isOver);
    expect(nowhere).toMatchObject({ state: 'Failed', snapshotId: undefined });
    expect(nowhere.message).toContain('nowhere is not in the namespace');
    const lockedOut = await statusWhen(place.api, at(KIND.clusterBackup, 'locked-out'), isOver);
    expect(lockedOut).toMatchObject({ state: 'Failed', stage: 'Connecting to the backup server' });

    await make(KIND.clusterBackup, 'patient', { backupServerConfigRef: 'down' });
    const patient = at(KIND.clusterBackup, 'patient');
    const waiting = await statusWhen(place.api, patient, ({ message = '' }) => message.includes('it is tried again'));
    expect(waiting.state).toBe('InProgress');
    // Another server in the spec has no effect; the same server, when it is back, has.
    await place.api.merge(patient, { spec: { backupServerConfigRef: 'nowhere' } });
    const back = { port: backups.port, repositoryPath: 'main', credentialsSecretRef: 'main-login' };
    await place.api.merge(at(KIND.serverConfiguration, 'down'), { spec: { rest: back } });
    await place.api.merge(at(KIND.clusterBackup, 'patient'), { metadata: { labels: { touched: 'true' } } });
    const { backupServer, conditions } = await success(place.api, patient);
    expect(backupServer).toBe('down');
    expect(conditions.find(({ type }) => type === 'SpecChanged')?.status).toBe('True');
  });

  it(
    'dies at every stage of a backup, and makes one snapshot',
    async () => {
      const before = await snapshots();
      await make(KIND.clusterBackup, 'hard', { backupServerConfigRef: 'main' });
      const stages = await dieEverywhere(at(KIND.clusterBackup, 'hard'));
      expect(stages).toEqual(expect.arrayContaining(['Connecting to the backup server', 'Succeeded']));
      expect(stages.length).toBeGreaterThanOrEqual(4);
      const { snapshotFullId } = await success(place.api, at(KIND.clusterBackup, 'hard'));
      expect(await madeSince(before)).toEqual([snapshotFullId]);
    },
    MANY_STARTS,
  );

  it(
    'dies at every stage of a restore, and ends with what was saved',
    async () => {
      const picture = await takePicture(place.api, che);
      const first = (await snapshots()).toSorted((a, b) => a.time.localeCompare(b.time))[0];
      const oauth = at(KIND.secret, 'github-oauth');
      await place.api.merge(oauth, { metadata: { labels: { changed: 'yes' } }, data: { id: btoa('another') } });
      await place.api.remove({ kind: KIND.devWorkspace, namespace: che.userNamespaces[0], name: 'workspace-1' });
      await make(KIND.clusterRestore, 'plan', { snapshotId: first?.id, backupServerConfigRef: 'main', dryRun: true });
      const planner = startOperator(request());
      await success(place.api, at(KIND.clusterRestore, 'plan'));
      await planner.stop();
      const { status: planned } = await place.api.get(at(KIND.clusterRestore, 'plan'));
      expect(planned).toMatchObject({ plan: { replace: 1, create: 2 } });
      await make(KIND.clusterRestore, 'hard', { snapshotId: first?.id.slice(0, 8), backupServerConfigRef: 'main' });
      const stages = await dieEverywhere(at(KIND.clusterRestore, 'hard'));
      const status = await success(place.api, at(KIND.clusterRestore, 'hard'));
      expect(status).toMatchObject({ snapshotFullId: first?.id, cheVersion: '7.90.0' });
      expect(stages).toEqual(
        expect.arrayContaining(['Reading the backup from the backup server', 'Restoring workspaces']),
      );
      expect(await takePicture(place.api, che)).toEqual(picture);
      expect(stages.length).toBeGreaterThanOrEqual(8);
    },
    MANY_STARTS,
  );

  it('elects one of two, and the other one goes on', async () => {
    await using one = startOperator(request({ identity: 'one' }));
    await one.says(/one leads/);
    await using two = startOperator(request({ identity: 'two' }));
    await make(KIND.clusterBackup, 'handed-over', { backupServerConfigRef: 'down' });
    await place.api.merge(at(KIND.serverConfiguration, 'down'), { spec: { rest: { port: 1 } } });
    const ref = at(KIND.clusterBackup, 'handed-over');
    await statusWhen(place.api, ref, ({ state }) => state === 'InProgress');
    expect(two.log()).not.toContain('leads');
    await one.kill();
    await two.says(/two leads/);
    await place.api.merge(at(KIND.serverConfiguration, 'down'), { spec: { rest: { port: backups.port } } });
    await success(place.api, ref);
    const lease = await place.api.get({ kind: KIND.lease, namespace: HOME, name: 'che-backup-operator' });
    expect(lease.spec).toMatchObject({ holderIdentity: 'two', leaseTransitions: expect.any(Number) });
  });

  it('sets up the server in the cluster', async () => {
    await using _operator = startOperator(request());
    await make(KIND.clusterBackup, 'inside', { useInternalBackupServer: true });
    const ref = at(KIND.clusterBackup, 'inside');
    await statusWhen(place.api, ref, ({ stage }) => stage === 'Setting up the backup server in the cluster');
    const deployment = at(KIND.deployment, 'backup-rest-server');
    const isThere = (): Promise<boolean> =>
      place.api.list(KIND.deployment, CHE).then((all) => all.some(({ metadata }) => metadata.name === deployment.name));
    await until('there is a Deployment', isThere);
    const { metadata } = await place.api.get(deployment);
    const ready = { observedGeneration: metadata.generation, replicas: 1, updatedReplicas: 1, availableReplicas: 1 };
    await place.api.merge(deployment, { status: { ...ready, readyReplicas: 1 } }, 'status');
    // Its name is known only inside of the cluster.
    const status = await statusWhen(place.api, ref, ({ message = '' }) => message.includes('it is tried again'));
    expect(status).toMatchObject({ state: 'InProgress', backupServer: 'backup-rest-server-configuration' });
    await place.api.remove(ref);
  });

  it('backs up before updates, and approves them', async () => {
    const annotations = { 'che.eclipse.org/backup-before-update': 'true' };
    await place.api.merge(at(KIND.serverConfiguration, 'main'), { metadata: { annotations } });
    await place.api.create(cheOperator(CHE, '7.91.0'));
    await using _operator = startOperator(request());
    const ref = at(KIND.clusterBackup, 'backup-before-update-to-7-91-0');
    await until('there is a backup', async () => (await named('backup-before')).length > 0);
    await success(place.api, ref);
    // Gone back and updated again: it gets a backup of its own.
    const operator = at(KIND.deployment, 'che-operator');
    await place.api.merge(operator, { spec: cheOperator(CHE, '7.90.0').spec });
    await place.api.merge(operator, { spec: cheOperator(CHE, '7.91.0').spec });
    const again = at(KIND.clusterBackup, `${ref.name}-2`);
    await until('there is another backup', async () => (await named('backup-before')).length > 1);
    await success(place.api, again);
    await place.api.remove(operator);

    await place.api.merge(at(KIND.cheClusterV2, 'eclipse-che'), {
      metadata: { annotations: { 'backup.che.eclipse.org/approve-updates': 'true' } },
    });
    await make(KIND.subscription, 'eclipse-che', { name: 'eclipse-che', installPlanApproval: 'Manual' });
    const plan = await make(KIND.installPlan, 'install-1', {
      approved: false,
      generation: 1,
      clusterServiceVersionNames: ['eclipse-che.v7.92.0'],
    });
    const isApproved = async (): Promise<boolean> =>
      (await place.api.get(at(KIND.installPlan, plan.metadata.name))).spec?.['approved'] === true;
    await until('the plan is approved', isApproved);
    const planned = at(KIND.clusterBackup, 'backup-before-update-to-7-92-0');
    await success(place.api, planned);
    // The operator that OLM brings then needs no other backup.
    await place.api.create(cheOperator(CHE, '7.92.0'));
    const carriedOut = 'backup.che.eclipse.org/update-carried-out';
    const counts = async (): Promise<boolean> =>
      carriedOut in ((await place.api.get(planned)).metadata.annotations ?? {});
    await until('the backup counts for the operator', counts);
    await place.api.remove(operator);
    await place.api.remove(at(KIND.installPlan, 'install-1'));
    await place.api.remove(at(KIND.subscription, 'eclipse-che'));
    const reasons = (await snapshots()).map(({ tags = [] }) => tags.find((tag) => tag.startsWith('reason:')));
    expect(reasons.filter((reason) => reason === 'reason:before-update')).toHaveLength(3);
  });

  it('backs up by a schedule, and forgets by its policy', async () => {
    // Neither made by this schedule nor kept by its policy.
    const foreign = at(KIND.clusterBackup, 'of-another-schedule');
    await make(foreign.kind, foreign.name, { backupServerConfigRef: 'main' });
    await place.api.merge(foreign, { metadata: { labels: { 'backup.che.eclipse.org/reason': 'schedule' } } });
    dieWithLock(join(backups.data, 'main'), PASSWORD);
    const others = (await snapshots()).length;
    const spec = { schedule: '* * * * *', backupServerConfigRef: 'main', retention: { keepLast: 1 }, historyLimit: 1 };
    await make(KIND.backupSchedule, 'often', spec);
    const ref = at(KIND.backupSchedule, 'often');
    const successes = new Set<unknown>();
    for (const aheadMs of [70_000, 140_000]) {
      await using _operator = startOperator(request({ aheadMs }));
      await success(place.api, foreign);
      await until('the policy was applied', async () => {
        const { lastForgetTime } = (await place.api.get(ref)).status ?? {};
        return lastForgetTime !== undefined && !successes.has(lastForgetTime);
      });
      successes.add((await place.api.get(ref)).status?.['lastForgetTime']);
    }
    const left = await snapshots();
    expect(left.filter(({ tags = [] }) => tags.includes('schedule:often'))).toHaveLength(1);
    expect(left).toHaveLength(others + 2);
    const shown = await place.server.kubectl(['get', '-n', CHE, 'chebackupschedules']);
    expect(shown.stdout).toMatch(
      /^NAME +SCHEDULE +SUSPENDED +LAST BACKUP +LAST SUCCESS +NEXT +AGE\noften +\* \* \* \* \* +false +often-\d{12}/,
    );
    await until('old objects are gone', async () => (await named('often-')).length <= 2);
  });

  it('never has two leaders, whatever fails', async () => {
    await using cluster = await connectCluster({ kubeconfig: place.server.kubeconfig });
    const { mostAtOnce, terms } = await contest(cluster, HOME);
    expect(mostAtOnce).toBe(1);
    expect(new Set(terms).size).toBeGreaterThan(1);
  });

  it('shows no secret', async () => {
    expectNoCanary('the log', operatorLogs());
    await expectNoCanaryIn(place.api);
  });

  async function named(start: string): Promise<KubeObject[]> {
    const all = await place.api.list(KIND.clusterBackup, CHE);
    return all.filter(({ metadata }) => metadata.name.startsWith(start));
  }
});
