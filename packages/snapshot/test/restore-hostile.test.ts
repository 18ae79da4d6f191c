/** Nothing a tree or the target holds may lead a restore out of the target. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Id } from '@restic-engine/repo-format';
import { fitsSystem, isPlainName } from '../src/restore/names.ts';
import { restoreTree } from '../src/restore/restore-tree.ts';
import type { RestoreTreeOptions, RestoreTreeResult } from '../src/restore/types.ts';
import { dir, file, makeRepository, storeTree, symlink } from './restore-harness.ts';
import type { Entry } from './restore-harness.ts';
import { makeTempDir } from './temp-dir.ts';

interface Trap {
  /** A directory beside the target that must stay as it is. */
  readonly outside: string;
  readonly target: string;
}

/** Restores into `target` after `prepare`; checks that nothing beside it has changed. */
async function spring(
  entries: readonly Entry[],
  prepare: (trap: Trap) => void = () => undefined,
  options: Partial<RestoreTreeOptions> = {},
): Promise<
  RestoreTreeResult & {
    readonly read: (path: string) => string;
    readonly isLink: (path: string) => boolean;
    readonly exists: (path: string) => boolean;
  }
> {
  await using repo = await makeRepository();
  using temp = makeTempDir();
  const trap = { outside: join(temp.path, 'outside'), target: join(temp.path, 'target') };
  for (const path of [trap.outside, trap.target]) mkdirSync(path);
  writeFileSync(join(trap.outside, 'victim'), 'untouched', { mode: 0o600 });
  prepare(trap);
  const before = describeTree(temp.path, trap.target);
  const tree = await storeTree(repo.indexed, entries, true);
  const result = await restoreTree(repo.indexed, tree, { target: trap.target, ...options });
  expect(describeTree(temp.path, trap.target)).toEqual(before);
  const seen = new Map<string, string>();
  const links = new Set<string>();
  collect(trap.target, '', seen, links);
  return {
    ...result,
    read: (path) => seen.get(path) ?? '(nothing)',
    isLink: (path) => links.has(path),
    exists: (path) => seen.has(path),
  };
}

/** Everything below `path` but `except`, with modes, times and content. */
function describeTree(path: string, except: string): unknown[] {
  if (path === except) return [];
  const { mode, size, mtimeNs, uid } = lstatSync(path, { bigint: true });
  const own = [
    path,
    mode,
    uid,
    lstatSync(path).isDirectory() ? 0 : size,
    path.endsWith('outside') || !lstatSync(path).isDirectory() ? mtimeNs : 0,
  ];
  if (lstatSync(path).isDirectory())
    return [
      own,
      ...readdirSync(path)
        .sort()
        .map((name) => describeTree(join(path, name), except)),
    ];
  return [own, lstatSync(path).isFile() ? readFileSync(path, 'utf8') : ''];
}

function collect(root: string, below: string, seen: Map<string, string>, links: Set<string>): void {
  for (const name of readdirSync(join(root, below))) {
    const path = join(below, name);
    const found = lstatSync(join(root, path));
    if (found.isSymbolicLink()) links.add(path);
    seen.set(path, found.isFile() ? readFileSync(join(root, path), 'utf8') : '');
    if (found.isDirectory()) collect(root, path, seen, links);
  }
}

