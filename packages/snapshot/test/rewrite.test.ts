import { decodeSnapshot, encodeNode, encodeSnapshot, encodeTree, joinTree } from '@restic-engine/repo-format';
import type { Id, Node } from '@restic-engine/repo-format';
import { check, withUpload } from '@restic-engine/repository';
import type { Repository } from '@restic-engine/repository';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backup } from '../src/backup/backup.ts';
import { compilePatterns } from '../src/filter/pattern.ts';
import { loadSnapshot } from '../src/find.ts';
import type { SnapshotEntry } from '../src/find.ts';
import { compileSelector } from '../src/restore/select.ts';
import { rewrite } from '../src/rewrite/rewrite.ts';
import { TreeRewriter } from '../src/rewrite/rewrite-tree.ts';
import type { RewriteOptions, RewriteResult } from '../src/rewrite/rewrite-snapshots.ts';
import { objects } from '../src/source/objects.ts';
import { codeOf, initialized, makeRepository, names, nodesOf, opened } from './harness.ts';

const TIME = '2026-01-01T00:00:00Z';

function nodeOf(name: string, more: Partial<Node>): Node {
  const times = { mtime: TIME, atime: TIME, ctime: TIME };
  return { name, type: 'file', mode: 0o644, ...times, uid: 0, gid: 0, content: null, ...more };
}

function fileOf(name: string, size: Node['size'] = name.length): Node {
  return nodeOf(name, { content: [], size });
}

function dirOf(name: string, subtree: Id): Node {
  return nodeOf(name, { type: 'dir', subtree });
}

function saveBytes(repository: Repository, bytes: Uint8Array): Promise<Id> {
  return repository
    .loadIndex()
    .then((indexed) => withUpload(indexed, {}, async (upload) => (await upload.save('tree', bytes)).id));
}

async function saveSnapshot(repository: Repository, tree: Id): Promise<Id> {
  return repository.saveFile('snapshot', encodeSnapshot({ time: TIME, tree, paths: ['/'] }));
}

/** Two snapshots with a folder that is the same in both. */
async function makeTwo(): Promise<Repository> {
  const { repository } = await makeRepository();
  for (const text of ['first', 'second']) {
    const entries = [
      { path: 'same/kept.txt', content: 'kept' },
      { path: 'same/deep/gone.log', content: 'gone' },
      { path: `${text}.log`, content: text },
      { path: 'twice/deep/gone.log', content: 'gone' },
    ];
    await backup(repository, { source: objects(entries), tags: [text] });
  }
  return repository;
}

async function only(repository: Repository, { changed }: RewriteResult): Promise<SnapshotEntry> {
  expect(changed).toHaveLength(1);
  return loadSnapshot(repository, changed[0]?.after ?? '');
}

/** What a folder of objects becomes, the long way round: from paths to paths. */
function expected(paths: ReadonlyMap<string, Node>, options: Pick<RewriteOptions, 'exclude' | 'include'>): string[] {
  const excluded = compilePatterns(options.exclude ?? []);
  const included = compilePatterns(options.include ?? []);
  const above = (path: string): string[] =>
    path.split('/').slice(1).map((_, index, parts) => `/${parts.slice(0, index + 1).join('/')}`); // biome-ignore format: one step
  const stays = (path: string): boolean => {
    if (options.include === undefined) return !above(path).some((folder) => excluded.matches(folder));
    return above(path).every((part) => {
      const { matched, childMayMatch } = included.match(part);
      return matched || (childMayMatch && paths.get(part)?.type === 'dir');
    });
  };
  const left = [...paths.keys()].filter(stays);
  if (options.include === undefined) return left;
  const isReal = (path: string): boolean => paths.get(path)?.type !== 'dir' || included.matches(path);
  return left.filter((path) => left.some((other) => isReal(other) && `${other}/`.startsWith(`${path}/`)));
}

