import { encodeSnapshot, EngineError } from '@restic-engine/repo-format';
import type { Snapshot } from '@restic-engine/repo-format';
import type { Repository } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { listSnapshots } from '../src/find.ts';
import { forget } from '../src/forget/forget.ts';
import { groupSnapshots } from '../src/group.ts';
import { tag } from '../src/tag.ts';
import { codeOf, makeRepository, names } from './harness.ts';

const BASE: Snapshot = { time: '2024-01-01T00:00:00Z', tree: 'a'.repeat(64), paths: ['/srv'], hostname: 'one' };

function put(repository: Repository, snapshot: Partial<Snapshot> = {}): Promise<string> {
  return repository.saveFile('snapshot', encodeSnapshot({ ...BASE, ...snapshot }));
}

const day = (number: number): string => `2024-01-0${number}T00:00:00Z`;

describe('forgetting', () => {
  it('applies the policy to each group and removes what it does not keep', async () => {
    const { repository, backend } = await makeRepository();
    const one = await Promise.all([1, 2, 3].map((number) => put(repository, { time: day(number) })));
    const two = await put(repository, { hostname: 'two', time: day(1) });
    const plan = await forget(repository, { policy: { last: 1 }, dryRun: true, lock: false });
    expect(await names(backend, 'snapshot')).toHaveLength(4);
    const done = await forget(repository, { policy: { last: 1 } });
    expect(done.groups).toEqual(plan.groups);
    expect(new Set(done.removed)).toEqual(new Set(plan.removed));
    expect(new Set(done.removed)).toEqual(new Set([one[0], one[1]]));
    expect(done.groups.map(({ key }) => key.hostname)).toEqual(['one', 'two']);
    expect(new Set(await names(backend, 'snapshot'))).toEqual(new Set([one[2], two]));
    expect(await names(backend, 'lock')).toEqual([]);
    // Without groups the newest of all is the last one.
    expect((await forget(repository, { policy: { last: 1 }, groupBy: [] })).removed).toEqual([two]);
  });

  it('removes what is named, and with no names nothing', async () => {
    const { repository, backend } = await makeRepository();
    const ids = await Promise.all([1, 2, 3].map((number) => put(repository, { time: day(number) })));
    expect((await forget(repository, { ids: [] })).removed).toEqual([]);
    const [first = '', , last = ''] = ids;
    const { removed, groups } = await forget(repository, { ids: [first.slice(0, 30), 'latest', first] });
    expect(removed).toEqual([first, last]);
    expect(groups).toEqual([]);
    expect(await names(backend, 'snapshot')).toEqual([ids[1]]);
    expect(await codeOf(forget(repository, { ids: ['0000'] }))).toBe('not-found');
    expect(await codeOf(forget(repository, { ids: [`${ids[1]}:srv`] }))).toBe('bad-request');
  });

  it('refuses to remove everything unless it is told so and where', async () => {
    const { repository, backend } = await makeRepository();
    await put(repository, { tags: ['a'] });
    await put(repository, { hostname: 'two' });
    const all = await names(backend, 'snapshot');
    expect(await codeOf(forget(repository, { policy: {} }))).toBe('bad-request');
    expect(await codeOf(forget(repository, { policy: { last: 0, within: '' } }))).toBe('bad-request');
    expect(await codeOf(forget(repository, { policy: {}, unsafeAllowRemoveAll: true }))).toBe('bad-request');
    expect(await codeOf(forget(repository, { policy: { last: 1 }, lock: false }))).toBe('bad-request');
    // A tag that only one group has leaves nothing of the other: neither is touched.
    expect(await codeOf(forget(repository, { policy: { tags: [['a']] } }))).toBe('bad-request');
    expect(await names(backend, 'snapshot')).toEqual(all);
    const filter = { hosts: ['two'] };
    const { removed } = await forget(repository, { policy: {}, unsafeAllowRemoveAll: true, filter });
    expect(removed).toHaveLength(1);
    expect(await names(backend, 'snapshot')).toHaveLength(1);
  });

  it('excludes everybody else meanwhile, and removes nothing when it cannot', async () => {
    const { repository, backend } = await makeRepository();
    await put(repository);
    await put(repository, { time: day(2) });
    const lock = await repository.lock();
    expect(await codeOf(forget(repository, { policy: { last: 1 } }))).toBe('locked');
    expect(await names(backend, 'snapshot')).toHaveLength(2);
    await lock[Symbol.asyncDispose]();
    expect(await codeOf(forget(repository, { policy: { last: 1 }, signal: AbortSignal.abort() }))).toBe('aborted');
    expect(await names(backend, 'snapshot')).toHaveLength(2);
  });

  it('tells what it could not remove and goes on', async () => {
    const { repository, backend } = await makeRepository({
      faults: [
        {
          when: ({ method, file }) => method === 'remove' && file?.type === 'snapshot',
          nth: 1,
          effect: { kind: 'fail-before', error: new EngineError('denied', 'may not') },
        },
      ],
    });
    const ids = await Promise.all([1, 2, 3].map((number) => put(repository, { time: day(number) })));
    const { removed, failed } = await forget(repository, { policy: { last: 1 } });
    const [stuck] = failed;
    expect(new Set([...removed, stuck?.id])).toEqual(new Set([ids[0], ids[1]]));
    expect(stuck?.error.code).toBe('denied');
    expect(new Set(await names(backend, 'snapshot'))).toEqual(new Set([ids[2], stuck?.id]));
  });
});

