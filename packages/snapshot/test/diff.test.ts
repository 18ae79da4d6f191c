import { EngineError } from '@restic-engine/repo-format';
import type { IndexedRepository, Repository } from '@restic-engine/repository';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backup } from '../src/backup/backup.ts';
import { diffTrees } from '../src/diff.ts';
import type { DiffChange } from '../src/diff.ts';
import { objects } from '../src/source/objects.ts';
import { walk } from '../src/walk.ts';
import { codeOf, initialized, makeRepository, opened } from './harness.ts';

type Contents = Readonly<Record<string, string>>;

const MTIME = '2024-01-01T00:00:00Z';

async function store(repository: Repository, contents: Contents, mode = 0o644): Promise<string> {
  const entries = Object.entries(contents).map(([path, content]) => ({ path, content, mode, mtime: MTIME }));
  const { snapshot } = await backup(repository, { source: objects(entries), force: true });
  return snapshot.tree;
}

/** Blobs of everything below a tree, and its own. */
async function blobsOf(indexed: IndexedRepository, tree: string): Promise<Set<string>> {
  const blobs = new Set([`tree ${tree}`]);
  for await (const { node } of walk(indexed, tree)) {
    if (node.subtree !== undefined) blobs.add(`tree ${node.subtree}`);
    for (const id of node.content ?? []) blobs.add(`data ${id}`);
  }
  return blobs;
}

async function changesOf(
  indexed: IndexedRepository,
  before: string,
  after: string,
  metadata = false,
): Promise<string[]> {
  const changes: DiffChange[] = [];
  await diffTrees(indexed, before, after, { metadata, onChange: (change) => changes.push(change) });
  return changes.map(({ path, modifier }) => `${modifier} ${path}`);
}

describe('comparing trees', () => {
  it('tells what is new, gone and changed, in order', async () => {
    const { repository } = await makeRepository();
    const before = await store(repository, { 'a/1': 'one', 'a/2': 'two', 'gone/x/y': 'y', t: 'file', z: 'same' });
    const after = await store(repository, { 'a/1': 'ONE', 'a/2': 'two', 'new/n': 'n', 't/in': 'dir', z: 'same' });
    const indexed = await repository.loadIndex();
    expect(await changesOf(indexed, before, after)).toEqual([
      // Nothing but the content of a/1 has changed.
      'M? /a/1',
      '- /gone/',
      '- /gone/x/',
      '- /gone/x/y',
      '+ /new/',
      '+ /new/n',
      'T /t/',
    ]);
    expect(await diffTrees(indexed, before, after)).toMatchObject({
      changedFiles: 1,
      added: { files: 1, dirs: 1, others: 0 },
      removed: { files: 1, dirs: 2, others: 0 },
    });
  });

  it('tells of metadata when asked to', async () => {
    const { repository } = await makeRepository();
    const before = await store(repository, { a: 'a', b: 'b' });
    const after = await store(repository, { a: 'a', b: 'longer' }, 0o600);
    const indexed = await repository.loadIndex();
    expect(await changesOf(indexed, before, after)).toEqual(['M /b']);
    expect(await changesOf(indexed, before, after, true)).toEqual(['U /a', 'M /b']);
    expect(await changesOf(indexed, before, before, true)).toEqual([]);
  });

  it('reads no tree twice that is the same on both sides, and none for totals without need', async () => {
    const backend = await initialized();
    const writer = await opened(backend);
    const same = Object.fromEntries(Array.from({ length: 30 }, (_, at) => [`same/${at}`, `content ${at}`]));
    const before = await store(writer, { ...same, a: 'a' });
    const after = await store(writer, { ...same, a: 'new' });
    const moved = await store(writer, { ...same, a: 'content 3' });
    let trees = 0;
    const indexed = await writer.loadIndex();
    const counting = new Proxy(indexed, {
      get(target, key) {
        if (key === 'loadTree') {
          trees += 1;
          return target.loadTree.bind(target);
        }
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    await diffTrees(counting, before, before);
    expect(trees).toBe(2);
    trees = 0;
    const { added } = await diffTrees(counting, before, after);
    // Two roots, and what is common, to see whether it has the new blob.
    expect(trees).toBe(3);
    expect(added).toMatchObject({ dataBlobs: 1, treeBlobs: 1 });
    expect((await diffTrees(indexed, before, moved)).added).toMatchObject({ dataBlobs: 0, treeBlobs: 1 });
  });

  it('counts blobs that one side alone has, whatever the trees', async () => {
    const names = fc.constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/a', 'd/e/f/b', 'é');
    const side = fc.dictionary(names, fc.constantFrom('1', '2', '3', '4', '5'), { minKeys: 1, maxKeys: 6 });
    await fc.assert(
      fc.asyncProperty(side, side, async (one, two) => {
        const { repository } = await makeRepository();
        const [before, after] = [await store(repository, one), await store(repository, two)];
        const indexed = await repository.loadIndex();
        const [old, now] = [await blobsOf(indexed, before), await blobsOf(indexed, after)];
        const only = (blobs: Set<string>, others: Set<string>): string[] =>
          [...blobs].filter((blob) => !others.has(blob));
        const bytes = (blobs: string[]): number =>
          blobs.reduce(
            (sum, blob) => sum + (indexed.plainLength(blob.startsWith('t') ? 'tree' : 'data', blob.slice(5)) ?? NaN),
            0,
          );
        const result = await diffTrees(indexed, before, after);
        const [added, removed] = [only(now, old), only(old, now)];
        expect(result.added.bytes).toBe(bytes(added));
        expect(result.removed.bytes).toBe(bytes(removed));
        expect(result.added.dataBlobs + result.added.treeBlobs).toBe(added.length);
        const changes = await changesOf(indexed, before, after);
        const back = await changesOf(indexed, after, before);
        expect(back.map((line) => line.replace(/^[-+]/, (sign) => (sign === '+' ? '-' : '+')))).toEqual(changes);
        const files = (contents: Contents): Set<string> => new Set(Object.keys(contents));
        expect(result.added.files).toBe([...files(two)].filter((path) => !files(one).has(path)).length);
      }),
      { interruptAfterTimeLimit: 3000, markInterruptAsFailure: false },
    );
  });

  it('rejects when a tree is missing, and at an abort', async () => {
    const { repository } = await makeRepository();
    const tree = await store(repository, { a: 'a' });
    const indexed = await repository.loadIndex();
    expect(await codeOf(diffTrees(indexed, tree, 'f'.repeat(64)))).toBe('not-found');
    const aborted = diffTrees(indexed, tree, tree, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toSatisfy((error) => EngineError.is(error, 'aborted'));
  });
});
