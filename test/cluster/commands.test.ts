/** che-backup as people call it, against a real API server: what it prints, what it changes, and how it ends. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject } from '@restic-engine/che-state';
import { localBackend, openRepository } from 'restic-engine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { at, KIND } from './crds/kinds.ts';
import type { Api } from './support/api.ts';
import { canary, expectNoCanary } from './support/canary.ts';
import type { CheBackup } from './support/che-backup.ts';
import { CHE, PASSWORD, PATIENCE_MS, startCommands, type Commands, type Env } from './support/commands.ts';
import { destroy, until } from './support/installation.ts';
import { takePicture } from './support/picture.ts';

const oauth = at(KIND.secret, CHE, 'github-oauth');

await describeWithPeer('kube-apiserver', 'che-backup', () => {
  const started: Commands[] = [];
  beforeAll(async () => void started.push(await startCommands()), PATIENCE_MS);
  afterAll(() => started[0]?.[Symbol.asyncDispose]());
  const commands = (): Commands => started[0] ?? expect.unreachable();
  const api = (): Api => commands().api;
  const run: CheBackup['run'] = (words, env) => commands().program.run(words, env);
  const ok: Commands['ok'] = (words, env) => commands().ok(words, env);

  describe('a backup', () => {
    it('makes a repository where there is none', async () => {
      const env = await commands().environment('new');
      expect(await run(['list'], env)).toMatchObject({ status: 10 });
      await ok(['server:backup', '--quiet'], env);
      expect((await ok(['list', '--json'], env)).messages()).toHaveLength(1);
    });

    it('is made, listed, shown, extracted and compared', async () => {
      const env = await commands().repository('life');
      const made = await ok(['server:backup'], env);
      expect(made.stdout).toMatch(/^backing up Eclipse Che 7\.90\.0 in eclipse-che to rest:http/);
      const [, id = ''] = /^snapshot ([0-9a-f]{8}) saved$/m.exec(made.stdout) ?? [];
      expect(made.stderr).toBe('');

      const listed = await ok(['list'], env);
      expect(listed.stdout).toMatch(new RegExp(`^${id} .* eclipse-che +7\\.90\\.0 +manual$`, 'm'));
      const [entry] = (await ok(['list', '--json', '-n', CHE], env)).messages();
      expect(entry).toMatchObject({ message_type: 'snapshot', short_id: id, namespace: CHE, reason: 'manual' });
      expect((await ok(['list', '--json', '-n', 'other'], env)).stdout).toBe('');

      const shown = await ok(['show', 'latest'], env);
      expect(shown.stdout).toMatch(/^Secret +eclipse-che +github-oauth +\d+ B$/m);
      expect(shown.stdout).toMatch(/^namespace: +eclipse-che$/m);
      const objects = (await ok(['show', id, '--json'], env)).messages();
      expect(objects[0]).toMatchObject({ message_type: 'backup', objects: commands().che.saved.length });
      expect(objects).toHaveLength(commands().che.saved.length + 1);

      using folder = makeTempDir();
      const target = join(folder.path, 'extracted');
      await ok(['extract', id, '--target', target], env);
      expect(readdirSync(target)).toEqual(expect.arrayContaining(['backup-info.yaml', 'che-cr.yaml', 'secrets']));
      const secret = join(target, 'secrets', 'github-oauth.yaml');
      expect(readFileSync(secret, 'utf8')).toContain('kind: Secret');
      expect(statSync(secret).mode & 0o777).toBe(0o600);

      expect((await ok(['diff', 'latest'], env)).stdout).toBe('objects: 0 added, 0 removed, 0 changed\n');
      await api().merge(oauth, { data: { id: Buffer.from(canary('changed')).toString('base64') } });
      const differing = await ok(['diff', 'latest'], env);
      expect(differing.stdout).toContain('M    Secret eclipse-che/github-oauth\nM      data.id: ');
      const second = await commands().backUp(env);
      const changes = (await ok(['diff', id, second, '--json'], env)).messages();
      expect(changes).toMatchObject([
        { message_type: 'change', kind: 'Secret', name: 'github-oauth', change: 'changed' },
        { message_type: 'statistics', added: 0, removed: 0, changed: 1 },
      ]);
    });
  });

  describe('a restore', () => {
    let env: Env;
    let id: string;
    beforeAll(async () => {
      env = await commands().repository('restore');
      id = await commands().backUp(env);
    });

    it('is shown first, done, and leaves a snapshot of what was there', async () => {
      const before = await takePicture(api(), commands().che);
      await api().remove(oauth);
      const damaged = await takePicture(api(), commands().che);
      const planned = await ok(['server:restore', '-s', 'latest', '--dry-run'], env);
      expect(planned.stdout).toMatch(/^Restore version: +7\.90\.0$/m);
      expect(planned.stdout).toMatch(new RegExp(`^Snapshot: +${id.slice(0, 8)} of `, 'm'));
      expect(planned.stdout).toMatch(/^\+ {4}Secret eclipse-che\/github-oauth\nObjects to create: 1$/m);
      const messages = (await ok(['server:restore', '-s', id, '--dry-run', '--json'], env)).messages();
      expect(messages).toMatchObject([
        { message_type: 'restore', namespace: CHE, version: '7.90.0', snapshot_id: id },
        { message_type: 'planned', action: 'create', kind: 'Secret', name: 'github-oauth' },
        { message_type: 'plan', snapshot_id: id, objects: { create: 1 } },
      ]);
      expect(await takePicture(api(), commands().che)).toEqual(damaged);

      const restored = await ok(['server:restore', '-s', id.slice(0, 10), '--batch'], env);
      expect(restored.stdout).toContain('restoring what Che needs\n');
      expect(restored.stdout).toMatch(/^snapshot [0-9a-f]{8} has what was there before$/m);
      expect(restored.stdout).toMatch(/^restored: 1 objects created or changed, 0 removed, 0 databases loaded$/m);
      expect(await takePicture(api(), commands().che)).toEqual(before);
      const reasons = (await ok(['list', '--json'], env)).messages().map(({ reason }) => reason);
      expect(reasons).toEqual(['manual', 'before-restore']);
    });

    it('is of chosen objects, without a snapshot before, as flags say', async () => {
      const git = at(KIND.secret, 'user1-che', 'git-credentials');
      await api().remove(oauth);
      await api().remove(git);
      const words = ['server:restore', '-s', id, '--batch', '--json', '--no-safety-snapshot'];
      const chosen = (await ok([...words, '--only', 'namespace:user1-che'], env)).messages();
      expect(chosen.at(-1)).toMatchObject({ message_type: 'summary', objects_applied: 1, differences: 0 });
      expect(chosen.at(-1)).not.toHaveProperty('safety_snapshot_id');
      await expect(api().get(git)).resolves.toBeDefined();
      await expect(api().get(oauth)).rejects.toThrow('404');
      const rest = (await ok([...words, '--only', 'Secret/github-*', '--only', 'checluster'], env)).messages();
      expect(rest.at(-1)).toMatchObject({ objects_applied: 1 });
      const quiet = await ok(['server:restore', '-s', id, '--batch', '--quiet'], env);
      expect(quiet.stdout).toBe('restored: 0 objects created or changed, 0 removed, 0 databases loaded\n');
    });

    it('ends with 3 when something is not as in the backup', async () => {
      const claim = at(KIND.volumeClaim, CHE, 'for-every-user');
      const { apiVersion, kind, metadata, spec } = await api().get(claim);
      const { name, namespace, labels } = metadata;
      const made = (accessModes: readonly string[]): KubeObject => ({
        apiVersion,
        kind,
        metadata: { name, namespace, labels } as KubeObject['metadata'],
        spec: { ...spec, accessModes },
      });
      const replace = async (accessModes: readonly string[]): Promise<void> => {
        await api().remove(claim);
        await until(
          'the volume is gone',
          async () => !(await api().list(KIND.volumeClaim, CHE)).some((each) => each.metadata.name === name),
        );
        await api().create(made(accessModes));
      };
      await replace(['ReadWriteMany']);
      const ran = await run(['server:restore', '-s', id, '--batch'], env);
      expect(ran.status).toBe(3);
      expect(ran.stdout).toMatch(/^different: PersistentVolumeClaim eclipse-che\/for-every-user: spec/m);
      expect(ran.stderr).toBe('1 objects are not as in the backup\n');
      const told = await run(['server:restore', '-s', id, '--batch', '--json'], env);
      expect(told.messages()).toContainEqual(
        expect.objectContaining({ message_type: 'difference', problem: 'different' }),
      );
      await replace(['ReadWriteOnce']);
    });

    it('of another version is refused, until that is allowed', async () => {
      await api().merge(at(KIND.cheClusterV2, CHE, 'eclipse-che'), { status: { cheVersion: '7.91.0' } }, 'status');
      const words = ['server:restore', '-s', id, '--dry-run'];
      const refused = await run(words, env);
      expect(refused).toMatchObject({ status: 1, stdout: '' });
      expect(refused.stderr).toMatch(/another version.*\n {2}version: 7\.90\.0 → 7\.91\.0\n.*--allow version/);
      const allowed = await ok([...words, '--allow', 'namespace,version'], env);
      expect(allowed.stdout).toContain('Another version than that of the backup: 7.91.0, not 7.90.0\n');
      await api().merge(at(KIND.cheClusterV2, CHE, 'eclipse-che'), { status: { cheVersion: '7.90.0' } }, 'status');
    });
  });

  describe('on a terminal', { timeout: PATIENCE_MS }, () => {
    let env: Env;
    let id: string;
    beforeAll(async () => {
      env = await commands().repository('terminal');
      id = await commands().backUp(env);
    });

    it('asks before a restore, and takes no for an answer', async () => {
      await api().remove(oauth);
      const question = /Restore Eclipse Che in eclipse-che\?/;
      const no = await commands().program.onTerminal(['server:restore', '-s', id], [{ question, keys: 'n' }], env);
      expect(no).toMatchObject({ status: 0 });
      expect(no.stdout).toContain('nothing was changed');
      const interrupted = await commands().program.onTerminal(
        ['server:restore', '-s', id],
        [{ question, keys: '\u0003' }],
        env,
      );
      expect(interrupted).toMatchObject({ status: 130 });
      await expect(api().get(oauth)).rejects.toThrow('404');
      const yes = await commands().program.onTerminal(['server:restore', '-s', id], [{ question, keys: 'y' }], env);
      expect(yes.stdout).toContain('restored: 1 objects');
      expect(yes).toMatchObject({ status: 0 });
    });

    it('asks nothing with --batch', async () => {
      const ran = await commands().program.onTerminal(['server:restore', '-s', id, '--batch'], [], env);
      expect(ran).toMatchObject({ status: 0 });
      expect(ran.stdout).toMatch(/^restored: \d objects/m);
    });
  });

  describe('errors', () => {
    let env: Env;
    beforeAll(async () => {
      env = await commands().repository('errors');
    });

    it.each<[readonly string[], Record<string, string>, number, RegExp]>([
      [['list'], { BACKUP_REPOSITORY_PASSWORD: canary('wrong') }, 12, /^Fatal: wrong password/],
      [['show', 'latest'], {}, 1, /^Fatal: the repository has no backup of this installation/],
      [['show', 'abcdef12'], {}, 1, /^Fatal: .*abcdef12/],
      [['extract', 'latest'], {}, 1, /--target/],
      [['diff'], {}, 1, /before/],
      [['server:restore', '-s', 'latest'], {}, 1, /^there is no terminal to ask on: add --batch/],
      [['server:restore', '--batch'], {}, 1, /--snapshot-id/],
      [['server:restore', '-s', 'latest', '--batch', '--json'], {}, 1, /"message_type":"exit_error","code":1/],
      [['server:restore', '-s', 'latest', '--allow', 'everything', '--batch'], {}, 1, /--allow.*everything/],
      [['server:restore', '-s', 'latest', '--ready-timeout', 'soon', '--batch'], {}, 1, /--ready-timeout/],
      [['server:restore', '--rollback', '--batch'], {}, 1, /there is no Che operator/],
      [
        ['server:restore', '--backup-cr-name', 'none', '--batch'],
        {},
        1,
        /CheClusterBackup none is not in the namespace/,
      ],
      [['server:backup', '--backup-server-config-name', 'none'], {}, 1, /configuration none is not in the namespace/],
      [['server:backup', '-n', 'nowhere'], {}, 1, /no CheCluster is in namespace nowhere/],
      [['server:backup', '--context', 'nobody', '-n', CHE], {}, 1, /^Fatal: /],
      [['server:backup', '--context', 'nonsense'], {}, 1, /no such context.*nonsense/],
      [['server:backup', '--internal-server'], {}, 1, /only from inside of the cluster.*--via-operator/],
      [['server:backup', '-r', 'rest:http://127.0.0.1:9/', '--password', canary('argument')], {}, 1, /--username/],
      [['server:backup', '-r', `ftp://u:${canary('url')}@h/`], {}, 1, /rest:, s3: or sftp:/],
      [['server:backup', '-r', `rest:http://u:${canary('url')}@h:x/`], {}, 1, /the repository URL is wrong/],
      [['server:backup', '-r', 'rest:http://127.0.0.1:9/', '-p', canary('p'), '--rollback'], {}, 1, /--rollback/],
      [['server:backup', '--repository-password-file', 'missing'], {}, 1, /missing does not exist/],
    ])('number %#', async (words, more, status, message) => {
      const ran = await run(words, { ...env, ...more });
      expect(ran.stderr).toMatch(message);
      expect(ran).toMatchObject({ status, stdout: '' });
    });

    it('have the exit statuses of restic', async () => {
      const opened = { backend: localBackend(join(commands().backups.data, 'errors')), password: PASSWORD, workers: 0 };
      const held = await openRepository(opened);
      const lock = await held.lock({ exclusive: true });
      try {
        expect(await run(['server:backup'], env)).toMatchObject({ status: 11 });
      } finally {
        await lock[Symbol.asyncDispose]();
        await held[Symbol.asyncDispose]();
      }
    });
  });

  describe('when everything is lost', () => {
    it('goes on elsewhere', async () => {
      const env = await commands().repository('elsewhere');
      await commands().backUp(env);
      await destroy(api(), commands().che);
      const words = ['server:restore', '-n', 'other-che', '-s', 'latest'];
      // Of that place there is no backup, unless one of another is allowed.
      const none = await run([...words, '--dry-run'], env);
      expect(none).toMatchObject({ status: 1, stderr: expect.stringContaining('no backup of this installation') });
      const refused = await run([...words, '--allow', 'cluster', '--dry-run'], env);
      expect(refused.stderr).toMatch(
        /another namespace.*\n {2}namespace: eclipse-che → other-che\n.*--allow namespace/,
      );
      const moved = [...words, '--allow', 'namespace', '--domain', 'apps.two.example', '--batch'];
      const restored = await ok(moved, env);
      expect(restored.stdout).not.toContain('has what was there before');
      const { spec } = await api().get(at(KIND.cheClusterV2, 'other-che', 'eclipse-che'));
      expect(spec).toMatchObject({ networking: { auth: { oAuthClientName: 'other-che-client' } } });
      // It is what is meant without a word now.
      expect((await ok(['server:backup'], env)).stdout).toContain(' in other-che to ');
    });
  });

  it('shows no secret', async () => {
    const printed = commands().program.printed();
    expect(printed).toContain('saved');
    expectNoCanary('che-backup', printed);
    for (const secret of (await commands().backups.place('any')).secrets) expect(printed).not.toContain(secret);
  });
});
