import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeTree, sha256 } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import { describe, expect, it, onTestFinished } from 'vitest';
import { diskCache, memoryBackend, withFaults } from '../../backends/src/index.ts';
import { prune } from '../src/upkeep/prune.ts';
import { check } from '../src/upkeep/check.ts';
import { withUpload } from '../src/store/upload.ts';
import type { Repository } from '../src/repository.ts';
import { initialized, names, opened } from './harness.ts';

// The repository behind restic's cache: what it asks the store for, and what it does about damage.

interface Place {
  readonly store: Backend;
  /** `load data` and so on, since they were looked at last. */
  calls(): string[];
  open(): Promise<Repository>;
  /** Where the copies of a type are. */
  copies(type: 'data' | 'index' | 'snapshots'): string[];
}

async function makePlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'cache-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = await initialized({ backend: memoryBackend() });
  const calls: string[] = [];
  const counted = withFaults({
    onCall: ({ method, type }) => ['data', 'index', 'snapshot'].includes(type ?? '') && calls.push(`${method} ${type}`),
  })(store);
  return {
    store,
    calls: () => calls.splice(0),
    open: async () => {
      const repository = await opened(counted, { cache: diskCache({ folder }) });
      onTestFinished(() => repository[Symbol.asyncDispose]());
      return repository;
    },
    copies: (type) => {
      const [id = ''] = readdirSync(folder).filter((name) => name.length === 64);
      const found = readdirSync(join(folder, id, type), { recursive: true, withFileTypes: true });
      return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    },
  };
}

function treeOf(seed: number): Uint8Array {
  const time = '2024-01-01T00:00:00Z';
  const fields = { mtime: time, atime: time, ctime: time, uid: 0, gid: 0, mode: 0o777, content: null } as const;
  return encodeTree([{ name: `link ${seed}`, type: 'symlink', linkTarget: 'x', ...fields }]);
}

const trees = [1, 2, 3].map(treeOf);
const data = new TextEncoder().encode('content');

async function fill(repository: Repository): Promise<void> {
  const indexed = await repository.loadIndex();
  await withUpload(indexed, {}, async (upload) => {
    for (const tree of trees) await upload.save('tree', tree);
    await upload.save('data', data);
  });
}

/** Everything of a snapshot but data. */
async function look(repository: Repository): Promise<void> {
  const indexed = await repository.loadIndex();
  for (const tree of trees) expect(await indexed.loadTreeBytes(sha256(tree))).toEqual(tree);
}

describe('a repository behind a cache', () => {
  it('has copies of the tree packs and index files it saved, and of nothing else', async () => {
    const { store, open, calls, copies } = await makePlace();
    await fill(await open());
    expect(await names(store, 'data')).toHaveLength(2);
    expect([copies('data').length, copies('index').length, copies('snapshots').length]).toEqual([1, 1, 0]);
    calls();
    await look(await open());
    expect(calls()).toEqual(['list index']);
  });

  it('asks the store once for each index file and pack of trees, and then no more', async () => {
    const { store, open, calls, copies } = await makePlace();
    await fill(await opened(store));
    await look(await open());
    expect(calls().sort()).toEqual(['list index', 'load data', 'load index']);
    expect(copies('data')).toHaveLength(1);
    await look(await open());
    expect(calls()).toEqual(['list index']);
  });

  it.each(['data', 'index'] as const)('fetches a damaged copy of %s again', async (type) => {
    const { open, calls, copies } = await makePlace();
    await fill(await open());
    const [copy = ''] = copies(type);
    const sound = readFileSync(copy);
    const damaged = Uint8Array.from(sound, (byte) => byte ^ 0x80);
    for (const content of [damaged, sound.subarray(0, 40), new Uint8Array()]) {
      writeFileSync(copy, content);
      calls();
      await look(await open());
      // A part of the pack at once, all of it when another part is wanted.
      const loads = calls().filter((call) => call !== 'list index');
      expect(new Set(loads)).toEqual(new Set([`load ${type}`]));
      expect(loads.length).toBeLessThanOrEqual(type === 'data' ? 3 : 1);
      await look(await open());
      await look(await open());
      expect(readFileSync(copy).equals(sound)).toBe(true);
    }
  });

  it('does not blame the cache for damage in the store', async () => {
    const { store, open, calls } = await makePlace();
    await fill(await opened(store));
    for await (const { name } of store.list('data')) {
      const file = { type: 'data', name } as const;
      const bytes = await store.load(file);
      await store.save(file, [bytes.map((byte) => byte ^ 1)]);
    }
    const indexed = await (await open()).loadIndex();
    calls();
    for (const tree of trees) {
      await expect(indexed.loadTreeBytes(sha256(tree))).rejects.toMatchObject({ code: 'corrupt' });
    }
    // The stretch, and two attempts for each blob.
    expect(calls()).toHaveLength(1 + 2 * trees.length);
  });

  it('drops copies of packs that no index names any more', async () => {
    const { store, open, copies } = await makePlace();
    await fill(await open());
    const [copy = ''] = copies('data');
    await new Promise((resolve) => setTimeout(resolve, 10));
    // By somebody who has another cache: nothing refers to the trees.
    await prune(await opened(store), { maxUnused: 0 });
    expect(await names(store, 'data')).toEqual([]);
    expect(existsSync(copy)).toBe(true);
    const repository = await open();
    await repository.loadIndex();
    await repository[Symbol.asyncDispose]();
    expect(existsSync(copy)).toBe(false);
    expect(copies('index')).toHaveLength(0);
  });

  it('reads packs from the store when their data is checked', async () => {
    const { open, calls } = await makePlace();
    await fill(await open());
    calls();
    const { errors, packsRead } = await check(await open(), { readData: true });
    expect([errors, packsRead]).toEqual([[], 2]);
    expect(calls().filter((call) => call === 'load data')).toHaveLength(2);
  });
});
