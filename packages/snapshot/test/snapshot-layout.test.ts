import { describe, expect, it } from 'vitest';
import { ByteCache } from '../src/fs/byte-cache.ts';
import { formatByLayout } from '../src/fs/go-layout.ts';
import { makeLayout } from '../src/fs/layout.ts';
import type { Folder } from '../src/fs/layout.ts';

describe('paths of snapshots', () => {
  // As `restic mount` 0.19.1 shows the same four snapshots with these templates.
  it('are those of restic', () => {
    const base = { tree: '0'.repeat(64), paths: ['/'], username: 'root' };
    const one = '2024-01-01T10:00:00Z';
    const snapshots = [
      { ...base, id: 'a'.repeat(64), time: one, hostname: 'a/b', tags: ['t1', 't/2'] },
      { ...base, id: 'b'.repeat(64), time: one, hostname: 'one' },
      { ...base, id: 'c'.repeat(64), time: '2024-01-02T10:00:00Z', hostname: 'one', tags: ['..', 'ä'] },
      { ...base, id: 'd'.repeat(64), time: '2024-01-03T10:00:00Z', hostname: 'two' },
    ];
    const pathTemplates = ['ids/%i', 'snapshots/%T', 'hosts/%h/%T', 'tags/%t/%T', 'x/%u-%h/%T-z', '%h'];
    const found: string[] = [];
    const list = (folder: Folder, path: string): void => {
      for (const [name, branch] of folder.entries) {
        const to =
          branch.kind === 'link'
            ? ` -> ${branch.target}`
            : branch.kind === 'snapshot'
              ? ` ${branch.snapshot.id[0]}`
              : '';
        if (branch.kind === 'folder') list(branch, `${path}${name}/`);
        else found.push(`${path}${name}${to}`);
      }
    };
    list(makeLayout(snapshots.toReversed(), { pathTemplates }), '');
    const [two, three] = ['2024-01-02T10:00:00Z', '2024-01-03T10:00:00Z'];
    expect(found.toSorted()).toEqual(
      [
        ...['a', 'b', 'c', 'd'].map((id) => `ids/${id.repeat(8)} ${id}`),
        `snapshots/${one} a`,
        `snapshots/${one}-1 b`,
        `snapshots/${two} c`,
        `snapshots/${three} d`,
        `snapshots/latest -> ${three}`,
        `hosts/one/${one} b`,
        `hosts/one/${two} c`,
        `hosts/one/latest -> ${two}`,
        `hosts/a/b/${one} a`,
        `hosts/a/b/latest -> ${one}`,
        `hosts/two/${three} d`,
        `hosts/two/latest -> ${three}`,
        ...['t1', 't_2'].flatMap((tag) => [`tags/${tag}/${one} a`, `tags/${tag}/latest -> ${one}`]),
        ...['__', 'ä'].flatMap((tag) => [`tags/${tag}/${two} c`, `tags/${tag}/latest -> ${two}`]),
        `x/root-one/${one}-z b`,
        `x/root-one/${two}-z c`,
        `x/root-a/b/${one}-z a`,
        `x/root-two/${three}-z d`,
        'one b',
        'one-1 c',
        'two d',
        'a/b a',
      ].toSorted(),
    );
  });

  it.each([
    ['2006-01-02T15:04:05Z07:00', '2024-03-09T17:08:02+05:30'],
    ['2006-01-02_15-04-05', '2024-03-09_17-08-02'],
    ['Mon Jan 2 15:04:05 -0700 MST 2006', 'Sat Mar 9 17:08:02 +0530 +0530 2024'],
    ['Monday, January _2 3:4:5 PM 06 -07:00 Z0700 002', 'Saturday, March  9 5:8:2 PM 24 +05:30 +0530 069'],
    ['05.000 05.999999 .00 03pm', '02.120 02.12 .12 05pm'],
    ['Month Janus _2006 __2', 'Month Janus _2024  69'],
  ])('have times in the way of %s', (layout, text) => {
    expect(formatByLayout(layout, '2024-03-09T17:08:02.12+05:30')).toBe(text);
  });

  it('have the letter Z for UTC, where a sample has one', () => {
    expect(formatByLayout('Z07:00 Z0700 Z07 MST -07', '2024-03-09T17:08:02Z')).toBe('Z Z Z UTC +00');
    expect(formatByLayout('-0700 05.999', '2024-03-09T17:08:02-03:30')).toBe('-0330 02');
  });
});

describe('a cache bounded by bytes', () => {
  it('keeps what was used last, loads once, and keeps no failure', async () => {
    const cache = new ByteCache<string>(10);
    const loads: string[] = [];
    const get = (key: string, weight: number): Promise<string> =>
      cache.get(key, async () => {
        loads.push(key);
        if (weight < 0) throw new Error(key);
        return { value: key, weight };
      });
    await Promise.all([get('a', 4), get('a', 4)]);
    await get('b', 4);
    await get('a', 4);
    await get('c', 4);
    await get('a', 4);
    expect(loads).toEqual(['a', 'b', 'c']);
    await get('b', 4);
    expect(loads).toEqual(['a', 'b', 'c', 'b']);
    for (let i = 0; i < 2; i++) await expect(get('x', -1)).rejects.toThrow('x');
    await get('big', 100);
    await get('big', 100);
    await get('a', 4);
    expect(loads.slice(4)).toEqual(['x', 'x', 'big', 'a']);
  });
});
