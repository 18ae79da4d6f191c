import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as engine from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { Ui } from '../src/ui.ts';
import { expandGlob, readPatterns, readTargets } from '../src/values/lists.ts';
import { makeTempDir } from './temp-dir.ts';

const UI = new Ui({ json: false, verbosity: 1 });
const NONE = { globs: [], verbatim: [], raw: [] };

describe('readPatterns', () => {
  it('joins files, expands variables and drops comments', async () => {
    using dir = makeTempDir();
    const [first, second] = [join(dir.path, 'a'), join(dir.path, 'b')];
    writeFileSync(first, '# comment\n\n  *.o \n$HOME/cache\n');
    writeFileSync(second, '\ufeffa$$b\r\n');
    expect(await readPatterns(engine, [first, second], { HOME: '/home/ann' })).toEqual([
      '*.o',
      '/home/ann/cache',
      'a$b',
    ]);
    await expect(readPatterns(engine, [`${first}.no`], {})).rejects.toThrow('failed to read patterns from file');
  });
});

describe('readTargets', () => {
  it('reads the three kinds of lists', async () => {
    using dir = makeTempDir();
    const path = (name: string): string => join(dir.path, name);
    for (const name of ['x1', 'x2', 'y', '#z']) writeFileSync(path(name), '');
    writeFileSync(path('globs'), `# comment\n\n ${path('x*')} \n${path('y')}\n${path('none*')}\n${path('none')}\n`);
    writeFileSync(path('verbatim'), '\n#z\n a \r\n\\$b');
    writeFileSync(path('raw'), Buffer.from('p\nq\0\xff\0', 'latin1'));
    expect(await readTargets(engine, { ...NONE, globs: [path('globs')] }, UI)).toEqual([
      path('x1'),
      path('x2'),
      path('y'),
    ]);
    expect(await readTargets(engine, { ...NONE, verbatim: [path('verbatim')] }, UI)).toEqual(['#z', ' a ', '\\$b']);
    expect(await readTargets(engine, { ...NONE, raw: [path('raw')] }, UI)).toEqual(['p\nq', '\udcff']);
    await expect(readTargets(engine, { ...NONE, raw: [path('verbatim')] }, UI)).rejects.toThrow(
      'trailing zero byte missing',
    );
  });
});

describe('expandGlob', () => {
  it('matches component by component', () => {
    using dir = makeTempDir();
    for (const name of ['a/one', 'a/two', 'b/one', '.c/one']) mkdirSync(join(dir.path, name), { recursive: true });
    writeFileSync(join(dir.path, 'a/file[1]'), '');
    symlinkSync('/nonexistent', join(dir.path, 'a/link'));
    const found = (pattern: string): string[] =>
      expandGlob(engine, join(dir.path, pattern)).map((path) => path.slice(dir.path.length + 1));
    expect(found('*/one')).toEqual(['.c/one', 'a/one', 'b/one']);
    expect(found('[ab]/o?e')).toEqual(['a/one', 'b/one']);
    expect(found('a/file\\[*')).toEqual(['a/file[1]']);
    expect(found('a/link')).toEqual(['a/link']);
    expect(found('a/no')).toEqual([]);
    expect(found('no*/x')).toEqual([]);
    expect(found('a/**')).toEqual(['a/file[1]', 'a/link', 'a/one', 'a/two']);
  });
});
