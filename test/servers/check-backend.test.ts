import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeWithPeer, peer } from '../peers/peers.ts';
import { makePrograms } from '../support/programs.ts';
import { describeWithServers, KINDS, openPlace, placesOn } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';
import { startRestServer } from './rest-server.ts';

// What a person is told of a server that is in order, and that nothing stays there.

showLogsOfFailures();

/** One of each protocol: what the command runs is the suite that `conformance.test.ts` and others run on all of them. */
const ONE_OF_EACH = KINDS.filter(({ name }) => ['rest-server', 'Ceph', 'sshd'].includes(name));

await describeWithServers('check-backend', ONE_OF_EACH, ({ kind, server, restic }) => {
  it('finds every promise kept and leaves no file', async () => {
    const places = await placesOn(server(), 'checked');
    using programs = makePrograms(restic, { places });
    const { status, stdout, stderr } = await programs.ours('check-backend');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/\n\d+ promises kept, 0 broken\n$/);
    for (const secret of places.ours.secrets) expect(stdout).not.toContain(secret);
    const [, scratch = ''] = /^checking .*(restic-engine-check-[0-9a-f]+)/.exec(stdout) ?? [];
    await using left = await openPlace(await server().place(`checked/${scratch}`));
    for (const type of ['key', 'lock', 'snapshot', 'index', 'data'] as const) {
      expect(await Array.fromAsync(left.list(type))).toEqual([]);
    }
    await expect(left.stat({ type: 'config', name: '' })).rejects.toMatchObject({ code: 'not-found' });
    if (kind.protocol === 's3') {
      // Neither is the bucket, which was not there before.
      const saving = left.save({ type: 'lock', name: 'a'.repeat(64) }, []);
      await expect(saving).rejects.toMatchObject({ code: 'not-found' });
    }
    const running = server();
    if (kind.protocol === 'sftp' && 'folder' in running && typeof running.folder === 'function') {
      expect(existsSync(String(running.folder('checked')))).toBe(false);
    }
  }, 120_000);
});

await describeWithPeer('rest-server', 'rest-server that only takes in: check-backend', (program) => {
  it('stores nothing unless it is told to, and then finds every promise kept', async () => {
    const restic = await peer('restic');
    if (restic === undefined) throw new Error('restic is a peer of every machine');
    await using server = await startRestServer(program, { flags: ['--append-only'] });
    using programs = makePrograms(restic, { places: await placesOn(server, 'checked') });
    const refused = await programs.ours('check-backend');
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/append-only.*\n.*--leave-files/);
    const { status, stdout, stderr } = await programs.ours('check-backend', '--leave-files');
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/\n\d+ promises kept, 0 broken\n$/);
  }, 120_000);
});
