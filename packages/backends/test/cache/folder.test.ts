import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { cacheSize, defaultCacheFolder, listCaches, oldCaches, removeCache } from '../../src/index.ts';

const DAY = 86_400_000;

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'caches-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe('the default folder', () => {
  // What Go's os.UserCacheDir says, which restic asks.
  it.each([
    ['linux', { RESTIC_CACHE_DIR: '/c', XDG_CACHE_HOME: '/x', HOME: '/h' }, '/c'],
    ['linux', { RESTIC_CACHE_DIR: '', XDG_CACHE_HOME: '/x', HOME: '/h' }, '/x/restic'],
    ['linux', { XDG_CACHE_HOME: 'relative', HOME: '/h' }, '/h/.cache/restic'],
    ['freebsd', { HOME: '/h' }, '/h/.cache/restic'],
    ['darwin', { XDG_CACHE_HOME: '/x', HOME: '/h' }, '/h/Library/Caches/restic'],
    ['darwin', { RESTIC_CACHE_DIR: '/c', HOME: '/h' }, '/c'],
    ['win32', { LOCALAPPDATA: '/l', HOME: '/h' }, '/l/restic'],
  ] as const)('on %s with %j', (platform, env, folder) => {
    expect(defaultCacheFolder(env, platform)).toBe(folder);
  });

  it.each(['linux', 'darwin', 'win32'] as const)('is nowhere on %s without a home', (platform) => {
    expect(() => defaultCacheFolder({}, platform)).toThrow(expect.objectContaining({ code: 'bad-request' }));
  });
});

describe('caches', () => {
  it('are folders with the name of a repository or of a check, the longest unused first', async () => {
    const folder = makeFolder();
    const now = Date.now();
    const days = { ['a'.repeat(64)]: 1, ['b'.repeat(64)]: 40, 'restic-check-cache-123': 31 };
    const others = ['c'.repeat(63), 'restic-check-cache-x', 'precious'];
    for (const name of [...Object.keys(days), ...others]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, 'd'.repeat(64)), 'a file');
    symlinkSync(join(folder, 'precious'), join(folder, 'e'.repeat(64)));
    for (const [name, age] of Object.entries(days)) {
      const time = new Date(now - age * DAY);
      utimesSync(join(folder, name), time, time);
    }
    const caches = await listCaches(folder);
    expect(caches.map(({ name }) => name)).toEqual(['b'.repeat(64), 'restic-check-cache-123', 'a'.repeat(64)]);
    expect(oldCaches(caches).map(({ name }) => name)).toEqual(['b'.repeat(64), 'restic-check-cache-123']);
    expect(oldCaches(caches, 35 * DAY).map(({ name }) => name)).toEqual(['b'.repeat(64)]);
    expect(oldCaches(caches, DAY / 2)).toHaveLength(3);
    for (const cache of oldCaches(caches)) await removeCache(folder, cache);
    expect(readdirSync(folder).sort()).toEqual(['a'.repeat(64), ...others, 'd'.repeat(64), 'e'.repeat(64)].sort());
  });

  it('are none where there is no folder', async () => {
    expect(await listCaches(join(makeFolder(), 'nowhere'))).toEqual([]);
  });

  it('are removed with what is in them, and not with what links lead to', async () => {
    const folder = makeFolder();
    const name = 'a'.repeat(64);
    mkdirSync(join(folder, name, 'data/ab'), { recursive: true });
    mkdirSync(join(folder, 'precious'));
    writeFileSync(join(folder, 'precious/file'), 'keep me');
    writeFileSync(join(folder, name, 'data/ab/x'), Buffer.alloc(1000));
    writeFileSync(join(folder, name, 'version'), '1');
    symlinkSync(join(folder, 'precious'), join(folder, name, 'data/cd'));
    const [cache = { name: '', usedMs: 0 }] = await listCaches(folder);
    expect(await cacheSize(folder, cache)).toBe(1001);
    await removeCache(folder, cache);
    expect(readdirSync(folder)).toEqual(['precious']);
    expect(readdirSync(join(folder, 'precious'))).toEqual(['file']);
  });

  it('can be measured while they are written and emptied', async () => {
    const folder = makeFolder();
    const place = join(folder, 'a'.repeat(64), 'data');
    let writing = true;
    const write = async (): Promise<void> => {
      for (let round = 0; writing; round += 1) {
        const prefix = join(place, `${round % 5}`);
        await mkdir(prefix, { recursive: true });
        await writeFile(join(prefix, 'tmp-1'), 'x');
        await rename(join(prefix, 'tmp-1'), join(prefix, 'x'));
        await rm(join(place, `${(round + 1) % 5}`), { recursive: true, force: true });
      }
    };
    const work = write();
    const sizes: number[] = [];
    for (let round = 0; round < 200; round += 1) {
      sizes.push(await cacheSize(folder, { name: 'a'.repeat(64), usedMs: 0 }));
    }
    writing = false;
    await work;
    expect(Math.max(...sizes)).toBeLessThan(10);
  });
});
