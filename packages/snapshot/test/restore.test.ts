import { chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EngineError } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { loadNative } from '../src/native/native.ts';
import { restoreTree } from '../src/restore/restore-tree.ts';
import type { RestoredItem, RestoreProgress, RestoreTreeOptions, RestoreTreeResult } from '../src/restore/types.ts';
import { dir, file, makeRepository, MTIME_NS, storeTree, symlink } from './restore-harness.ts';
import type { Entry, TestRepository } from './restore-harness.ts';
import { makeTempDir } from './temp-dir.ts';
import type { TempDir } from './temp-dir.ts';

const isRoot = process.getuid?.() === 0;
const hasNative = loadNative() !== undefined;

interface Fixture extends AsyncDisposable {
  readonly repo: TestRepository;
  readonly temp: TempDir;
  readonly target: string;
  readonly tree: Id;
  restore(options?: Partial<RestoreTreeOptions>): Promise<RestoreTreeResult>;
  read(path: string): string;
}

async function fixture(entries: readonly Entry[], options: { readonly workers?: number } = {}): Promise<Fixture> {
  const repo = await makeRepository(options);
  const temp = makeTempDir();
  const target = join(temp.path, 'target');
  const tree = await storeTree(repo.indexed, entries);
  return {
    repo,
    temp,
    target,
    tree,
    restore: (more = {}) => restoreTree(repo.indexed, tree, { target, ...more }),
    read: (path) => readFileSync(join(target, path), 'utf8'),
    async [Symbol.asyncDispose]() {
      temp[Symbol.dispose]();
      await repo[Symbol.asyncDispose]();
    },
  };
}

/** Bytes that no two seeds share and that do not compress. */
function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed + 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

