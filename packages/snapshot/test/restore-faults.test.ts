/** Damage, failing stores, failing targets, and giving up. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { EngineError } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { codecFor, withUpload } from '@restic-engine/repository';
import { restoreTree } from '../src/restore/restore-tree.ts';
import { dir, file, makeRepository, storeTree } from './restore-harness.ts';
import type { TestRepository } from './restore-harness.ts';
import { makeTempDir } from './temp-dir.ts';

const isRoot = process.getuid?.() === 0;

/** Spoils the stored bytes of a data blob each time they are read. */
function spoil(repo: TestRepository, id: Id, spoilPack?: Id): void {
  const places = repo.indexed.locateAll('data', id).filter(({ pack }) => spoilPack === undefined || pack === spoilPack);
  const { indexed } = repo;
  const loadRange = indexed.loadRange.bind(indexed);
  indexed.loadRange = async (pack, range, call) => {
    const bytes = await loadRange(pack, range, call);
    for (const place of places) {
      const at = place.offset + 20 - range.offset;
      if (place.pack === pack && at >= 0 && at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ 1;
    }
    return bytes;
  };
}

async function blobOf(repo: TestRepository, tree: Id, name: string): Promise<Id> {
  const node = (await repo.indexed.loadTree(tree)).find((candidate) => candidate.name === name);
  return node?.content?.[0] ?? '';
}

describe.each([{ workers: 0 }, { workers: 2 }])('damage, with $workers workers', ({ workers }) => {
  it('a corrupt blob costs the files that need it, no others', async () => {
    await using repo = await makeRepository({ workers });
    using temp = makeTempDir();
    const tree = await storeTree(repo.indexed, [
      file('bad', 'damaged'),
      file('also', 'fine', 'damaged'),
      file('good', 'fine'),
      dir('d', file('x', 'other')),
    ]);
    spoil(repo, await blobOf(repo, tree, 'bad'));
    const result = await restoreTree(repo.indexed, tree, { target: temp.path, verify: true });
    expect(result.errors.map(({ path, error }) => `${path} ${error.code}`).sort()).toEqual([
      '/also corrupt',
      '/bad corrupt',
    ]);
    expect(readFileSync(join(temp.path, 'good'), 'utf8')).toBe('fine');
    expect(readFileSync(join(temp.path, 'd/x'), 'utf8')).toBe('other');
    expect(result).toMatchObject({ filesTotal: 5, filesRestored: 3, verified: 2 });
  });

  it('takes a blob from its other copy', async () => {
    await using repo = await makeRepository({ workers });
    using temp = makeTempDir();
    const tree = await storeTree(repo.indexed, [file('f', 'first', 'twice'), file('g', 'twice')]);
    const id = await blobOf(repo, tree, 'g');
    await storeCopy(repo, id, 'twice');
    const [first, second] = repo.indexed.locateAll('data', id);
    expect(second).toBeDefined();
    spoil(repo, id, first?.pack);
    const result = await restoreTree(repo.indexed, tree, { target: temp.path, verify: true });
    expect(result).toMatchObject({ errors: [], verified: 2, filesRestored: 2, bytesRestored: 15 });
    expect(readFileSync(join(temp.path, 'f'), 'utf8')).toBe('firsttwice');
  });
});

/** Stores a blob again, as two backups at the same time do. */
async function storeCopy(repo: TestRepository, id: Id, content: string): Promise<void> {
  const { seal } = codecFor(repo.repository.codecSpec);
  await withUpload(repo.indexed, {}, (upload) => upload.add([seal('data', new TextEncoder().encode(content), id)]));
}

describe('the store', () => {
  it('a pack that is gone costs only its files', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const lost = await storeTree(repo.indexed, [file('lost', 'lost content')]);
    const tree = await storeTree(repo.indexed, [
      { name: 'd', type: 'dir', subtree: lost },
      file('kept', 'kept content'),
    ]);
    const place = repo.indexed.locate('data', await blobOf(repo, lost, 'lost'));
    await repo.backend.remove({ type: 'data', name: place?.pack ?? '' });
    const result = await restoreTree(repo.indexed, tree, { target: temp.path });
    expect(result.errors).toMatchObject([{ path: '/d/lost', error: { code: 'not-found' } }]);
    expect(readFileSync(join(temp.path, 'kept'), 'utf8')).toBe('kept content');
  });

  it('rejects when nothing can be read at all', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const tree = await storeTree(
      repo.indexed,
      Array.from({ length: 40 }, (_, index) => file(`f${index}`, `content ${index}`)),
    );
    await repo.indexed.loadTree(tree);
    repo.indexed.loadRange = () => Promise.reject(new EngineError('io', 'the store is down'));
    await expect(restoreTree(repo.indexed, tree, { target: temp.path })).rejects.toMatchObject({
      code: 'io',
      message: 'the store is down',
    });
  });

  it('gives a request that failed in passing a second chance', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const tree = await storeTree(repo.indexed, [file('f', 'content')]);
    const { indexed } = repo;
    const loadRange = indexed.loadRange.bind(indexed);
    let failures = 1;
    indexed.loadRange = (...request) =>
      failures-- > 0 ? Promise.reject(new EngineError('io', 'once')) : loadRange(...request);
    expect((await restoreTree(indexed, tree, { target: temp.path })).errors).toEqual([]);
  });

  it('rejects when the tree itself cannot be read', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    await expect(restoreTree(repo.indexed, 'ab'.repeat(32), { target: temp.path })).rejects.toMatchObject({
      code: 'not-found',
    });
  });
});