describe('rewriting trees', () => {
  it('leaves exactly what patterns leave', async () => {
    const name = fc.constantFrom('a', 'b', 'c.x', 'd.x');
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const piece = fc.constantFrom('a', 'b', '*', '*.x', '**', 'c.x');
    const pattern = fc
      .tuple(fc.constantFrom('', '/'), fc.array(piece, { minLength: 1, maxLength: 3 }))
      .map(([slash, parts]) => slash + parts.join('/'));
    let changes = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(path, { minLength: 1, maxLength: 12 }),
        fc.array(pattern, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        async (paths, patterns, byName) => {
          // A path cannot be a file and a folder.
          const usable = paths.filter((one) => !paths.some((other) => other.startsWith(`${one}/`)));
          const { repository } = await makeRepository();
          const tree = await saveFolder(repository, usable);
          const options = byName ? { include: patterns } : { exclude: patterns };
          const before = await nodesOf(repository, tree);
          const wanted = expected(before, options);
          const indexed = await repository.loadIndex();
          const rewriter = new TreeRewriter(indexed, { selector: compileSelector(options), isByName: byName });
          const result = await withUpload(indexed, {}, (upload) => rewriter.rewrite(tree, upload));
          expect(result.files).toBe(wanted.filter((one) => before.get(one)?.type === 'file').length);
          if (result.tree === undefined) expect([byName, wanted]).toEqual([true, []]);
          else expect([...(await nodesOf(repository, result.tree)).keys()]).toEqual(wanted);
          if (result.tree !== tree) changes += 1;
          else expect(wanted).toEqual([...before.keys()]);
        },
      ),
      { interruptAfterTimeLimit: 3000, markInterruptAsFailure: false, numRuns: 1000 },
    );
    expect(changes).toBeGreaterThan(3);
  });

  it('counts a tree as often as it is there', async () => {
    const backend = await initialized();
    const writer = await opened(backend);
    const inner = await saveBytes(writer, encodeTree([fileOf('four'), fileOf('three')]));
    const outer = await saveBytes(writer, encodeTree([dirOf('a', inner), dirOf('b', inner), fileOf('c')]));
    const id = await saveSnapshot(writer, outer);
    const repository = await opened(backend);
    const { summary, tree } = await only(repository, await rewrite(repository, { snapshotSummary: true }));
    expect(summary).toMatchObject({ totalFilesProcessed: 5, totalBytesProcessed: 19, dataAdded: 0, filesNew: 0 });
    expect(tree).toBe(outer);
    // A place says nothing to a summary; a pattern may depend on it.
    const without = await only(repository, await rewrite(repository, { ids: [id], exclude: ['/a/four'] }));
    expect(without.summary).toMatchObject({ totalFilesProcessed: 4, totalBytesProcessed: 15 });
    expect([...(await nodesOf(repository, without.tree)).keys()]).toEqual(['/a', '/a/three', '/b', '/b/four', '/b/three', '/c']); // biome-ignore format: one list
  });

  it('keeps what it does not know, and refuses to lose something', async () => {
    const { repository } = await makeRepository();
    const odd = { ...fileOf('odd'), unknown: { label: '{"b":1,"a":[]}' } };
    const known = await saveBytes(repository, encodeTree([odd, fileOf('other')]));
    const kept = await only(repository, await rewrite(repository, { ids: [await saveSnapshot(repository, known)], exclude: ['other'] })); // biome-ignore format: one step
    expect([...(await nodesOf(repository, kept.tree)).values()]).toEqual([odd]);

    const spaced = new TextEncoder().encode(`{"nodes": [${encodeNode(fileOf('a'))},${encodeNode(fileOf('b'))}]}\n`);
    const foreign = await saveBytes(repository, spaced);
    const around = await saveBytes(repository, encodeTree([dirOf('foreign', foreign), fileOf('log')]));
    const id = await saveSnapshot(repository, around);
    // A tree that would change cannot be written again; one that stays is as it is.
    const refused = await rewrite(repository, { ids: [id], exclude: ['b'] });
    expect(refused.failed.map(({ id: failed, error }) => [failed, error.code])).toEqual([[id, 'unsupported']]);
    expect(refused.failed[0]?.error.message).toContain('/foreign');
    const { tree } = await only(repository, await rewrite(repository, { ids: [id], exclude: ['log'] }));
    expect((await nodesOf(repository, tree)).get('/foreign')?.subtree).toBe(foreign);
  });

  it('fails for snapshots that make no sense, and does the others', async () => {
    const { repository } = await makeRepository();
    const trees = [
      joinTree([fileOf('b'), fileOf('a'), fileOf('log')].map((node) => encodeNode(node))),
      encodeTree([nodeOf('no tree', { type: 'dir' })]),
      encodeTree([dirOf('lost', 'ab'.repeat(32))]),
      encodeTree([fileOf('huge', 2n ** 63n)]),
      new TextEncoder().encode('{}'),
    ];
    const bad = new Set<Id>();
    for (const bytes of trees) bad.add(await saveSnapshot(repository, await saveBytes(repository, bytes)));
    bad.add(await saveSnapshot(repository, 'cd'.repeat(32)));
    const good = await saveSnapshot(repository, await saveBytes(repository, encodeTree([fileOf('log')])));
    const { changed, failed } = await rewrite(repository, { exclude: ['log'], forget: true });
    expect(changed.map(({ before }) => before)).toEqual([good]);
    expect(new Set(failed.map(({ id }) => id))).toEqual(bad);
    expect((await names(repository.backend, 'snapshot')).length).toBe(bad.size + 1);
  });

  it('goes as deep as a tree goes', async () => {
    const { repository } = await makeRepository();
    const indexed = await repository.loadIndex();
    const root = await withUpload(indexed, {}, async (upload) => {
      let { id } = await upload.save('tree', encodeTree([fileOf('log')]));
      for (let depth = 0; depth < 5000; depth++) ({ id } = await upload.save('tree', encodeTree([dirOf('d', id)])));
      return id;
    });
    await saveSnapshot(repository, root);
    const { tree, summary } = await only(repository, await rewrite(repository, { exclude: ['log'] }));
    expect(tree).not.toBe(root);
    expect(summary?.totalFilesProcessed).toBe(0);
  });
});

