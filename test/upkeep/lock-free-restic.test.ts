import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { localBackend, prune, repairPacks, withFaults, wrap } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { filesOf, openStore, storeOf } from '../support/damage.ts';
import { openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import type { Restic } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { checkAll, copyToFolder, forgetDays, makeHistory } from './repository.ts';
import { LOCK_FREE, lockAs, makeWaiting, packsNamed, withEvent } from './waiting.ts';

// What restic makes of a repository at each stage of lock-free prunes.

await describeWithPeer('restic', 'restic', (peer) => {
  /** Looks, checks, backs up and restores. */
  async function expectUsable(restic: Restic, path: string): Promise<void> {
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    await restic.ok(['backup', 'source', '--force']);
    await restic.ok(['restore', 'latest', '--target', join(path, `restored ${Math.random()}`), '--verify']);
    await restic.ok(['list', 'blobs']);
  }

  it('works at every stage', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    mkdirSync(join(folder.path, 'source'));
    writeFileSync(join(folder.path, 'source', 'file'), 'content');
    const garbage = await storeOf(await makeHistory());
    await forgetDays(await openStore(garbage), [0, 2, 3]);
    await copyToFolder(await filesOf(garbage), repo);
    const restic = resticAt(peer, { repo, cwd: folder.path });
    const store = localBackend(repo);

    // Somebody is at work: what was seen is written down.
    const lock = await lockAs(store, 7);
    expect((await prune(await openStore(store), LOCK_FREE)).lockFree!.postponed).toBeGreaterThan(0);
    expect(await restic.ok(['list', 'locks'])).toContain(lock);
    await store.remove({ type: 'lock', name: lock });
    await expectUsable(restic, folder.path);

    // Marked, but the run died before it knew who was at work.
    let saved = 0;
    const dying = withFaults({
      crash: { after: 0, when: ({ method, type }) => (saved += Number(method === 'save' && type === 'index')) > 2 },
    });
    const failing = prune(await openStore(wrap(store, dying)), LOCK_FREE);
    await expect(failing).rejects.toMatchObject({ code: 'io' });
    await restic.ok(['unlock', '--remove-all']);
    await expectUsable(restic, folder.path);

    // Marked, while restic goes on.
    const during = async (): Promise<void> => {
      await restic.ok(['backup', 'source', '--force']);
      expect(await restic.ok(['list', 'locks'])).not.toBe('');
      expect((await restic.run(['forget', '--keep-last', '1'])).status).toBe(11);
      await restic.ok(['unlock']);
    };
    const isMark = ({ method, type }: { method: string; type: string | undefined }): boolean =>
      method === 'save' && type === 'index';
    const { lockFree } = await prune(await openStore(withEvent(store, isMark, during)), LOCK_FREE);
    expect(lockFree!.waiting).toBeGreaterThan(0);
    await expectUsable(restic, folder.path);

    // restic's own prune and repair have no use for marks, and leave none.
    const other = join(folder.path, 'other');
    cpSync(repo, other, { recursive: true });
    const there = resticAt(peer, { repo: other, cwd: folder.path });
    await there.ok(['prune', '--max-unused', '0']);
    expect(await there.ok(['check'])).not.toContain('additional files');
    expect(await checkAll(localBackend(other))).toMatchObject({ errors: [], hints: [] });

    await prune(await openStore(store), LOCK_FREE);
    await expectUsable(restic, folder.path);
    expect(await checkAll(store)).toMatchObject({ errors: [] });
  }, 120_000);

  it('repairs the index where a snapshot needs what is only marked', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    const { files } = await makeWaiting();
    // restic would take packs for damaged whose bytes are not what their names say.
    await copyToFolder(
      files.filter(({ type, name }) => type !== 'data' || !/^(ab|cd){32}$/.test(name)),
      repo,
    );
    const restic = resticAt(peer, { repo, cwd: folder.path });
    expect((await restic.run(['check'])).status).toBe(1);
    await restic.ok(['repair', 'index']);
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    await using repository = await openAt(repo, { workers: 0 });
    const { lockFree } = await prune(repository, LOCK_FREE);
    expect(lockFree!.deleted).toBe(0);
    await prune(repository, LOCK_FREE);
    expect(await restic.ok(['check', '--read-data'])).not.toContain('additional files');
  }, 60_000);

  it('removes packs that wait, and nobody names them again', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    const garbage = await storeOf(await makeHistory());
    await forgetDays(await openStore(garbage), [0, 2, 3]);
    await prune(await openStore(garbage), LOCK_FREE);
    await copyToFolder(await filesOf(garbage), repo);
    const restic = resticAt(peer, { repo, cwd: folder.path });
    await restic.ok(['prune', '--max-unused', 'unlimited']);
    const store = localBackend(repo);
    const { named, marked } = await packsNamed(await openStore(store));
    // With nothing else to do, restic leaves the index as it is.
    expect(marked.size).toBeGreaterThan(0);
    const [pack] = named;
    await repairPacks(await openStore(store), [pack!], { keepCopy: async () => undefined });
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    expect((await packsNamed(await openStore(store))).marked.size).toBe(0);
  });
});
