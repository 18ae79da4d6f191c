import { describe, expect, it } from 'vitest';
import { encodeSnapshot } from '@restic-engine/repo-format';
import type { Snapshot } from '@restic-engine/repo-format';
import type { Repository } from '@restic-engine/repository';
import { findLatest, findSnapshot, listSnapshots, matchesFilter } from '../src/find.ts';
import { codeOf, makeRepository } from './harness.ts';

const BASE: Snapshot = { time: '2024-01-01T00:00:00Z', tree: 'a'.repeat(64), paths: ['/srv'], hostname: 'one' };

function put(repository: Repository, snapshot: Partial<Snapshot> = {}): Promise<string> {
  return repository.saveFile('snapshot', encodeSnapshot({ ...BASE, ...snapshot }));
}

describe('finding a snapshot', () => {
  it('by its id, by the beginning of it, and with a subfolder', async () => {
    const { repository } = await makeRepository();
    const ids: string[] = [];
    // Until two ids begin alike there is nothing ambiguous: 17 must share a first digit.
    for (let i = 0; i < 17; i++) ids.push(await put(repository, { username: `user ${i}` }));
    const [id = ''] = ids;
    for (const spec of [id, `${id}:`, `${id}:/`]) {
      expect(await findSnapshot(repository, spec)).toMatchObject({
        snapshot: { id, username: 'user 0' },
        subfolder: '',
      });
    }
    expect((await findSnapshot(repository, id.slice(0, 20))).snapshot.id).toBe(id);
    expect((await findSnapshot(repository, `${id.slice(0, 20)}:/a//b/./c/`)).subfolder).toBe('a/b/c');
    const digits = ids.map((candidate) => candidate.slice(0, 1));
    const shared = digits.find((digit, i) => digits.indexOf(digit) !== i) ?? '';
    expect(await codeOf(findSnapshot(repository, shared))).toBe('ambiguous');
    for (const spec of ['', ':a', 'zzz', `${id}0`, 'f'.repeat(64), '*']) {
      expect(await codeOf(findSnapshot(repository, spec))).toBe('not-found');
    }
  });

  it('finds the latest, by the instant and not by its text, up to a time', async () => {
    const { repository } = await makeRepository();
    expect(await codeOf(findSnapshot(repository, 'latest'))).toBe('not-found');
    const early = await put(repository, { time: '2024-05-01T12:00:00+02:00' });
    const late = await put(repository, { time: '2024-05-01T11:00:00Z' });
    const future = await put(repository, { time: '2030-01-01T00:00:00.000000001Z' });
    expect((await findSnapshot(repository, 'latest:x')).snapshot.id).toBe(future);
    expect((await findLatest(repository, { notAfter: '2030-01-01T00:00:00Z' }))?.id).toBe(late);
    expect((await findLatest(repository, { notAfter: '2024-05-01T10:30:00Z' }))?.id).toBe(early);
    expect(await findLatest(repository, { notAfter: '2020-01-01T00:00:00Z' })).toBeUndefined();
  });

  it('looks for the latest among those that pass the filter only', async () => {
    const { repository } = await makeRepository();
    const wanted = await put(repository, { hostname: 'two', paths: ['/srv', '/home'], tags: ['a', 'b'] });
    await put(repository, { time: '2025-01-01T00:00:00Z', hostname: 'three' });
    for (const filter of [{ hosts: ['two', 'four'] }, { paths: ['/home'] }, { tags: [['x'], ['b', 'a']] }]) {
      expect((await findSnapshot(repository, 'latest', { filter })).snapshot.id).toBe(wanted);
      // An id that is given wins over a filter.
      expect((await findSnapshot(repository, wanted, { filter: { hosts: ['none'] } })).snapshot.id).toBe(wanted);
    }
    expect(await codeOf(findSnapshot(repository, 'latest', { filter: { hosts: ['four'] } }))).toBe('not-found');
  });

  it('rejects for a snapshot that cannot be read', async () => {
    const { repository, backend } = await makeRepository();
    await put(repository);
    await backend.save({ type: 'snapshot', name: '0'.repeat(64) }, [new Uint8Array(50)]);
    expect(await codeOf(findSnapshot(repository, 'latest'))).toBe('corrupt');
    expect(await codeOf(findSnapshot(repository, '0000'))).toBe('corrupt');
  });
});

describe('listing snapshots', () => {
  it('gives every one that passes, and stops when its reader does or at an abort', async () => {
    const { repository } = await makeRepository();
    const ids = new Set<string>();
    for (let i = 0; i < 20; i++)
      ids.add(await put(repository, { username: `user ${i}`, hostname: i % 2 === 0 ? 'even' : 'odd' }));
    expect(new Set((await Array.fromAsync(listSnapshots(repository))).map(({ id }) => id))).toEqual(ids);
    expect(await Array.fromAsync(listSnapshots(repository, { filter: { hosts: ['odd'] } }))).toHaveLength(10);
    for await (const snapshot of listSnapshots(repository)) {
      expect(ids.has(snapshot.id)).toBe(true);
      break;
    }
    const stop = new AbortController();
    const listing = (async () => {
      for await (const _ of listSnapshots(repository, { signal: stop.signal })) stop.abort();
    })();
    expect(await codeOf(listing)).toBe('aborted');
  });
});

describe('a filter of snapshots', () => {
  it.each([
    [{}, true],
    [{ hosts: [] }, true],
    [{ hosts: ['x', 'one'] }, true],
    [{ hosts: ['x'] }, false],
    [{ paths: ['/srv'] }, true],
    [{ paths: ['/srv', '/home'] }, false],
    [{ tags: [['a']] }, true],
    [{ tags: [['a', 'b']] }, true],
    [{ tags: [['a', 'c']] }, false],
    [{ tags: [['c'], ['b']] }, true],
    [{ tags: [['']] }, false],
    [{ hosts: ['one'], paths: ['/srv'], tags: [['b']] }, true],
    [{ hosts: ['one'], paths: ['/no'], tags: [['b']] }, false],
  ])('%j passes one of host one, path /srv, tags a and b: %s', (filter, passes) => {
    expect(matchesFilter({ ...BASE, tags: ['a', 'b'] }, filter)).toBe(passes);
  });

  it('means no tags by an empty one', () => {
    expect(matchesFilter(BASE, { tags: [['']] })).toBe(true);
    expect(matchesFilter({ ...BASE, tags: [] }, { tags: [['']] })).toBe(true);
  });
});