describe('restoring a tree', () => {
  it.each([{ workers: 0 }, { workers: 2 }])('restores files, directories and links with $workers workers', async ({ workers }) => {
    await using f = await fixture(
      [
        file('empty'),
        file('hello', 'hello ', 'world'),
        { ...file('private', 'secret'), mode: 0o600 },
        dir('d', dir('deep', file('same', 'hello '), symlink('up', '../../hello')), { ...dir('closed', file('x', 'y')), mode: 2 ** 31 + 0o500 }),
        symlink('dangling', '/nowhere/at/all'),
        { name: 'sock', type: 'socket' },
      ],
      { workers },
    );
    const result = await f.restore({ verify: true });
    expect(result.errors).toEqual([]);
    expect(result).toMatchObject({ filesRestored: 10, filesTotal: 10, filesSkipped: 0, bytesRestored: 24, bytesTotal: 24, verified: 5 });
    expect(f.read('empty')).toBe('');
    expect(f.read('hello')).toBe('hello world');
    expect(f.read('d/deep/same')).toBe('hello ');
    expect(f.read('d/closed/x')).toBe('y');
    expect(readlinkSync(join(f.target, 'd/deep/up'))).toBe('../../hello');
    expect(readlinkSync(join(f.target, 'dangling'))).toBe('/nowhere/at/all');
    expect(existsSync(join(f.target, 'sock'))).toBe(false);
    expect(lstatSync(join(f.target, 'private')).mode & 0o7777).toBe(0o600);
    expect(lstatSync(join(f.target, 'd/closed')).mode & 0o7777).toBe(0o500);
    // Or the test could not tidy up.
    chmodSync(join(f.target, 'd/closed'), 0o700);
  });

  it.runIf(hasNative)('restores times to the nanosecond, of directories too', async () => {
    await using f = await fixture([dir('d', dir('e', file('f', 'x')), symlink('l', 'e'))]);
    await f.restore();
    for (const path of ['d', 'd/e', 'd/e/f', 'd/l']) {
      expect(lstatSync(join(f.target, path), { bigint: true }).mtimeNs, path).toBe(MTIME_NS);
    }
  });

  it.runIf(hasNative && isRoot)('as root restores owners, devices and named pipes', async () => {
    await using f = await fixture([
      { ...file('theirs', 'x'), uid: 12_345, gid: 54_321, mode: 2 ** 23 + 0o755 },
      { name: 'null', type: 'chardev', device: 259 },
      { name: 'disk', type: 'dev', device: 1792 },
      { name: 'pipe', type: 'fifo' },
    ]);
    const result = await f.restore();
    expect(result.errors).toEqual([]);
    expect(lstatSync(join(f.target, 'theirs'))).toMatchObject({ uid: 12_345, gid: 54_321, mode: 0o104755 });
    expect(lstatSync(join(f.target, 'null'))).toMatchObject({ rdev: 259, mode: 0o020640 });
    expect(lstatSync(join(f.target, 'disk')).isBlockDevice()).toBe(true);
    expect(lstatSync(join(f.target, 'pipe')).isFIFO()).toBe(true);
  });

  it.runIf(hasNative)('restores selected extended attributes', async () => {
    const value = new TextEncoder().encode('v');
    const extendedAttributes = [{ name: 'user.keep', value }, { name: 'user.drop', value }];
    await using f = await fixture([{ ...file('f', 'x'), extendedAttributes }]);
    const result = await f.restore({ excludeXattr: ['user.drop'] });
    expect(result.errors).toEqual([]);
    expect(loadNative()?.listXattrs(join(f.target, 'f'))).toEqual(['user.keep']);
  });

  it('says that a node of an unknown kind cannot be restored, and restores the rest', async () => {
    await using f = await fixture([{ name: 'odd', type: 'irregular' }, file('ok', 'x')]);
    const result = await f.restore();
    expect(result.errors).toMatchObject([{ path: '/odd', during: 'restore', error: { code: 'unsupported' } }]);
    expect(f.read('ok')).toBe('x');
  });

  it.runIf(process.platform === 'linux')('restores names that are not UTF-8', async () => {
    await using f = await fixture([dir('\udcff\udcfe', file('\udce4\udcfc', 'x'))]);
    expect((await f.restore({ verify: true })).errors).toEqual([]);
    const [name] = readdirSync(f.target, { encoding: 'buffer' });
    expect([...(name ?? [])]).toEqual([0xff, 0xfe]);
  });

  it('restores files of many blobs spread over several packs', async () => {
    const blobs = Array.from({ length: 60 }, (_, index) => noise(400_000, index));
    await using f = await fixture([file('big', ...blobs), file('again', ...blobs.toReversed())], { workers: 2 });
    const result = await f.restore({ verify: true });
    expect(result).toMatchObject({ errors: [], verified: 2, bytesRestored: 48_000_000 });
    expect(Buffer.concat(blobs).equals(readFileSync(join(f.target, 'big')))).toBe(true);
    expect(Buffer.concat(blobs.toReversed()).equals(readFileSync(join(f.target, 'again')))).toBe(true);
  });

  it('restores a tree of more entries than a window holds, and files of more blobs', async () => {
    const many = Array.from({ length: 1200 }, (_, index) => file(`f${index}`, `content ${index % 7}`));
    const long = file('long', ...Array.from({ length: 5000 }, (_, index) => `blob ${index % 11};`));
    await using f = await fixture([dir('a', ...many), dir('b', long), dir('c', ...many.slice(0, 50))]);
    const result = await f.restore({ verify: true });
    expect(result).toMatchObject({ errors: [], filesRestored: 1254, verified: 1251 });
    expect(f.read('b/long')).toBe(Array.from({ length: 5000 }, (_, index) => `blob ${index % 11};`).join(''));
  });

  it('gives further names of a file its content, once', async () => {
    const shared = { inode: 7, deviceId: 1, links: 3 };
    await using f = await fixture([
      { ...file('a', 'shared'), ...shared },
      dir('d', { ...file('b', 'shared'), ...shared }),
      { ...file('other device', 'shared'), ...shared, deviceId: 2 },
    ]);
    const result = await f.restore();
    expect(result).toMatchObject({ errors: [], bytesTotal: 12, filesTotal: 4 });
    const [a, b] = ['a', 'd/b'].map((path) => statSync(join(f.target, path)));
    expect(a?.ino).toBe(b?.ino);
    expect(a?.nlink).toBe(2);
    expect(statSync(join(f.target, 'other device')).nlink).toBe(1);
  });

  it('leaves holes where zeros are, if asked to', async () => {
    const zeros = new Uint8Array(1 << 20);
    const content = [zeros, noise(10_000, 1), zeros, noise(5000, 2), zeros];
    await using f = await fixture([file('sparse', ...content), file('hole', zeros)]);
    expect((await f.restore({ sparse: true, verify: true })).errors).toEqual([]);
    const { size, blocks } = statSync(join(f.target, 'sparse'));
    expect(size).toBe(3 * (1 << 20) + 15_000);
    expect(blocks * 512).toBeLessThan(64 << 10);
    expect(statSync(join(f.target, 'hole'))).toMatchObject({ size: 1 << 20, blocks: 0 });
    expect(Buffer.concat(content).equals(readFileSync(join(f.target, 'sparse')))).toBe(true);
  });

  it('tells progress that only grows, and each item', async () => {
    await using f = await fixture([dir('d', file('f', 'abc'), symlink('l', 'f'))]);
    const items: RestoredItem[] = [];
    const progress: RestoreProgress[] = [];
    await f.restore({ onItem: (item) => void items.push(item), onProgress: (now) => void progress.push(now) });
    expect(items).toEqual([
      { path: '/d/f', action: 'restored', size: 3 },
      { path: '/d/l', action: 'other', size: 0 },
      { path: '/d', action: 'restored', size: 0 },
    ]);
    expect(progress.at(-1)).toEqual({ filesDone: 3, filesTotal: 3, filesSkipped: 0, filesDeleted: 0, bytesDone: 3, bytesTotal: 3, bytesSkipped: 0 });
  });
});

