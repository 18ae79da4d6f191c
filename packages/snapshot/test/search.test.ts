import { encodeSnapshot } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { backup } from '../src/backup/backup.ts';
import { loadSnapshot } from '../src/find.ts';
import type { SnapshotEntry } from '../src/find.ts';
import { searchBlobs, searchNodes } from '../src/search.ts';
import type { SearchOptions } from '../src/search.ts';
import { objects } from '../src/source/objects.ts';
import { stats } from '../src/stats.ts';
import type { Stats, StatsMode } from '../src/stats.ts';
import { walk } from '../src/walk.ts';
import { codeOf, makeRepository, noise } from './harness.ts';

async function lookInto(
  ...sides: Readonly<Record<string, string | Uint8Array>>[]
): Promise<{ indexed: IndexedRepository; snapshots: SnapshotEntry[]; tree: string }> {
  const { repository } = await makeRepository();
  const snapshots: SnapshotEntry[] = [];
  for (const side of sides) {
    const entries = Object.entries(side).map(([path, content], at) => ({
      path,
      content,
      mtime: `2024-01-0${at + 1}T12:00:00Z`,
    }));
    const { snapshot } = await backup(repository, { source: objects(entries) });
    const id = await repository.saveFile('snapshot', encodeSnapshot(snapshot));
    snapshots.push(await loadSnapshot(repository, id));
  }
  return { indexed: await repository.loadIndex(), snapshots, tree: snapshots[0]?.tree ?? '' };
}

describe('searching for names', () => {
  it('finds by name, by path and without regard to case', async () => {
    const { indexed, tree } = await lookInto({ 'd/A.txt': '1', 'd/b.TXT': '2', 'e/a.txt/x': '3', f: '4' });
    const found = async (options: SearchOptions): Promise<string[]> =>
      (await Array.fromAsync(searchNodes(indexed, tree, options))).map(({ path }) => path);
    // A pattern that matches a directory matches what is in it.
    expect(await found({ patterns: ['a.txt'] })).toEqual(['/e/a.txt', '/e/a.txt/x']);
    expect(await found({ patterns: ['/d/*.txt', 'f'] })).toEqual(['/d/A.txt', '/f']);
    expect(await found({ patterns: ['/D/*.TXT'], ignoreCase: true })).toEqual(['/d/A.txt', '/d/b.TXT']);
    expect(await found({ patterns: ['!f'] })).toEqual(['/f']);
    expect(await found({ patterns: ['none'] })).toEqual([]);
    expect(await codeOf(found({ patterns: ['[a'] }))).toBe('bad-request');
  });

  it('heeds when a file was modified, and both ends count', async () => {
    const { indexed, tree } = await lookInto({ a: '1', b: '2', c: '3' });
    const found = async (oldest?: string, newest?: string): Promise<string[]> =>
      (await Array.fromAsync(searchNodes(indexed, tree, { patterns: ['*'], oldest, newest }))).map(({ path }) => path);
    expect(await found('2024-01-02T12:00:00Z')).toEqual(['/b', '/c']);
    expect(await found(undefined, '2024-01-02T13:00:00+01:00')).toEqual(['/a', '/b']);
    expect(await found('2024-01-01T12:00:00.1Z', '2024-01-03T11:00:00Z')).toEqual(['/b']);
  });
});

describe('searching for blobs', () => {
  it('finds every place of a data blob with the tree around it, and trees', async () => {
    const { indexed, tree } = await lookInto({ 'x/one': 'shared', 'x/y/two': 'shared', three: 'other', 'x/z': 'zz' });
    const nodes = new Map((await Array.fromAsync(walk(indexed, tree))).map(({ path, node }) => [path, node]));
    const [x, y] = [nodes.get('/x')?.subtree ?? '', nodes.get('/x/y')?.subtree ?? ''];
    const [id = ''] = nodes.get('/x/one')?.content ?? [];
    const expected = [
      { type: 'data', id, path: '/x/one', parentTree: x },
      { type: 'data', id, path: '/x/y/two', parentTree: y },
    ];
    expect(await Array.fromAsync(searchBlobs(indexed, tree, { data: [id] }))).toEqual(expected);
    expect(await Array.fromAsync(searchBlobs(indexed, tree, { data: [id.slice(0, 8)] }))).toEqual(expected);
    expect(await Array.fromAsync(searchBlobs(indexed, tree, { data: [id.slice(0, 7)], trees: [id] }))).toEqual([]);
    const trees = await Array.fromAsync(searchBlobs(indexed, tree, { trees: [tree, y.slice(0, 8)] }));
    expect(trees).toEqual([
      { type: 'tree', id: tree, path: '/', parentTree: undefined },
      { type: 'tree', id: y, path: '/x/y', parentTree: undefined },
    ]);
    const [after] = await Array.fromAsync(searchBlobs(indexed, tree, { data: nodes.get('/x/z')?.content ?? [] }));
    expect(after).toMatchObject({ path: '/x/z', parentTree: x });
  });
});

describe('adding up', () => {
  it('counts what each mode is about', async () => {
    const big = noise(3_000_000, 1);
    const { indexed, snapshots } = await lookInto({ a: big, b: big, 'd/c': 'text' }, { a: big, c: 'text' });
    const count = (mode: StatsMode): Promise<Stats> => stats(indexed, snapshots, { mode });
    const blobs = indexed.table.size;
    expect(await stats(indexed, snapshots)).toEqual({ snapshots: 2, files: 6, blobs: 0, size: 3 * 3_000_000 + 8 });
    // The directory has the empty content.
    expect(await count('files-by-contents')).toEqual({ snapshots: 2, files: 3, blobs: 0, size: 3_000_004 });
    const data = new Set([...indexed.table.entries()].filter(({ type }) => type === 'data').map(({ id }) => id));
    expect(await count('blobs-per-file')).toEqual({ snapshots: 2, files: 2, blobs: data.size, size: 3_000_004 });
    const raw = await count('raw-data');
    const stored = [...indexed.table.entries()].reduce((sum, { length }) => sum + length, 0);
    expect(raw).toMatchObject({ snapshots: 2, files: 0, blobs, size: stored });
    expect(raw.compression?.uncompressedSize).toBeGreaterThan(stored);
    expect(raw.compression?.compressedBlobs.size).toBeLessThanOrEqual(stored);
    expect(await stats(indexed, [], { mode: 'raw-data' })).toMatchObject({ snapshots: 0, blobs: 0, size: 0 });
    for (const mode of ['restore-size', 'raw-data'] as const) {
      const told: unknown[] = [];
      const { size, files, blobs } = await stats(indexed, snapshots, { mode, onProgress: (each) => told.push(each) });
      expect(told).toHaveLength(2);
      expect(told[0]).toMatchObject({ snapshotsDone: 1, snapshotsTotal: 2 });
      expect(told[1]).toEqual({ snapshotsDone: 2, snapshotsTotal: 2, size, files, blobs });
    }
    expect(await codeOf(stats(indexed, snapshots, { signal: AbortSignal.abort() }))).toBe('aborted');
  });
});
