/** che-backup as people call it, against a real API server: what it prints, what it changes, and how it ends. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeObject, ObjectRef } from '@restic-engine/che-state';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { startOurs, type Ours } from '../servers/ours.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { KIND } from './crds/kinds.ts';
import { canary, expectNoCanary } from './support/canary.ts';
import { startCheBackup, type CheBackup, type CheRun } from './support/che-backup.ts';
import { destroy, install, installationV2 } from './support/installation.ts';
import { takePicture } from './support/picture.ts';
import { startPlace, type Place } from './support/restoring.ts';

const CHE = 'eclipse-che';
const PASSWORD = canary('repository');
const che = installationV2({ users: 2, devWorkspaces: 3 });

const at = (kind: ObjectRef['kind'], namespace: string | undefined, name: string): ObjectRef => ({
  kind,
  namespace,
  name,
});
const oauth = at(KIND.secret, CHE, 'github-oauth');

await describeWithPeer('kube-apiserver', 'che-backup', () => {
  let place: Place;
  let backups: Ours;
  let program: CheBackup;
  beforeAll(async () => {
    [place, backups] = await Promise.all([startPlace(), startOurs()]);
    program = startCheBackup(place.server.kubeconfig);
    await install(place.api, che);
  });
  afterAll(async () => {
    program[Symbol.dispose]();
    await destroy(place.api, che);
    await backups[Symbol.asyncDispose]();
    await place[Symbol.asyncDispose]();
  });

  /** The environment that names a repository of that name, for nobody but this test. */
  const repository = async (name: string): Promise<Record<string, string>> => ({
    BACKUP_REPOSITORY_URL: (await backups.place(name)).location,
    BACKUP_REPOSITORY_PASSWORD: PASSWORD,
  });

  const ok = async (words: readonly string[], env: Readonly<Record<string, string>>): Promise<CheRun> => {
    const run = await program.run(words, env);
    expect(run, words.join(' ')).toMatchObject({ status: 0 });
    return run;
  };

  const backUp = async (env: Readonly<Record<string, string>>): Promise<string> => {
    const summary = (await ok(['server:backup', '--json'], env)).messages().at(-1);
    return String(summary?.['snapshot_id']);
  };

  describe('a backup', () => {
    it('is made, listed, shown, extracted and compared', async () => {
      const env = await repository('life');
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
      expect(objects[0]).toMatchObject({ message_type: 'backup', objects: che.saved.length });
      expect(objects).toHaveLength(che.saved.length + 1);

      using folder = makeTempDir();
      const target = join(folder.path, 'extracted');
      await ok(['extract', id, '--target', target], env);
      expect(readdirSync(target)).toEqual(expect.arrayContaining(['backup-info.yaml', 'che-cr.yaml', 'secrets']));
      const secret = join(target, 'secrets', 'github-oauth.yaml');
      expect(readFileSync(secret, 'utf8')).toContain('kind: Secret');
      expect(statSync(secret).mode & 0o777).toBe(0o600);

      expect((await ok(['diff', 'latest'], env)).stdout).toBe('objects: 0 added, 0 removed, 0 changed\n');
      await place.api.merge(oauth, { data: { id: Buffer.from(canary('changed')).toString('base64') } });
      const differing = await ok(['diff', 'latest'], env);
      expect(differing.stdout).toContain('M    Secret eclipse-che/github-oauth\nM      data.id: ');
      const second = await backUp(env);
      const changes = (await ok(['diff', id, second, '--json'], env)).messages();
      expect(changes).toMatchObject([
        { message_type: 'change', kind: 'Secret', name: 'github-oauth', change: 'changed' },
        { message_type: 'statistics', added: 0, removed: 0, changed: 1 },
      ]);
    });
  });
});