describe('choosing what is restored', () => {
  const tree = [dir('src', file('main.c', '1'), file('main.o', '2'), dir('lib', file('a.c', '3'), file('a.o', '4'))), dir('doc', file('x.C', '5'))];

  function found(target: string, path = ''): string[] {
    const names = readdirSync(join(target, path), { withFileTypes: true });
    return names.flatMap((entry) => (entry.isDirectory() ? found(target, join(path, entry.name)) : join(path, entry.name))).sort();
  }

  it.each([
    { options: { include: ['*.c'] }, expected: ['src/lib/a.c', 'src/main.c'] },
    { options: { iinclude: ['*.c'] }, expected: ['doc/x.C', 'src/lib/a.c', 'src/main.c'] },
    { options: { include: ['/src/lib'] }, expected: ['src/lib/a.c', 'src/lib/a.o'] },
    { options: { exclude: ['*.o'] }, expected: ['doc/x.C', 'src/lib/a.c', 'src/main.c'] },
    { options: { iexclude: ['*.c', '/SRC/lib'] }, expected: ['src/main.o'] },
  ])('restores what $options leave', async ({ options, expected }) => {
    await using f = await fixture(tree);
    expect((await f.restore(options)).errors).toEqual([]);
    expect(found(f.target)).toEqual(expected);
  });

  it('makes no directory in which nothing is selected', async () => {
    await using f = await fixture(tree);
    await f.restore({ include: ['*.c'] });
    expect(existsSync(join(f.target, 'doc'))).toBe(false);
  });

  it('refuses to include and exclude at once', async () => {
    await using f = await fixture(tree);
    await expect(f.restore({ include: ['a'], iexclude: ['b'] })).rejects.toMatchObject({ code: 'bad-request' });
  });
});