describe('names in a tree', () => {
  it.each(['', '.', '..', '../victim', '../outside/victim', '/etc/x', 'a/b', 'a/../../outside/victim', 'nul\0byte'])(
    'refuses %j as a file, a directory and a link, and restores what is beside it',
    async (name) => {
      for (const bad of [file(name, 'evil'), dir(name, file('victim', 'evil')), symlink(name, '/etc')]) {
        const result = await spring([bad, dir('d', bad, file('good', '1')), file('good', '2')]);
        expect(result.errors).toMatchObject([{ error: { code: 'corrupt' } }, { error: { code: 'corrupt' } }]);
        expect(result.read('good')).toBe('2');
        expect(result.read('d/good')).toBe('1');
      }
    },
  );

  it('deletes nothing any more once it has met one', async () => {
    const result = await spring(
      [dir('d', file('../x', 'evil'), file('f', '1'))],
      ({ target }) => {
        mkdirSync(join(target, 'd'));
        writeFileSync(join(target, 'd/extra'), 'kept');
        writeFileSync(join(target, 'extra'), 'kept');
      },
      { delete: true },
    );
    expect(result.filesDeleted).toBe(0);
    expect(result.read('extra')).toBe('kept');
    expect(result.read('d/extra')).toBe('kept');
  });

  it('knows what Windows would make of a name', () => {
    for (const name of [
      'a\\b',
      'c:',
      'file:stream',
      'CON',
      'nul.txt',
      'COM1',
      'trailing.',
      'trailing ',
      'a\u0001',
      'a*',
    ]) {
      expect(isPlainName(name, 'win32'), name).toBe(false);
      expect(isPlainName(name, 'linux'), name).toBe(true);
    }
    expect(isPlainName('console.log', 'win32')).toBe(true);
  });
});

describe('links in a tree', () => {
  const through = [file('victim', 'evil'), file('new', 'evil')];

  it('does not write through a link of the same tree and name', async () => {
    for (const entries of [
      [symlink('a', '../outside'), dir('a', ...through)],
      [dir('a', ...through), symlink('a', '../outside')],
    ]) {
      const result = await spring(entries);
      expect(result.errors).toMatchObject([{ path: '/a', error: { code: 'corrupt' } }]);
    }
  });

  it('does not write through a link to a directory of the target either', async () => {
    const result = await spring([dir('real'), symlink('a', 'real'), dir('a', ...through)]);
    expect(result.exists('real/victim')).toBe(false);
  });

  it('links further names only to what is inside', async () => {
    const shared = { inode: 1, links: 2 };
    const result = await spring([
      { ...file('../outside/victim', 'x'), ...shared },
      { ...file('b', 'x'), ...shared },
    ]);
    expect(result.errors).toHaveLength(1);
    expect(result.read('b')).toBe('x');
  });
});

describe('links in the target', () => {
  const tree = [dir('a', dir('b', dir('c', file('victim', 'evil'), dir('sub', file('victim', 'evil')))))];

  it.each(['a', 'a/b', 'a/b/c', 'a/b/c/sub'])('replaces one at %s by a directory', async (path) => {
    const result = await spring(tree, ({ target, outside }) => {
      mkdirSync(join(target, path, '..'), { recursive: true });
      symlinkSync(outside, join(target, path));
    });
    expect(result.errors).toEqual([]);
    expect(result.isLink(path)).toBe(false);
    expect(result.read('a/b/c/victim')).toBe('evil');
  });

  it.each([
    { include: ['/a/b/c/sub/victim'] },
    { include: ['sub'] },
    { overwrite: 'if-changed' },
    { overwrite: 'never' },
    { delete: true },
    { dryRun: true },
    { verify: true, sparse: true },
  ] as const)('holds with %j, at every depth', async (options) => {
    for (const path of ['a', 'a/b', 'a/b/c', 'a/b/c/sub']) {
      const { filesTotal } = await spring(
        tree,
        ({ target, outside }) => {
          mkdirSync(join(target, path, '..'), { recursive: true });
          mkdirSync(join(outside, 'b/c/sub'), { recursive: true });
          writeFileSync(join(outside, 'b/c/sub/victim'), 'untouched');
          symlinkSync(outside, join(target, path));
        },
        options,
      );
      expect(filesTotal).toBeGreaterThan(0);
    }
  });

  it('replaces one where a file belongs, without touching what it points to', async () => {
    for (const pointsTo of ['victim', 'nothing']) {
      const result = await spring([file('f', 'content')], ({ target, outside }) =>
        symlinkSync(join(outside, pointsTo), join(target, 'f')),
      );
      expect(result.errors).toEqual([]);
      expect(result.read('f')).toBe('content');
      expect(result.isLink('f')).toBe(false);
    }
  });

  it('may be the target itself', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    mkdirSync(join(temp.path, 'real'));
    symlinkSync('real', join(temp.path, 'target'));
    const tree = await storeTree(repo.indexed, [file('f', 'content')]);
    expect((await restoreTree(repo.indexed, tree, { target: join(temp.path, 'target') })).errors).toEqual([]);
    expect(readFileSync(join(temp.path, 'real/f'), 'utf8')).toBe('content');
  });

  it('is not led out by a directory that turns into a link while its content is on the way', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const [outside, target] = [join(temp.path, 'outside'), join(temp.path, 'target')];
    mkdirSync(outside);
    const tree = await storeTree(repo.indexed, [
      dir('a', dir('b', file('f', 'evil'), symlink('l', 'x'))),
      file('g', 'good'),
    ]);
    const { indexed } = repo;
    const loadRange = indexed.loadRange.bind(indexed);
    // Directories are made before content is asked for: this is the moment to swap one.
    indexed.loadRange = async (...request) => {
      if (!lstatSync(join(target, 'a')).isSymbolicLink()) {
        renameSync(join(target, 'a'), join(temp.path, 'moved'));
        mkdirSync(join(outside, 'b'));
        symlinkSync(outside, join(target, 'a'));
      }
      return loadRange(...request);
    };
    const result = await restoreTree(indexed, tree, { target, verify: true, delete: true });
    expect(readdirSync(outside, { recursive: true })).toEqual(['b']);
    expect(result.errors.map(({ path }) => path)).toContain('/a/b/f');
    expect(result.errors.every(({ error }) => error.code === 'denied')).toBe(true);
    expect(readFileSync(join(target, 'g'), 'utf8')).toBe('good');
  });
});

