/** Restoring over what is there already, deleting, dry runs and verifying. */
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EngineError } from '@restic-engine/repo-format';
import { loadNative } from '../src/native/native.ts';
import type { RestoreTreeOptions, RestoreTreeResult } from '../src/restore/types.ts';
import { dir, file, fixture, MTIME_NS, noise, symlink } from './restore-harness.ts';
import type { Fixture } from './restore-harness.ts';

const hasNative = loadNative() !== undefined;

describe('restoring over existing items', () => {
  const older = MTIME_NS / 1_000_000n - 1000n;
  const newer = MTIME_NS / 1_000_000n + 1000n;

  /** `existing` content with an mtime in ms; what is there afterwards. */
  async function meet(
    overwrite: RestoreTreeOptions['overwrite'],
    existing: string,
    mtimeMs: bigint,
  ): Promise<[string, RestoreTreeResult]> {
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
  ] as const)(
    '$overwrite: "$existing" becomes "$content"',
    async ({ overwrite, existing, mtime, content, restored, skipped }) => {
      const [after, result] = await meet(overwrite, existing, mtime);
      expect(after).toBe(content);
      expect(result).toMatchObject({ filesRestored: restored, filesSkipped: skipped });
    },
  );

  it.runIf(hasNative)('if-changed trusts size and time, and still restores metadata', async () => {
    await using f = await fixture([{ ...file('f', 'good'), mode: 0o640 }]);
    await f.restore();
    const path = join(f.target, 'f');
    writeFileSync(path, 'evil');
    loadNative()?.setTimes(path, { seconds: 0, nanoseconds: 0 }, { seconds: 1_580_702_706, nanoseconds: 123_456_789 });
    chmodSync(path, 0o777);
    expect(await f.restore({ overwrite: 'if-changed' })).toMatchObject({
      filesRestored: 0,
      filesSkipped: 1,
      errors: [],
    });
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
    await using f = await fixture([
      { ...file('a', 'new', 'same'), ...shared },
      { ...file('b', 'new', 'same'), ...shared },
    ]);
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
    await using f = await fixture([
      dir('d', file('a', '1'), file('b', '22')),
      { ...file('c', '333'), links: 2, inode: 1 },
      { ...file('e', '333'), links: 2, inode: 1 },
    ]);
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
    const result = await f.restore({
      delete: true,
      onItem: ({ path, action }) => void (action === 'deleted' && gone.push(path)),
    });
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
    await using f = await fixture([
      dir('d', file('a', 'aa'), symlink('l', 'a')),
      { ...file('h1', 'hhh'), ...shared },
      { ...file('h2', 'hhh'), ...shared },
      file('same', 's'),
    ]);
    mkdirSync(join(f.target, 'd'), { recursive: true });
    writeFileSync(join(f.target, 'd/a'), 'changed');
    writeFileSync(join(f.target, 'same'), 's');
    const before = JSON.stringify(
      [lstatSync(f.target), lstatSync(join(f.target, 'd')), lstatSync(join(f.target, 'd/a'))].map((stat) => [
        stat.mtimeMs,
        stat.ctimeMs,
      ]),
    );
    const { durationMs: _dry, ...dry } = await f.restore({ dryRun: true });
    const after = JSON.stringify(
      [lstatSync(f.target), lstatSync(join(f.target, 'd')), lstatSync(join(f.target, 'd/a'))].map((stat) => [
        stat.mtimeMs,
        stat.ctimeMs,
      ]),
    );
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
    await using f = await fixture([
      file('flipped', 'abcdef'),
      file('gone', 'x'),
      file('short', 'abcdef'),
      file('sound', 'x'),
    ]);
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