describe('restoring over existing items', () => {
  const older = MTIME_NS / 1_000_000n - 1000n;
  const newer = MTIME_NS / 1_000_000n + 1000n;

  /** `existing` content with an mtime in ms; what is there afterwards. */
  async function meet(overwrite: RestoreTreeOptions['overwrite'], existing: string, mtimeMs: bigint): Promise<[string, RestoreTreeResult]> {
    await using f = await fixture([file('f', 'good')]);
    mkdirSync(f.target);
    writeFileSync(join(f.target, 'f'), existing);
    utimesSync(join(f.target, 'f'), Number(mtimeMs) / 1000, Number(mtimeMs) / 1000);
    const result = await f.restore({ overwrite });
    expect(result.errors).toEqual([]);
    return [f.read('f'), result];
  }

  it.each([
    { overwrite: 'always', existing: 'evil', mtime: newer, content: 'good', restored: 1, skipped: 0 },
    { overwrite: 'always', existing: 'longer than it was', mtime: newer, content: 'good', restored: 1, skipped: 0 },
    { overwrite: 'always', existing: 'good', mtime: newer, content: 'good', restored: 0, skipped: 1 },
    { overwrite: 'if-changed', existing: 'evil', mtime: older, content: 'good', restored: 1, skipped: 0 },
    { overwrite: 'if-newer', existing: 'evil', mtime: older, content: 'good', restored: 1, skipped: 0 },
    { overwrite: 'if-newer', existing: 'evil', mtime: newer, content: 'evil', restored: 0, skipped: 1 },
    { overwrite: 'never', existing: 'evil', mtime: older, content: 'evil', restored: 0, skipped: 1 },
  ] as const)('$overwrite: "$existing" becomes "$content"', async ({ overwrite, existing, mtime, content, restored, skipped }) => {
    const [after, result] = await meet(overwrite, existing, mtime);
    expect(after).toBe(content);
    expect(result).toMatchObject({ filesRestored: restored, filesSkipped: skipped });
  });

  it.runIf(hasNative)('if-changed trusts size and time, and still restores metadata', async () => {
    await using f = await fixture([{ ...file('f', 'good'), mode: 0o640 }]);
    await f.restore();
    const path = join(f.target, 'f');
    writeFileSync(path, 'evil');
    loadNative()?.setTimes(path, { seconds: 0, nanoseconds: 0 }, { seconds: 1_580_702_706, nanoseconds: 123_456_789 });
    chmodSync(path, 0o777);
    expect(await f.restore({ overwrite: 'if-changed' })).toMatchObject({ filesRestored: 0, filesSkipped: 1, errors: [] });
    expect(f.read('f')).toBe('evil');
    expect(lstatSync(path).mode & 0o777).toBe(0o640);
    expect(await f.restore({ overwrite: 'always' })).toMatchObject({ filesRestored: 1, filesSkipped: 0 });
    expect(f.read('f')).toBe('good');
  });

  it('fetches only blobs that are not in place', async () => {
    const blobs = [noise(50_000, 1), noise(50_000, 2), noise(50_000, 3)];
    await using f = await fixture([file('f', ...blobs)]);
    mkdirSync(f.target);
    const damaged = Buffer.concat([...blobs, Buffer.from('tail')]);
    damaged[60_000] = (damaged[60_000] ?? 0) ^ 1;
    writeFileSync(join(f.target, 'f'), damaged);
    const { ino } = statSync(join(f.target, 'f'));
    const ranges: number[] = [];
    const { indexed } = f.repo;
    const loadRange = indexed.loadRange.bind(indexed);
    indexed.loadRange = (pack, range, call) => {
      ranges.push(range.length);
      return loadRange(pack, range, call);
    };
    const result = await f.restore();
    expect(result).toMatchObject({ errors: [], filesRestored: 1, bytesRestored: 150_000 });
    expect(ranges).toHaveLength(1);
    expect(ranges[0]).toBeLessThan(51_000);
    expect(Buffer.concat(blobs).equals(readFileSync(join(f.target, 'f')))).toBe(true);
    expect(statSync(join(f.target, 'f')).ino).toBe(ino);
  });

  it('replaces files that have several names, here and in the snapshot, when their content is not right', async () => {
    const shared = { links: 2, inode: 9 };
    await using f = await fixture([{ ...file('a', 'new', 'same'), ...shared }, { ...file('b', 'new', 'same'), ...shared }]);
    await f.restore();
    for (const content of ['oldsame', 'newsame and more', '']) {
      linkSync(join(f.target, 'a'), join(f.temp.path, `outside${content.length}`));
      writeFileSync(join(f.target, 'a'), content);
      expect(await f.restore()).toMatchObject({ errors: [], filesRestored: 2 });
      expect([f.read('a'), f.read('b'), statSync(join(f.target, 'b')).nlink]).toEqual(['newsame', 'newsame', 2]);
      expect(readFileSync(join(f.temp.path, `outside${content.length}`), 'utf8')).toBe(content);
    }
  });

  it('does not write through another name of an existing file', async () => {
    await using f = await fixture([file('f', 'new')]);
    mkdirSync(f.target);
    const outside = join(f.temp.path, 'outside');
    writeFileSync(outside, 'old');
    linkSync(outside, join(f.target, 'f'));
    expect((await f.restore()).errors).toEqual([]);
    expect(f.read('f')).toBe('new');
    expect(readFileSync(outside, 'utf8')).toBe('old');
  });

  it('replaces files by directories and the other way round; full directories only with delete', async () => {
    const entries = [dir('d', file('x', '1')), file('f', '2'), symlink('l', 'x'), file('g', '3')];
    await using f = await fixture(entries);
    for (const path of ['f', 'l/full', 'g/full']) mkdirSync(join(f.target, path), { recursive: true });
    writeFileSync(join(f.target, 'd'), 'in the way');
    const result = await f.restore();
    expect(result.errors.map(({ path }) => path).sort()).toEqual(['/g', '/l']);
    expect(f.read('d/x')).toBe('1');
    expect(f.read('f')).toBe('2');
    expect((await f.restore({ delete: true })).errors).toEqual([]);
    expect(f.read('g')).toBe('3');
    expect(readlinkSync(join(f.target, 'l'))).toBe('x');
  });

  it('a second restore finds everything in place', async () => {
    await using f = await fixture([dir('d', file('a', '1'), file('b', '22')), { ...file('c', '333'), links: 2, inode: 1 }, { ...file('e', '333'), links: 2, inode: 1 }]);
    await f.restore();
    const second = await f.restore({ verify: true });
    expect(second).toMatchObject({ errors: [], filesSkipped: 3, bytesSkipped: 6, bytesRestored: 0, verified: 0 });
    expect(statSync(join(f.target, 'c')).ino).toBe(statSync(join(f.target, 'e')).ino);
  });
});