describe('tagging', () => {
  it('replaces snapshots by ones with other tags that remember the first of their line', async () => {
    const { repository } = await makeRepository();
    const id = await put(repository, { tags: ['a', 'b'], username: 'ann', unknown: { label: '"kept"' } });
    const other = await put(repository, { hostname: 'two' });
    const { changed } = await tag(repository, { ids: [id], add: ['c', 'a', 'c'], remove: ['b', 'x'] });
    expect(changed).toMatchObject([{ before: id }]);
    const [{ after } = { after: '' }] = changed;
    const again = await tag(repository, { filter: { tags: [['c']] }, set: [] });
    expect(again.changed).toMatchObject([{ before: after }]);
    const left = await Array.fromAsync(listSnapshots(repository));
    expect(left.map((snapshot) => snapshot.id).toSorted()).toEqual([other, again.changed[0]?.after].toSorted());
    const newest = left.find((snapshot) => snapshot.id !== other);
    expect(newest).toMatchObject({ original: id, username: 'ann', time: BASE.time, unknown: { label: '"kept"' } });
    expect(newest?.tags).toBeUndefined();
  });

  it('leaves alone what would stay the same', async () => {
    const { repository, backend } = await makeRepository();
    const id = await put(repository, { tags: ['a'] });
    expect(await tag(repository, { add: ['a'], remove: ['b'] })).toEqual({ changed: [], failed: [], problems: [] });
    expect(await tag(repository, { add: ['b'], remove: ['b'] })).toEqual({ changed: [], failed: [], problems: [] });
    expect(await names(backend, 'snapshot')).toEqual([id]);
    expect(await codeOf(tag(repository, {}))).toBe('bad-request');
    expect(await codeOf(tag(repository, { set: ['a'], add: ['b'] }))).toBe('bad-request');
  });
});

describe('tagging when the store fails', () => {
  it.each(['save', 'remove'] as const)('never loses a snapshot: %s', async (method) => {
    let armed = false;
    const { repository, backend } = await makeRepository({
      faults: [
        {
          when: (call) => armed && call.method === method && call.file?.type === 'snapshot',
          effect: { kind: 'fail-before', error: new EngineError('denied', 'may not') },
        },
      ],
    });
    const id = await put(repository);
    armed = true;
    const { changed, failed } = await tag(repository, { add: ['a'] });
    expect(changed).toEqual([]);
    expect(failed).toMatchObject([{ id, error: { code: 'denied' } }]);
    // Until the old one can be removed there are both.
    expect(await names(backend, 'snapshot')).toHaveLength(method === 'save' ? 1 : 2);
    expect(await names(backend, 'snapshot')).toContain(id);
    expect(await names(backend, 'lock')).toEqual([]);
  });
});

describe('grouping', () => {
  it('goes by what is asked for, without regard to the order of paths and tags', () => {
    const entry = (id: string, more: Partial<Snapshot>) => ({ ...BASE, ...more, id });
    const snapshots = [
      entry('1', { paths: ['/b', '/a'], tags: ['y', 'x'] }),
      entry('2', { paths: ['/a', '/b'], tags: ['x', 'y'] }),
      entry('3', { hostname: undefined, paths: ['/a'], tags: [] }),
    ];
    const ids = (by: Parameters<typeof groupSnapshots>[1]): string[][] =>
      groupSnapshots(snapshots, by).map((group) => group.snapshots.map(({ id }) => id));
    expect(ids([])).toEqual([['1', '2', '3']]);
    expect(ids(['host'])).toEqual([['3'], ['1', '2']]);
    expect(groupSnapshots(snapshots, ['host', 'paths', 'tags']).map(({ key }) => key)).toEqual([
      { hostname: '', paths: ['/a'], tags: null },
      { hostname: 'one', paths: ['/a', '/b'], tags: ['x', 'y'] },
    ]);
  });
});
