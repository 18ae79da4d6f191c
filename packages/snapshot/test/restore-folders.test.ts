import { mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { closeTarget, Folders, openTarget } from '../src/restore/sink-fs/folders.ts';
import type { TargetSpec } from '../src/restore/sink-fs/folders.ts';
import { sweep } from '../src/restore/sink-fs/remove.ts';
import { makeTempDir } from './temp-dir.ts';

/** With descriptors, and as on systems where descriptors are no paths. */
const ways: { readonly way: string; readonly open: (path: string) => TargetSpec }[] = [
  { way: 'checked paths', open: (path) => ({ path, descriptor: undefined, exists: true }) },
  ...(process.platform === 'linux' ? [{ way: 'descriptors', open: (path: string) => openTarget(path, false) }] : []),
];

describe.each(ways)('folders by $way', ({ open }) => {
  it('lead to directories, however many and however deep', () => {
    using temp = makeTempDir();
    const deep = Array.from({ length: 300 }, (_, index) => `/d${index}`).join('');
    mkdirSync(join(temp.path, deep), { recursive: true });
    for (let index = 0; index < 300; index++) mkdirSync(join(temp.path, `wide${index}`));
    const target = open(temp.path);
    const folders = new Folders(target);
    expect(readdirSync(folders.base('')).length).toBe(301);
    for (let round = 0; round < 2; round++) {
      expect(readdirSync(folders.base(deep.slice(0, deep.lastIndexOf('/'))))).toEqual(['d299']);
      for (let index = 0; index < 300; index++) expect(readdirSync(folders.base(`/wide${index}`))).toEqual([]);
    }
    folders.close();
    closeTarget(target);
  });

  it('refuse a link, a file or nothing on the way', () => {
    using temp = makeTempDir();
    const [root, outside] = [join(temp.path, 'root'), join(temp.path, 'outside')];
    mkdirSync(join(root, 'a/b'), { recursive: true });
    mkdirSync(join(outside, 'c'), { recursive: true });
    symlinkSync(outside, join(root, 'a/link'));
    writeFileSync(join(root, 'a/file'), '');
    const target = open(root);
    const folders = new Folders(target);
    for (const path of ['/a/link', '/a/link/c', '/a/file', '/a/file/c', '/a/none', '/a/none/c']) {
      expect(() => folders.base(path), path).toThrow(/ENOENT|ENOTDIR|ELOOP|not a directory/);
    }
    renameSync(join(root, 'a'), join(temp.path, 'moved'));
    symlinkSync(join(temp.path, 'moved'), join(root, 'a'));
    expect(() => new Folders(target).base('/a/b')).toThrow(/ENOENT|ENOTDIR|ELOOP|not a directory/);
    folders.close();
    closeTarget(target);
  });
});

describe('sweeping', () => {
  it('lists parents before children and removes all of it, links without what they lead to', () => {
    using temp = makeTempDir();
    const root = join(temp.path, 'root');
    mkdirSync(join(root, 'a/b'), { recursive: true });
    mkdirSync(join(temp.path, 'outside'));
    writeFileSync(join(temp.path, 'outside/victim'), '');
    writeFileSync(join(root, 'a/b/file'), '');
    symlinkSync(join(temp.path, 'outside'), join(root, 'a/link'));
    expect([...sweep(root, false)]).toEqual(['', '/a', '/a/b', '/a/b/file', '/a/link']);
    expect([...sweep(root, true)]).toHaveLength(5);
    expect(readdirSync(temp.path)).toEqual(['outside']);
    expect(readdirSync(join(temp.path, 'outside'))).toEqual(['victim']);
    expect([...sweep(root, true)]).toEqual([]);
  });
});
