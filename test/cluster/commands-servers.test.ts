/** Which server che-backup uses, what it leaves to operators, and how it changes versions: against a real API server. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { at, KIND } from './crds/kinds.ts';
import type { Api } from './support/api.ts';
import { expectNoCanary, expectNoCanaryIn } from './support/canary.ts';
import type { CheBackup } from './support/che-backup.ts';
import { CHE, configure, jobOf, PASSWORD, PATIENCE_MS, playOperator, startCommands } from './support/commands.ts';
import type { Commands, Env } from './support/commands.ts';
import { until } from './support/installation.ts';
import { startOlm, type Olm } from './support/olm.ts';

await describeWithPeer('kube-apiserver', 'che-backup and its servers', () => {
  const started: Commands[] = [];
  beforeAll(async () => void started.push(await startCommands()), PATIENCE_MS);
  afterAll(() => started[0]?.[Symbol.asyncDispose]());
  const commands = (): Commands => started[0] ?? expect.unreachable();
  const api = (): Api => commands().api;
  const run: CheBackup['run'] = (words, env) => commands().program.run(words, env);
  const ok: Commands['ok'] = (words, env) => commands().ok(words, env);

  describe('the server', () => {
    let environments: Record<string, Env>;
    beforeAll(async () => {
      const names = ['configured', 'second', 'exported'];
      environments = Object.fromEntries(
        await Promise.all(names.map(async (name) => [name, await commands().repository(name)])),
      );
    });
    afterEach(async () => {
      for (const { metadata } of await api().list(KIND.serverConfiguration, CHE)) {
        await api().remove(at(KIND.serverConfiguration, CHE, metadata.name));
      }
    });

    const count = async (name: string): Promise<number> =>
      (await ok(['list', '--json'], environments[name] ?? {})).messages().length;

    it('is the one in the cluster, the only one or the one that is named', async () => {
      const { configured, exported } = environments;
      await configure(api(), 'main', configured);
      await ok(['server:backup'], {});
      expect(await count('configured')).toBe(1);
      // What is exported loses against a flag.
      await ok(['server:backup', '--backup-server-config-name', 'main'], { ...exported });
      await ok(['server:backup'], { ...exported, BACKUP_SERVER_CONFIG_NAME: 'main' });
      expect([await count('configured'), await count('exported')]).toEqual([3, 0]);
      await ok(['server:backup'], { ...exported });
      const flags = ['-r', String(exported?.['BACKUP_REPOSITORY_URL']), '-p', PASSWORD];
      await ok(['server:backup', ...flags], { BACKUP_SERVER_CONFIG_NAME: 'main' });
      expect([await count('configured'), await count('exported')]).toEqual([3, 2]);
    });

    it('must be named when there are several, unless one is of these commands', async () => {
      await configure(api(), 'first', environments['configured']);
      await configure(api(), 'second', environments['second']);
      const ran = await run(['server:backup'], {});
      expect(ran).toMatchObject({ status: 1, stderr: expect.stringContaining('first, second') });
      await configure(api(), 'eclipse-che-backup-server-config', environments['second']);
      await ok(['server:backup'], {});
      expect(await count('second')).toBe(1);
    });

    it('must be there to restore from, and is set up to back up to', async () => {
      for (const words of [['list'], ['server:restore', '-s', 'latest', '--batch']]) {
        const ran = await run(words, {});
        expect(ran).toMatchObject({ status: 1, stderr: expect.stringContaining('no backup server configuration') });
      }
      const outside = await run(['server:backup'], {});
      expect(outside).toMatchObject({ status: 1, stderr: expect.stringContaining('--via-operator') });
      const servers = (await api().list(KIND.deployment, CHE)).filter(({ metadata }) =>
        /rest-server/.test(metadata.name),
      );
      expect(servers).toEqual([]);
    });
  });

  describe('with --via-operator', () => {
    const FULL = 'c0ffee00'.repeat(8);
    const backup = at(KIND.clusterBackup, CHE, 'eclipse-che-backup');
    const restore = at(KIND.clusterRestore, CHE, 'eclipse-che-restore');

    it('a backup is the work of an operator, whose stages are told', async () => {
      const env = await commands().environment('by-operator');
      await api().create(jobOf(KIND.clusterBackup, 'eclipse-che-backup'));
      const seen: unknown[] = [];
      await using _operator = playOperator(api(), KIND.clusterBackup, ({ spec }) => {
        seen.push(spec);
        return [
          { state: 'InProgress', stage: 'Connecting', message: 'Backup is in progress' },
          { state: 'InProgress', stage: 'Uploading', message: 'the server is slow' },
          { state: 'Succeeded', snapshotId: 'c0ffee00', snapshotFullId: FULL, cheVersion: '7.90.0' },
        ];
      });
      const ran = await ok(['server:backup', '--via-operator', '--external-database'], env);
      expect(ran.stdout).toBe(
        'Connecting: Backup is in progress\nUploading: the server is slow\nsnapshot c0ffee00 saved\n',
      );
      const reference = { backupServerConfigRef: 'eclipse-che-backup-server-config' };
      expect(seen).toEqual([{ ...reference, externalDatabases: true }]);
      const configuration = await api().get(at(KIND.serverConfiguration, CHE, reference.backupServerConfigRef));
      expect(JSON.stringify(configuration.spec)).not.toContain(PASSWORD);
      expect(configuration.spec).toMatchObject({ rest: { hostname: '127.0.0.1', port: commands().backups.port } });
      const json = (await ok(['server:backup', '--via-operator', '--internal-server', '--json'], {})).messages();
      expect(json.at(-1)).toMatchObject({ message_type: 'summary', snapshot_id: FULL, che_version: '7.90.0' });
      expect(seen.at(-1)).toEqual({ useInternalBackupServer: true });
    });

    it('a restore has what the flags say', async () => {
      const env = await commands().repository('restore-by-operator');
      const seen: unknown[] = [];
      await using _operator = playOperator(api(), KIND.clusterRestore, ({ spec }) => {
        seen.push(spec);
        return [
          { state: 'InProgress', stage: 'Restoring objects' },
          {
            state: 'Succeeded',
            safetySnapshotId: FULL,
            plan: { create: 2, unchanged: 7 },
            differences: ['Secret a/b'],
          },
        ];
      });
      const flags = [
        '--allow',
        'cluster,version',
        '--only',
        'Secret/*',
        '--remove',
        '--recreate',
        '--domain',
        'b.example',
      ];
      const more = ['--no-safety-snapshot', '--ready-timeout', '90s', '--impersonate-creators', '--external-database'];
      const words = ['server:restore', '--via-operator', '-s', 'latest', '--batch'];
      const ran = await run([...words, ...flags, ...more], env);
      expect(ran).toMatchObject({ status: 3, stderr: '1 objects are not as in the backup\n' });
      expect(ran.stdout).toMatch(/^Snapshot: +latest\nRestoring objects\nsnapshot c0ffee00 has/m);
      expect(ran.stdout).toMatch(/^Secret a\/b\nrestored: create 2, unchanged 7$/m);
      expect(seen).toEqual([
        {
          snapshotId: 'latest',
          backupServerConfigRef: 'eclipse-che-backup-server-config',
          allow: ['cluster', 'version'],
          only: ['Secret/*'],
          domain: 'b.example',
          remove: true,
          recreate: true,
          skipSafetySnapshot: true,
          externalDatabases: true,
          impersonate: true,
          readyTimeoutSeconds: 90,
        },
      ]);
      const dry = await ok([...words, '--dry-run'], env);
      expect(dry.stdout).toContain('planned: create 2, unchanged 7');
      expect(seen.at(-1)).toMatchObject({ dryRun: true });
    });

    it.each<[string, readonly object[], RegExp]>([
      [
        'fails',
        [{ state: 'Failed', stage: 'Uploading', message: 'Error: no space' }],
        /has failed \(Uploading\): no space/,
      ],
      ['vanishes', [{ state: 'InProgress', stage: 'Uploading' }], /is gone/],
      ['takes too long', [{ state: 'InProgress', stage: 'Uploading' }], /not ended in 5 s, it is at: Uploading/],
    ])('it is an error when it %s', async (what, statuses, message) => {
      const timeout = what === 'vanishes' ? '1m' : '5s';
      await using _operator = playOperator(api(), KIND.clusterBackup, () => statuses);
      const running = run(['server:backup', '--via-operator', '--internal-server', '--timeout', timeout], {});
      if (what === 'vanishes') {
        // The one of before may be there still, and then there is none for a moment.
        const state = async (): Promise<unknown> => (await api().find(backup))?.status?.['state'];
        await until('it works', async () => (await state()) === 'InProgress');
        await api().remove(backup);
      }
      const ran = await running;
      expect(ran.stderr).toMatch(message);
      expect(ran.status).toBe(1);
    });

    it('it may be at the root of a server', async () => {
      const words = ['server:backup', '--via-operator', '-r', 'rest:http://127.0.0.1:9/', '-p', PASSWORD];
      const ran = await run([...words, '--timeout', '0'], {});
      expect(ran).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/nobody takes up the CheClusterBackup.*unless you delete it/),
      });
    });

    it('it is an error when the server cannot be reached, before anything is changed', async () => {
      const env = { ...(await commands().environment('unused')), BACKUP_REPOSITORY_URL: 'rest:http://127.0.0.1:1/x' };
      const before = await api().get(restore);
      const words = ['server:restore', '--via-operator', '-s', 'latest', '--batch', '--ssh-key', 'x'];
      expect(await run([...words, '--ssh-key-file', 'y'], env)).toMatchObject({ status: 1 });
      expect((await api().get(restore)).metadata.uid).toBe(before.metadata.uid);
    });
  });

  it('the operator does what it is asked, and stops in good order', { timeout: PATIENCE_MS }, async () => {
    const env = await commands().repository('real-operator');
    const program = commands().program;
    await using operator = program.start(['operator', '--health-port', '0'], { POD_NAMESPACE: CHE });
    await until('it serves', async () => operator.printed().includes('serving health and metrics on port'));
    const made = await ok(['server:backup', '--via-operator', '--json'], env);
    const id = made.messages().at(-1)?.['snapshot_id'];
    expect((await ok(['list', '--json'], env)).messages()).toMatchObject([{ id, namespace: CHE }]);
    expect(await operator.stop()).toBe(0);
    expect(operator.printed()).toContain('signal SIGTERM received');
  });

  describe('the way back', () => {
    const NAME = 'backup-before-update-to-7-91-0';
    const oauth = at(KIND.secret, CHE, 'github-oauth');
    const olm: Olm[] = [];
    let exported: Env;
    let id: string;
    beforeAll(async () => {
      await configure(api(), 'main', await commands().repository('before-update'));
      await configure(api(), 'other', {});
      exported = await commands().repository('not-meant');
      const summary = await ok(['server:backup', '--json', '--backup-server-config-name', 'main'], {});
      id = String(summary.messages().at(-1)?.['snapshot_id']);
      olm.push(startOlm(api(), { versions: ['7.90.0', '7.91.0'] }));
      await api().create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'operators' } });
      await api().create({
        apiVersion: 'operators.coreos.com/v1alpha1',
        kind: 'Subscription',
        metadata: { name: 'eclipse-che', namespace: 'operators' },
        spec: {
          name: 'eclipse-che',
          channel: 'stable',
          source: 'a',
          sourceNamespace: 'b',
          installPlanApproval: 'Automatic',
        },
      });
      await until(
        'the operator runs',
        async () => olm[0]?.installed.includes('operators eclipse-che.v7.91.0') ?? false,
      );
      const made = { cheVersion: '7.90.0', snapshotId: id.slice(0, 8), snapshotFullId: id, backupServer: 'main' };
      const objects: readonly (readonly [string, object])[] = [
        [NAME, { state: 'Failed', message: 'Error: no space' }],
        [`${NAME}-2`, { state: 'Succeeded', ...made }],
        ['nowhere', { state: 'Succeeded', cheVersion: '7.90.0', snapshotId: id.slice(0, 8) }],
      ];
      for (const [name, status] of objects) {
        await api().create(jobOf(KIND.clusterBackup, name));
        await api().merge(at(KIND.clusterBackup, CHE, name), { status }, 'status');
      }
    });
    afterAll(() => olm[0]?.[Symbol.asyncDispose]());

    it.each<[readonly string[], RegExp]>([
      [['--backup-cr-name', NAME], /has not succeeded: Failed/],
      [['--backup-cr-name', 'nowhere'], /does not say on which server/],
      [['--version', '7.91.0', '-s', 'latest', '--backup-server-config-name', 'main'], /is of another version/],
      [
        ['--version', '7.89.0', '-s', 'latest', '--backup-server-config-name', 'main'],
        /of version 7\.90\.0, not 7\.89\.0/,
      ],
    ])('is not %j', async (flags, message) => {
      const ran = await run(['server:restore', '--batch', ...flags], exported);
      expect(ran.stderr).toMatch(message);
      expect(ran).toMatchObject({ status: 1, stdout: '' });
    });

    it('is to the version before the update, with the backup from where it is', async () => {
      await api().remove(oauth);
      const planned = await ok(['server:restore', '--rollback', '--dry-run'], exported);
      expect(planned.stdout).toMatch(
        /^Current version: +7\.91\.0\nRestore version: +7\.90\.0\nBackup server: +main\nRepository: +rest:/m,
      );
      expect(planned.stdout).toMatch(
        /^Another version than that of the backup: 7\.91\.0, not 7\.90\.0\nObjects to create: 1$/m,
      );
      const restored = await ok(['server:restore', '--rollback', '--batch'], exported);
      expect(restored.stdout).toMatch(/^Che operator 7\.90\.0: approve eclipse-che\.v7\.90\.0$/m);
      expect(restored.stdout).toContain('restored: 1 objects created or changed');
      await expect(api().get(oauth)).resolves.toBeDefined();
      const [subscription] = await api().list(KIND.subscription, 'operators');
      expect(subscription?.spec).toMatchObject({ startingCSV: 'eclipse-che.v7.90.0', installPlanApproval: 'Manual' });
      // There is no update to this version that could be taken back.
      const again = await run(['server:restore', '--rollback', '--batch'], exported);
      expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('no CheClusterBackup backup-before') });
      const named = await ok(['server:restore', '--backup-cr-name', `${NAME}-2`, '--batch', '--json'], exported);
      expect(named.messages().at(-1)).toMatchObject({ message_type: 'summary', snapshot_id: id, objects_applied: 0 });
    });
  });

  it('shows no secret', async () => {
    const printed = commands().program.printed();
    expect(printed).toContain('7.90.0');
    expectNoCanary('che-backup', printed);
    await expectNoCanaryIn(api());
    for (const secret of (await commands().backups.place('any')).secrets) expect(printed).not.toContain(secret);
  });
});
