import { describe, expect, it } from 'vitest';
import { encodeSnapshot, encodeTree, sha256 } from '@restic-engine/repo-format';
import type { Backend, Id } from '@restic-engine/repo-format';
import { memoryBackend } from '../../backends/src/index.ts';
import type { Repository } from '../src/repository.ts';
import { withUpload } from '../src/store/upload.ts';
import { check } from '../src/upkeep/check.ts';
import { prune } from '../src/upkeep/prune.ts';
import { codeOf, initialized, names, noise, opened } from './harness.ts';

const SHARED = noise(5000, 1);

/** A snapshot of one file. */
async function saveSnapshot(repository: Repository, content: readonly Id[]): Promise<void> {
  const time = '2030-01-01T00:00:00Z';
  const times = { mtime: time, atime: time, ctime: time };
  const file = { name: 'file', type: 'file', mode: 0o644, ...times, uid: 0, gid: 0, size: 5000, content } as const;
  const saving = async (upload: { save(type: 'tree', plain: Uint8Array): Promise<{ id: Id }> }): Promise<Id> =>
    (await upload.save('tree', encodeTree([file]))).id;
  const tree = await withUpload(await repository.loadIndex(), {}, saving);
  await repository.saveFile('snapshot', encodeSnapshot({ time, tree, paths: ['/file'] }));
}

/** Two packs that hold the same blob and each another one, which nobody needs; the snapshot needs the first. */
async function makeTwins(): Promise<{ backend: Backend; packs: Id[] }> {
  const backend = await initialized();
  const repository = await opened(backend);
  // Both know nothing of each other, like two backups that run at once.
  const both = [await repository.loadIndex(), await repository.loadIndex()];
  for (const [seed, indexed] of both.entries()) {
    await withUpload(indexed, {}, async (upload) => {
      await upload.save('data', SHARED);
      await upload.save('data', noise(3000, seed + 10));
    });
  }
  const packs = await names(backend, 'data');
  await saveSnapshot(repository, [sha256(SHARED)]);
  return { backend, packs };
}

async function copyOf(backend: Backend): Promise<Backend> {
  const copy = memoryBackend();
  await copy.save({ type: 'config', name: '' }, [await backend.load({ type: 'config', name: '' })]);
  for (const type of ['key', 'snapshot', 'index', 'data'] as const) {
    for (const name of await names(backend, type))
      await copy.save({ type, name }, [await backend.load({ type, name })]);
  }
  return copy;
}

async function damage(backend: Backend, pack: Id): Promise<void> {
  const repository = await opened(backend);
  const copies = (await repository.loadIndex()).locateAll('data', sha256(SHARED));
  const { offset } = copies.find((copy) => copy.pack === pack)!;
  const bytes = await backend.load({ type: 'data', name: pack });
  bytes[offset + 20]! ^= 1;
  await backend.save({ type: 'data', name: pack }, [bytes]);
}

describe('prune', () => {
  it.each([0, 1])('takes the sound copy of a blob when the other one is damaged (%i)', async (which) => {
    const { backend, packs } = await makeTwins();
    await damage(backend, packs[which]!);
    const repository = await opened(backend);
    const { stats } = await prune(repository, { maxUnused: 0 });
    expect(stats.blobs).toMatchObject({ duplicate: 1, unused: 2, remaining: 2 });
    for (const pack of packs) expect(await names(backend, 'data')).not.toContain(pack);
    expect(await (await repository.loadIndex()).loadBlob('data', sha256(SHARED))).toEqual(SHARED);
    expect(await check(repository, { readData: true, lock: false })).toMatchObject({ errors: [], hints: [] });
  });

  it('fails and removes nothing that is named when no copy is sound', async () => {
    const { backend, packs } = await makeTwins();
    for (const pack of packs) await damage(backend, pack);
    const before = [await names(backend, 'data'), await names(backend, 'index')];
    expect(await codeOf(prune(await opened(backend), { maxUnused: 0 }))).toBe('corrupt');
    for (const [index, type] of (['data', 'index'] as const).entries()) {
      expect(await names(backend, type)).toEqual(expect.arrayContaining(before[index]!));
    }
    expect(await names(backend, 'lock')).toEqual([]);
  });

  it('does not count on a copy in a pack that is missing', async () => {
    const { backend, packs } = await makeTwins();
    const outcomes: unknown[] = [];
    for (const name of packs) {
      const twin = await copyOf(backend);
      await twin.remove({ type: 'data', name });
      const repository = await opened(twin);
      outcomes.push(await codeOf(prune(repository, { maxUnused: 0 })));
      expect(await (await repository.loadIndex()).loadBlob('data', sha256(SHARED))).toEqual(SHARED);
    }
    // The copy that counts lies in one of them, and who prunes is told.
    expect(new Set(outcomes)).toEqual(new Set(['corrupt', 'nothing was thrown']));
  });

  it('changes nothing in a dry run, for which no lock is needed', async () => {
    const { backend } = await makeTwins();
    const repository = await opened(backend);
    const before = await Promise.all((['data', 'index', 'lock'] as const).map((type) => names(backend, type)));
    const { plan } = await prune(repository, { maxUnused: 0, dryRun: true, lock: false });
    expect(plan.repack.size + plan.remove.size).toBe(2);
    expect(await Promise.all((['data', 'index', 'lock'] as const).map((type) => names(backend, type)))).toEqual(before);
    expect(await codeOf(prune(repository, { lock: false }))).toBe('bad-request');
  });

  it('empties a repository without snapshots', async () => {
    const { backend } = await makeTwins();
    const repository = await opened(backend);
    for (const id of await names(backend, 'snapshot')) await repository.removeFile('snapshot', id);
    await prune(repository);
    expect([await names(backend, 'data'), await names(backend, 'index')]).toEqual([[], []]);
  });
});
