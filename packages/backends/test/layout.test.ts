import { describe, expect, it } from 'vitest';
import { filePath, folderOf, repositoryFolders } from '../src/index.ts';

const NAME = `3f${'0'.repeat(62)}`;

describe('the default layout', () => {
  it('puts packs two levels deep, config into the root, the others into a folder each', () => {
    expect(filePath({ type: 'config', name: '' })).toBe('config');
    expect(filePath({ type: 'data', name: NAME })).toBe(`data/3f/${NAME}`);
    expect(filePath({ type: 'index', name: NAME })).toBe(`index/${NAME}`);
    expect(filePath({ type: 'key', name: NAME })).toBe(`keys/${NAME}`);
    expect(filePath({ type: 'lock', name: NAME })).toBe(`locks/${NAME}`);
    expect(filePath({ type: 'snapshot', name: NAME })).toBe(`snapshots/${NAME}`);
    expect(folderOf('config')).toBe('');
  });

  it('has 5 folders of types and 256 of packs, parents first', () => {
    const folders = repositoryFolders();
    expect(folders).toHaveLength(261);
    expect(folders.slice(0, 5).sort()).toEqual(['data', 'index', 'keys', 'locks', 'snapshots']);
    expect(folders[5]).toBe('data/00');
    expect(folders.at(-1)).toBe('data/ff');
  });
});