describe('the target', () => {
  it('rejects when it cannot be made', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    writeFileSync(join(temp.path, 'file'), '');
    const tree = await storeTree(repo.indexed, [file('f', 'x')]);
    await expect(restoreTree(repo.indexed, tree, { target: join(temp.path, 'file/target') })).rejects.toBeInstanceOf(
      EngineError,
    );
    await expect(restoreTree(repo.indexed, tree, { target: join(temp.path, 'file') })).rejects.toBeInstanceOf(
      EngineError,
    );
  });

  // Permissions do not stop root.
  it.skipIf(isRoot)('reports what it may not write and goes on', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const tree = await storeTree(repo.indexed, [dir('closed', file('f', 'x')), file('ok', 'y')]);
    mkdirSync(join(temp.path, 'closed'), { mode: 0o500 });
    const result = await restoreTree(repo.indexed, tree, { target: temp.path });
    expect(result.errors).toMatchObject([{ path: '/closed/f', error: { code: 'denied' } }]);
    expect(readFileSync(join(temp.path, 'ok'), 'utf8')).toBe('y');
  });

  it.skipIf(isRoot)('writes to existing files that are read-only', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const tree = await storeTree(repo.indexed, [{ ...file('f', 'new'), mode: 0o444 }]);
    writeFileSync(join(temp.path, 'f'), 'old');
    chmodSync(join(temp.path, 'f'), 0o444);
    expect((await restoreTree(repo.indexed, tree, { target: temp.path })).errors).toEqual([]);
    expect(readFileSync(join(temp.path, 'f'), 'utf8')).toBe('new');
  });
});

describe('aborting', () => {
  it('rejects at once when the signal has fired before', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const tree = await storeTree(repo.indexed, [file('f', 'x')]);
    await expect(
      restoreTree(repo.indexed, tree, { target: temp.path, signal: AbortSignal.abort() }),
    ).rejects.toMatchObject({ code: 'aborted' });
  });

  it.each([{ workers: 0 }, { workers: 2 }])(
    'stops soon and leaves nothing running, with $workers workers',
    async ({ workers }) => {
      await using repo = await makeRepository({ workers });
      using temp = makeTempDir();
      const entries = Array.from({ length: 6000 }, (_, index) => file(`f${index}`, `content ${index}`));
      const tree = await storeTree(repo.indexed, [dir('d', ...entries)]);
      const controller = new AbortController();
      let done = 0;
      const started = performance.now();
      const restoring = restoreTree(repo.indexed, tree, {
        target: temp.path,
        signal: controller.signal,
        onItem() {
          if (++done === 100) controller.abort();
        },
      });
      await expect(restoring).rejects.toMatchObject({ code: 'aborted' });
      expect(performance.now() - started).toBeLessThan(3000);
      const left = readdirSync(join(temp.path, 'd')).length;
      await setTimeout(50);
      expect(readdirSync(join(temp.path, 'd')).length).toBe(left);
      expect(left).toBeLessThan(6000);
    },
  );
});
