import { chmodSync, existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadNative } from '../src/native/native.ts';
import type { RestoredItem, RestoreProgress } from '../src/restore/types.ts';
import { dir, file, fixture, MTIME_NS, noise, symlink } from './restore-harness.ts';

const isRoot = process.getuid?.() === 0;
const hasNative = loadNative() !== undefined;

describe('restoring a tree', () => {
  it.each([{ workers: 0 }, { workers: 2 }])(
    'restores files, directories and links with $workers workers',
    async ({ workers }) => {
      await using f = await fixture(
        [
          file('empty'),
          file('hello', 'hello ', 'world'),
          { ...file('private', 'secret'), mode: 0o600 },
          dir('d', dir('deep', file('same', 'hello '), symlink('up', '../../hello')), {
            ...dir('closed', file('x', 'y')),
            mode: 2 ** 31 + 0o500,
          }),
          symlink('dangling', '/nowhere/at/all'),
          { name: 'sock', type: 'socket' },
        ],
        { workers },
      );
      const result = await f.restore({ verify: true });
      expect(result.errors).toEqual([]);
      expect(result).toMatchObject({
        filesRestored: 10,
        filesTotal: 10,
        filesSkipped: 0,
        bytesRestored: 24,
        bytesTotal: 24,
        verified: 5,
      });
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
    },
  );

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
    const extendedAttributes = [
      { name: 'user.keep', value },
      { name: 'user.drop', value },
    ];
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
    expect(progress.at(-1)).toEqual({
      filesDone: 3,
      filesTotal: 3,
      filesSkipped: 0,
      filesDeleted: 0,
      bytesDone: 3,
      bytesTotal: 3,
      bytesSkipped: 0,
    });
  });
});

describe('choosing what is restored', () => {
  const tree = [
    dir('src', file('main.c', '1'), file('main.o', '2'), dir('lib', file('a.c', '3'), file('a.o', '4'))),
    dir('doc', file('x.C', '5')),
  ];

  function found(target: string, path = ''): string[] {
    const names = readdirSync(join(target, path), { withFileTypes: true });
    return names
      .flatMap((entry) => (entry.isDirectory() ? found(target, join(path, entry.name)) : join(path, entry.name)))
      .sort();
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