describe('rewriting snapshots', () => {
  it('tells of items in each snapshot, and makes what becomes the same once', async () => {
    const made = await makeTwo();
    const repository = await opened(made.backend);
    const indexed = await repository.loadIndex();
    const first = [...indexed.table.entries()].filter(({ type }) => type === 'tree').length;
    const items: string[] = [];
    const onItem = ({ action, path }: { action: string; path: string }): void => void items.push(`${action} ${path}`);
    const told = await rewrite(repository, { exclude: ['*.log'], dryRun: true, onItem });
    expect(told.changed.map(({ after }) => after)).toEqual([undefined, undefined]);
    expect(items.filter((item) => item === 'excluded /same/deep/gone.log')).toHaveLength(2);
    expect(items).toHaveLength(6);
    const { changed } = await rewrite(repository, { exclude: ['*.log'] });
    expect(changed).toHaveLength(2);
    // Four new trees, for both snapshots become the same: two roots have become one.
    const after = await repository.loadIndex();
    expect([...after.table.entries()].filter(({ type }) => type === 'tree').length).toBeGreaterThan(first);
    const [one, two] = await Promise.all(changed.map(({ after: id }) => loadSnapshot(repository, id ?? '')));
    expect(one?.tree).toBe(two?.tree);
    expect((await check(repository, { readData: true })).errors).toEqual([]);
  });

  it('writes and locks nothing in a dry run', async () => {
    const made = await makeTwo();
    const calls = new Set<string>();
    const repository = await opened(made.backend, { onCall: ({ method }) => calls.add(method) });
    const kinds: string[] = [];
    const options = { exclude: ['*.log'], newHost: 'new', forget: true, dryRun: true };
    const { changed } = await rewrite(repository, { ...options, onSnapshot: ({ kind }) => kinds.push(kind) });
    expect(changed).toHaveLength(2);
    expect(kinds.toSorted()).toEqual(['saved', 'saved', 'started', 'started', 'to-remove', 'to-remove']);
    expect([...calls].toSorted()).toEqual(['list', 'load']);
  });

  it('says what was made from what', async () => {
    const repository = await makeTwo();
    const [id = ''] = await names(repository.backend, 'snapshot');
    const before = decodeSnapshot(await repository.loadFile('snapshot', id));
    const options = { ids: [id], newHost: 'other', newTime: new Date('2020-02-29T12:00:00Z') };
    const first = await only(repository, await rewrite(repository, options));
    const tags = [...(before.tags ?? []), 'rewrite'];
    expect(first).toMatchObject({ tree: before.tree, hostname: 'other', original: id, tags, summary: before.summary });
    expect(Date.parse(first.time)).toBe(Date.parse('2020-02-29T12:00:00Z'));
    expect((await rewrite(repository, options)).changed).toEqual([]);
    const second = await only(
      repository,
      await rewrite(repository, { ids: [first.id], newHost: 'third', forget: true }),
    );
    expect(second).toMatchObject({ hostname: 'third', original: first.id, tags });
    expect(await names(repository.backend, 'snapshot')).not.toContain(first.id);
  });

  it.each<RewriteOptions>([
    {},
    { forget: true },
    { newHost: '' },
    { exclude: [''] },
    { exclude: ['a'], include: ['b'] },
    { exclude: ['[a'] },
    { newTime: 'yesterday' },
    { newTime: new Date(Number.NaN) },
    { newHost: 'new', ids: ['latest:folder'] },
  ])('refuses %o', async (options) => {
    const { repository } = await makeRepository();
    expect(await codeOf(rewrite(repository, options))).toBe('bad-request');
    expect(await names(repository.backend, 'lock')).toEqual([]);
  });

  it('waits for locks and keeps none', async () => {
    const repository = await makeTwo();
    const other = await repository.lock();
    expect(await codeOf(rewrite(repository, { newHost: 'new', forget: true }))).toBe('locked');
    expect((await rewrite(repository, { newHost: 'new' })).changed).toHaveLength(2);
    await other[Symbol.asyncDispose]();
    const stop = new AbortController();
    const aborted = rewrite(repository, { exclude: ['*.log'], signal: stop.signal, onSnapshot: () => stop.abort() });
    expect(await codeOf(aborted)).toBe('aborted');
    expect(await names(repository.backend, 'lock')).toEqual([]);
  });
});

/** A tree of empty files at these paths, and a folder that is empty. */
async function saveFolder(repository: Repository, paths: readonly string[]): Promise<Id> {
  const indexed = await repository.loadIndex();
  return withUpload(indexed, {}, async (upload) => {
    const save = async (below: readonly string[]): Promise<Id> => {
      const heads = [...new Set(below.map((path) => path.split('/', 1)[0] ?? ''))].filter(Boolean).toSorted();
      const nodes: Node[] = [];
      for (const head of heads) {
        const inner = below.filter((path) => path.startsWith(`${head}/`)).map((path) => path.slice(head.length + 1));
        nodes.push(inner.length === 0 ? fileOf(head) : dirOf(head, await save(inner)));
      }
      nodes.push(dirOf('z', (await upload.save('tree', encodeTree([]))).id));
      return (await upload.save('tree', encodeTree(nodes))).id;
    };
    return save(paths);
  });
}