describe('deleting what the snapshot does not have', () => {
  async function surplus(): Promise<Fixture> {
    const f = await fixture([dir('d', file('keep', 'x')), file('top', 'y')]);
    await f.restore();
    mkdirSync(join(f.target, 'd/old/deep'), { recursive: true });
    writeFileSync(join(f.target, 'd/old/deep/file'), '');
    writeFileSync(join(f.target, 'd/old.txt'), '');
    symlinkSync(f.temp.path, join(f.target, 'way-out'));
    return f;
  }

  it('removes it, without following links', async () => {
    await using f = await surplus();
    writeFileSync(join(f.temp.path, 'outside'), 'x');
    const gone: string[] = [];
    const result = await f.restore({ delete: true, onItem: ({ path, action }) => void (action === 'deleted' && gone.push(path)) });
    expect(result).toMatchObject({ errors: [], filesDeleted: 5 });
    expect(gone.sort()).toEqual(['/d/old', '/d/old.txt', '/d/old/deep', '/d/old/deep/file', '/way-out']);
    expect(readdirSync(f.target).sort()).toEqual(['d', 'top']);
    expect(readdirSync(join(f.target, 'd'))).toEqual(['keep']);
    expect(readFileSync(join(f.temp.path, 'outside'), 'utf8')).toBe('x');
  });

  it.runIf(hasNative)('leaves the recorded time on the directory', async () => {
    await using f = await surplus();
    await f.restore({ delete: true });
    expect(lstatSync(join(f.target, 'd'), { bigint: true }).mtimeNs).toBe(MTIME_NS);
  });

  it('spares what is not selected', async () => {
    await using f = await surplus();
    await f.restore({ delete: true, exclude: ['*.txt', '/way-out'] });
    expect(readdirSync(f.target).sort()).toEqual(['d', 'top', 'way-out']);
    expect(readdirSync(join(f.target, 'd')).sort()).toEqual(['keep', 'old.txt']);
  });

  it('only counts in a dry run', async () => {
    await using f = await surplus();
    expect(await f.restore({ delete: true, dryRun: true })).toMatchObject({ errors: [], filesDeleted: 5 });
    expect(readdirSync(join(f.target, 'd')).sort()).toEqual(['keep', 'old', 'old.txt']);
  });

  it('refuses the root directory without a selection', async () => {
    await using f = await fixture([]);
    await expect(f.restore({ target: '/', delete: true, dryRun: true })).rejects.toMatchObject({ code: 'bad-request' });
  });
});

