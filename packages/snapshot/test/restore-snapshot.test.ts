import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { backup } from '../src/backup/backup.ts';
import { restore } from '../src/restore/restore.ts';
import { objects } from '../src/source/objects.ts';
import { makeRepository } from './restore-harness.ts';
import { makeTempDir } from './temp-dir.ts';

const source = () =>
  objects([
    { path: 'a/b/c.txt', content: 'deep' },
    { path: 'a/top.txt', content: 'top' },
  ]);

describe('restoring a snapshot', () => {
  it('brings back what a backup took', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const { snapshotId } = await backup(repo.repository, { source: source() });
    const result = await restore(repo.repository, { snapshot: 'latest', target: temp.path, verify: true });
    expect(result).toMatchObject({ errors: [], verified: 2, snapshot: { id: snapshotId } });
    expect(readFileSync(join(temp.path, 'a/b/c.txt'), 'utf8')).toBe('deep');
  });

  it('restores the content of a folder of it', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const { snapshotId = '' } = await backup(repo.repository, { source: source() });
    const snapshot = `${snapshotId.slice(0, 8)}:a/b`;
    expect((await restore(repo.repository, { snapshot, target: temp.path })).errors).toEqual([]);
    expect(readFileSync(join(temp.path, 'c.txt'), 'utf8')).toBe('deep');
    expect(existsSync(join(temp.path, 'a'))).toBe(false);
    const missing = restore(repo.repository, { snapshot: `${snapshotId}:a/x`, target: temp.path });
    await expect(missing).rejects.toMatchObject({ code: 'not-found' });
  });

  it('holds a lock meanwhile, and needs none if told so', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    await backup(repo.repository, { source: source() });
    await using _exclusive = await repo.repository.lock({ exclusive: true });
    const options = { snapshot: 'latest', target: temp.path };
    await expect(restore(repo.repository, options)).rejects.toMatchObject({ code: 'locked' });
    expect(await restore(repo.repository, { ...options, lock: false })).toMatchObject({ errors: [], filesRestored: 4 });
  });

  it('refuses options that contradict each other before it does anything', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const options = { snapshot: 'latest', target: join(temp.path, 't'), include: ['a'], exclude: ['b'] };
    await expect(restore(repo.repository, options)).rejects.toMatchObject({ code: 'bad-request' });
    expect(existsSync(options.target)).toBe(false);
  });
});