describe('trees of absurd shape', () => {
  it('restores what the system takes of a tree that is too deep', async () => {
    await using repo = await makeRepository();
    using temp = makeTempDir();
    const target = join(temp.path, 't');
    let subtree: Id = await storeTree(repo.indexed, [file('bottom', 'x')]);
    for (let depth = 0; depth < 40; depth++)
      subtree = await storeTree(repo.indexed, [{ name: 'x'.repeat(200), type: 'dir', subtree }, file('f', 'y')]);
    const result = await restoreTree(repo.indexed, subtree, { target });
    expect(result.errors).toMatchObject([{ error: { code: 'too-large' } }]);
    expect(existsSync(join(target, 'x'.repeat(200), 'f'))).toBe(true);
  });

  it('takes a name that the file system refuses for an error of that item', async () => {
    const result = await spring([file('n'.repeat(300), 'x'), file('ok', 'y')]);
    expect(result.errors).toMatchObject([{ error: { code: 'too-large' } }]);
    expect(result.read('ok')).toBe('y');
  });

  it('counts bytes of a path as the system does', () => {
    expect(fitsSystem('/t', `/${'x'.repeat(4000)}`, 'linux')).toBe(true);
    expect(fitsSystem('/t', `/${'ü'.repeat(2100)}`, 'linux')).toBe(false);
    expect(fitsSystem('/t', `/${'x'.repeat(5000)}`, 'linux')).toBe(false);
  });

  it('stays alive when a size is a lie', async () => {
    const result = await spring([{ ...file('f', 'abc'), size: 2n ** 63n }, file('ok', 'y')]);
    expect(result.errors).toMatchObject([{ path: '/f', error: { code: 'corrupt' } }]);
    expect(result.read('f')).toBe('abc');
  });

  it('refuses directories without a tree and blobs that no index names', async () => {
    const missing = 'ab'.repeat(32);
    const result = await spring([
      { name: 'd', type: 'dir' },
      { name: 'e', type: 'dir', subtree: missing },
      { name: 'f', type: 'file', content: [missing] },
      file('ok', 'y'),
    ]);
    expect(result.errors.map(({ path, error }) => [path, error.code])).toEqual([
      ['/d', 'corrupt'],
      ['/e', 'not-found'],
      ['/f', 'not-found'],
    ]);
    expect(result.read('ok')).toBe('y');
  });
});