describe('dry run', () => {
  it('touches nothing and counts the same', async () => {
    const shared = { links: 2, inode: 5 };
    await using f = await fixture([dir('d', file('a', 'aa'), symlink('l', 'a')), { ...file('h1', 'hhh'), ...shared }, { ...file('h2', 'hhh'), ...shared }, file('same', 's')]);
    mkdirSync(join(f.target, 'd'), { recursive: true });
    writeFileSync(join(f.target, 'd/a'), 'changed');
    writeFileSync(join(f.target, 'same'), 's');
    const before = JSON.stringify([lstatSync(f.target), lstatSync(join(f.target, 'd')), lstatSync(join(f.target, 'd/a'))].map((stat) => [stat.mtimeMs, stat.ctimeMs]));
    const { durationMs: _dry, ...dry } = await f.restore({ dryRun: true });
    const after = JSON.stringify([lstatSync(f.target), lstatSync(join(f.target, 'd')), lstatSync(join(f.target, 'd/a'))].map((stat) => [stat.mtimeMs, stat.ctimeMs]));
    expect(after).toBe(before);
    expect(readdirSync(f.target).sort()).toEqual(['d', 'same']);
    const { durationMs: _real, ...real } = await f.restore();
    expect(dry).toEqual(real);
    expect(real).toMatchObject({ filesRestored: 5, filesSkipped: 1, bytesRestored: 5 });
  });

  it('does not make the target', async () => {
    await using f = await fixture([dir('d', file('a', 'aa'))]);
    expect(await f.restore({ dryRun: true })).toMatchObject({ errors: [], filesRestored: 2, bytesRestored: 2 });
    expect(existsSync(f.target)).toBe(false);
  });
});

describe('verifying', () => {
  it('finds a flipped byte, a short file and a missing one', async () => {
    await using f = await fixture([file('flipped', 'abcdef'), file('gone', 'x'), file('short', 'abcdef'), file('sound', 'x')]);
    // What somebody does to the files just after they were written.
    const result = await f.restore({
      verify: true,
      onItem({ path }) {
        if (path === '/flipped') writeFileSync(join(f.target, 'flipped'), 'abcdeF');
        if (path === '/short') writeFileSync(join(f.target, 'short'), 'abc');
        if (path === '/gone') writeFileSync(join(f.target, 'gone'), 'xy');
      },
    });
    expect(result.verified).toBe(1);
    expect(result.errors.map(({ path }) => path).sort()).toEqual(['/flipped', '/gone', '/short']);
    expect(result.errors.every(({ error }) => EngineError.is(error, 'corrupt'))).toBe(true);
  });
});
