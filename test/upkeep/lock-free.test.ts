import { backup, check, copy, initRepository, listSnapshots, memoryBackend, objects, prune } from 'restic-engine';
import { recover, repairIndex, repairPacks, withFaults, wrap, EngineError } from 'restic-engine';
import type { Backend, PruneResult, Repository } from 'restic-engine';
import type { FaultCall } from '@restic-engine/backends';
import { encodeMarks } from '@restic-engine/repo-format';
import { withUpload } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { CHEAPEST, filesOf, openStore, readEverything, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { checkAll, forgetDays, makeHistory, packsByType } from './repository.ts';
import { after, LOCK_FREE, lockAs, makeWaiting, withEvent } from './waiting.ts';

// Pruning beside others: what is marked, what is deleted and when, and what everything else makes of marks.

const HOUR = 60 * 60 * 1000;

async function pruneAt(store: Backend, options: object = {}): Promise<Required<PruneResult>> {
  return (await prune(await openStore(store), { ...LOCK_FREE, ...options })) as Required<PruneResult>;
}

async function packsOf(store: Backend): Promise<Set<string>> {
  return new Set((await all(store.list('data'))).map(({ name }) => name));
}

let made: Promise<StoredFile[]> | undefined;

/** A store with garbage, and one of the snapshots that are forgotten there. */
async function makeGarbage(): Promise<{ store: Backend; forgotten: StoredFile; expected: string }> {
  const files = await (made ??= makeHistory());
  const store = await storeOf(files);
  const repository = await openStore(store);
  const day0 = (await all(listSnapshots(repository))).find(({ tags }) => tags?.[0] === '0');
  const forgotten = files.find(({ name }) => name === day0!.id)!;
  await forgetDays(repository, [0, 2, 3]);
  return { store, forgotten, expected: await readEverything(store) };
}

const savesIndex = ({ method, type }: FaultCall): boolean => method === 'save' && type === 'index';
const savesSnapshot = ({ method, type }: FaultCall): boolean => method === 'save' && type === 'snapshot';
const listsIndex = ({ method, type }: FaultCall): boolean => method === 'list' && type === 'index';

describe('a lock-free prune', () => {
  it('marks in one run and deletes in the next', async () => {
    const { store, expected } = await makeGarbage();
    const before = await packsOf(store);
    const first = await pruneAt(store);
    expect(first.problems).toEqual([]);
    const marked = first.plan.remove.size + first.plan.repack.size;
    expect(first.lockFree).toEqual({ marked, waiting: marked, deleted: 0, returned: 0, postponed: 0 });
    expect([first.plan.remove.size, first.plan.repack.size].every((size) => size > 0)).toBe(true);
    expect([...(await packsOf(store))]).toEqual(expect.arrayContaining([...before]));
    expect(await readEverything(store)).toBe(expected);
    const { lockFree } = await pruneAt(store);
    expect(lockFree).toEqual({ marked: 0, waiting: 0, deleted: marked, returned: 0, postponed: 0 });
    const left = await packsOf(store);
    for (const pack of [...first.plan.remove, ...first.plan.repack]) expect(left).not.toContain(pack);
    expect(await readEverything(store)).toBe(expected);
    expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    expect((await pruneAt(store)).lockFree).toMatchObject({ marked: 0, waiting: 0, deleted: 0 });
  });

  it('keeps what it marks for a time, 23 hours by default', async () => {
    const { store } = await makeGarbage();
    const { marked } = (await pruneAt(store)).lockFree;
    const now = (await openStore(store)).platform.now().seconds;
    const prunedAfter = async (hours: number): Promise<PruneResult> => {
      const repository = await openStore(store);
      const platform = { ...repository.platform, now: () => ({ seconds: now + hours * 3600, nanoseconds: 0 }) };
      const later = new Proxy(repository, {
        get: (target, name) => (name === 'platform' ? platform : (Reflect.get(target, name, target) as unknown)),
      });
      return prune(later, { lockFree: true, dryRun: true });
    };
    expect((await prunedAfter(22)).lockFree).toMatchObject({ deleted: 0, waiting: marked });
    expect((await prunedAfter(24)).lockFree).toMatchObject({ deleted: marked, waiting: 0 });
    expect((await pruneAt(store, { keepDeleteMs: HOUR })).lockFree).toMatchObject({ deleted: 0, waiting: marked });
  });

  it('changes nothing in a dry run', async () => {
    const { files } = await makeWaiting();
    const store = await storeOf(files);
    const { lockFree } = await pruneAt(store, { dryRun: true });
    expect(Object.values(lockFree).filter((count) => count > 0).length).toBeGreaterThanOrEqual(4);
    expect(await filesOf(store)).toEqual(files);
  });

  it('leaves snapshots out of a dry run', async () => {
    const store = await storeOf(await (made ??= makeHistory()));
    const ignoreSnapshots = (await all(store.list('snapshot'))).map(({ name }) => name);
    const { lockFree } = await pruneAt(store, { dryRun: true, ignoreSnapshots });
    expect(lockFree.marked).toBe((await packsOf(store)).size);
  });

  it('deletes nothing while somebody may count on it who was there when it left the index', async () => {
    const { store } = await makeGarbage();
    let lock = '';
    const { marked } = (await pruneAt(withEvent(store, savesIndex, async () => (lock = await lockAs(store, 7)))))
      .lockFree;
    expect(marked).toBeGreaterThan(0);
    expect((await pruneAt(store)).lockFree).toMatchObject({ deleted: 0, waiting: marked });
    // Refreshed: another file, another time, the same run.
    const next = await lockAs(store, 7, new Date(Date.now() + 60_000).toISOString());
    await store.remove({ type: 'lock', name: lock });
    expect((await pruneAt(store)).lockFree).toMatchObject({ deleted: 0, waiting: marked });
    await lockAs(store, 8);
    await store.remove({ type: 'lock', name: next });
    expect((await pruneAt(store)).lockFree).toMatchObject({ deleted: marked, waiting: 0 });
  });

  it('sees the snapshot of whoever has just ended', async () => {
    const { store, forgotten } = await makeGarbage();
    let lock = '';
    await pruneAt(withEvent(store, savesIndex, async () => (lock = await lockAs(store, 7))));
    // It saves its snapshot when those that are there have been listed.
    const end = async (): Promise<void> => {
      await store.save({ type: 'snapshot', name: forgotten.name }, [forgotten.bytes]);
      await store.remove({ type: 'lock', name: lock });
    };
    expect((await pruneAt(withEvent(store, listsIndex, end))).lockFree.deleted).toBe(0);
    const { lockFree } = await pruneAt(store);
    expect(lockFree.returned).toBeGreaterThan(0);
    await readEverything(store);
  });

  it('returns what left the index in a run that died before it looked who was there', async () => {
    const { store, forgotten } = await makeGarbage();
    // Twice for its own lock, twice before it reads anything.
    const when = ({ method, type }: FaultCall): boolean => method === 'list' && type === 'lock';
    const dying = wrap(store, withFaults({ crash: { after: 4, when } }));
    await expect(pruneAt(dying)).rejects.toMatchObject({ code: 'io' });
    for (const { name } of await all(store.list('lock'))) await store.remove({ type: 'lock', name });
    await store.save({ type: 'snapshot', name: forgotten.name }, [forgotten.bytes]);
    await expect(readEverything(store)).rejects.toMatchObject({ code: 'not-found' });
    const { lockFree } = await pruneAt(store);
    expect(lockFree.deleted).toBe(0);
    expect(lockFree.returned).toBeGreaterThan(0);
    await readEverything(store);
  });

  it('leaves alone what a backup under way has stored', async () => {
    const { store } = await makeGarbage();
    const repository = await openStore(store);
    const lock = await lockAs(store, 7);
    const content = Buffer.from('of a backup that takes long');
    const first = await all(listSnapshots(repository));
    const indexed = await repository.loadIndex();
    const id = await withUpload(indexed, {}, async (upload) => (await upload.save('data', content)).id);
    const before = await pruneAt(store);
    expect(before.lockFree).toMatchObject({ marked: 0, deleted: 0 });
    expect(before.lockFree.postponed).toBeGreaterThan(0);
    expect((await pruneAt(store)).lockFree.marked).toBe(0);
    expect((await repository.loadIndex()).has('data', id)).toBe(true);
    // Who comes later is not in the way of what was there before.
    await lockAs(store, 8);
    await store.remove({ type: 'lock', name: lock });
    const { lockFree } = await pruneAt(store);
    expect(lockFree).toMatchObject({ marked: before.lockFree.postponed, postponed: 0 });
    expect((await repository.loadIndex()).has('data', id)).toBe(false);
    expect(await all(listSnapshots(repository))).toEqual(first);
    // Nothing is left of what was written down of it.
    for (const { name } of await all(store.list('index'))) {
      expect(Buffer.from(await repository.loadFile('index', name)).toString()).not.toContain('"unsettled":["');
    }
  });

  it('removes the lock of a holder that is long gone, and deletes in the run after', async () => {
    const { store } = await makeGarbage();
    const old = new Date(Date.now() - 31 * 60_000).toISOString();
    const young = new Date(Date.now() - 29 * 60_000).toISOString();
    await pruneAt(withEvent(store, savesIndex, async () => void (await lockAs(store, 7, young))));
    expect((await pruneAt(store)).lockFree.deleted).toBe(0);
    expect(await all(store.list('lock'))).toHaveLength(1);
    await store.remove({ type: 'lock', name: (await all(store.list('lock')))[0]!.name });
    await lockAs(store, 7, old);
    expect((await pruneAt(store, { keepDeleteMs: HOUR })).lockFree.deleted).toBe(0);
    expect(await all(store.list('lock'))).toHaveLength(1);
    expect((await pruneAt(store)).lockFree.deleted).toBe(0);
    expect(await all(store.list('lock'))).toEqual([]);
    expect((await pruneAt(store)).lockFree.deleted).toBeGreaterThan(0);
  });

  it.each(['pure', 'mixed'])('waits anew for what others have marked, in a %s file', async (kind) => {
    const { store, expected } = await makeGarbage();
    await pruneAt(store);
    const repository = await openStore(store);
    for (const { name } of await all(store.list('index'))) {
      const text = Buffer.from(await repository.loadFile('index', name)).toString();
      if (!text.includes('packs_to_delete')) continue;
      const { packs_to_delete: marked } = JSON.parse(text) as { packs_to_delete: unknown };
      await repository.removeFile('index', name);
      const packs = kind === 'pure' ? [] : await takeIndex(repository);
      await repository.saveFile('index', Buffer.from(JSON.stringify({ packs, packs_to_delete: marked })));
    }
    expect(await readEverything(store)).toBe(expected);
    const { waiting } = (await pruneAt(store)).lockFree;
    expect(waiting).toBeGreaterThan(0);
    expect(await readEverything(store)).toBe(expected);
    expect((await pruneAt(store)).lockFree).toMatchObject({ deleted: waiting, waiting: 0 });
    expect(await readEverything(store)).toBe(expected);
    expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
  });

  it('forgets marks of packs that are in the index, or gone', async () => {
    const { store, expected } = await makeGarbage();
    const [named] = (await packsByType(store)).data;
    const packs = [named!, 'ab'.repeat(32)].map((id) => ({ id, blobs: [] }));
    const record = { time: '2024-01-01T00:00:00Z', holders: [], unsettled: [] };
    await (await openStore(store)).saveFile('index', encodeMarks({ packs, record }));
    expect((await pruneAt(store, { maxUnused: 'unlimited' })).lockFree.deleted).toBe(0);
    expect(await readEverything(store)).toBe(expected);
  });

  it('heeds all marks of a pack', async () => {
    const { store } = await makeGarbage();
    const { plan, lockFree } = await pruneAt(store);
    const packs = [...plan.remove, ...plan.repack].map((id) => ({ id, blobs: [] }));
    const holders = [{ hostname: 'elsewhere', username: 'somebody', pid: 7 }];
    for (const time of ['2020-01-01T00:00:00Z', '2021-01-01T00:00:00Z']) {
      const record = { time, holders, unsettled: [] };
      await (await openStore(store)).saveFile('index', encodeMarks({ packs, record }));
    }
    const lock = await lockAs(store, 7);
    expect((await pruneAt(store)).lockFree).toMatchObject({ deleted: 0, waiting: lockFree.marked });
    await store.remove({ type: 'lock', name: lock });
    expect((await pruneAt(store)).lockFree).toMatchObject({ deleted: lockFree.marked, waiting: 0 });
  });

  it('is the only one', async () => {
    const { store } = await makeGarbage();
    const lock = await (await openStore(store)).lock({ lockFreePrune: true });
    await expect(pruneAt(store)).rejects.toMatchObject({ code: 'locked' });
    await lock[Symbol.asyncDispose]();
    const both = await Promise.allSettled([pruneAt(store), pruneAt(store)]);
    const failed = both.filter(({ status }) => status === 'rejected');
    expect(failed.length).toBeGreaterThan(0);
    for (const each of failed) expect(each).toMatchObject({ reason: { code: 'locked' } });
    await pruneAt(store);
  });

  it('lets classic ones wait, and waits for them', async () => {
    const { store } = await makeGarbage();
    const during = async (): Promise<void> => {
      await expect(prune(await openStore(store))).rejects.toMatchObject({ code: 'locked' });
    };
    await pruneAt(withEvent(store, savesIndex, during));
    const lock = await (await openStore(store)).lock({ exclusive: true });
    await expect(pruneAt(store)).rejects.toMatchObject({ code: 'locked' });
    await lock[Symbol.asyncDispose]();
  });

  it('leaves everything as it is where nothing can be removed', async () => {
    const { store } = await makeGarbage();
    const before = await filesOf(store);
    const when = ({ method, type }: FaultCall): boolean => method === 'remove' && type !== 'lock';
    const error = new EngineError('denied', 'append-only');
    const appendOnly = wrap(store, withFaults({ faults: [{ when, effect: { kind: 'fail-before', error } }] }));
    await expect(pruneAt(appendOnly)).rejects.toMatchObject({ code: 'denied' });
    expect(await filesOf(store)).toEqual(before);
  });

  it.each([{ unsafeRecoverNoFreeSpace: true }, { keepDeleteMs: -1 }, { lockFree: false }, { lock: false }])(
    'rejects %o',
    async (options) => {
      const { store } = await makeGarbage();
      const { id } = (await openStore(store)).config;
      const unsafe = 'unsafeRecoverNoFreeSpace' in options ? { unsafeRecoverNoFreeSpace: id } : {};
      await expect(pruneAt(store, { ...options, ...unsafe })).rejects.toMatchObject({ code: 'bad-request' });
    },
  );
});

/** Removes the index files and resolves with the packs that they named. */
async function takeIndex(repository: Repository): Promise<unknown[]> {
  const packs: unknown[] = [];
  for (const { name } of await all(repository.list('index'))) {
    const { packs: named } = JSON.parse(Buffer.from(await repository.loadFile('index', name)).toString()) as {
      packs: unknown[];
    };
    packs.push(...named);
    await repository.removeFile('index', name);
  }
  return packs;
}

describe('what counted on packs that were marked meanwhile', () => {
  /** Everything unused is settled here, although somebody is at work. */
  async function makeSettled(): Promise<{ store: Backend; forgotten: StoredFile }> {
    const { store, forgotten } = await makeGarbage();
    const lock = await lockAs(store, 7);
    await pruneAt(store);
    await store.remove({ type: 'lock', name: lock });
    return { store, forgotten };
  }

  it('is put back by a backup at its end', async () => {
    const { store } = await makeSettled();
    const watched = withEvent(store, savesSnapshot, async () => {
      expect((await pruneAt(store)).lockFree.marked).toBeGreaterThan(0);
    });
    const entries = [{ path: 'again', content: 'of day 3 '.repeat(1000) }];
    const { problems } = await backup(await openStore(watched), { source: objects(entries) });
    expect(problems).toEqual([]);
    await readEverything(store);
    expect((await check(await openStore(store), { readData: true })).errors).toEqual([]);
  });

  it('is put back by a copy at its end', async () => {
    const { store, forgotten } = await makeSettled();
    const other = memoryBackend();
    await initRepository({ backend: other, password: PASSWORD, kdf: CHEAPEST });
    const whole = await storeOf([...(await filesOf(store)), forgotten]);
    await copy(await openStore(whole), await openStore(other), { ids: [forgotten.name] });
    const watched = withEvent(store, savesSnapshot, async () => {
      expect((await pruneAt(store)).lockFree.marked).toBeGreaterThan(0);
    });
    await copy(await openStore(other), await openStore(watched));
    await readEverything(store);
  });

  it('is put back by the prune when it sees the snapshot', async () => {
    const { store, forgotten } = await makeGarbage();
    const returned = withEvent(store, savesIndex, () =>
      store.save({ type: 'snapshot', name: forgotten.name }, [forgotten.bytes]),
    );
    expect((await pruneAt(returned)).lockFree.returned).toBeGreaterThan(0);
    await readEverything(store);
  });
});

describe('where packs wait,', () => {
  it('check says so, and what helps', async () => {
    const { files } = await makeWaiting();
    const { errors, hints, repairs } = await checkAll(await storeOf(files));
    expect(errors.length).toBeGreaterThan(0);
    for (const { message } of errors) expect(message).toMatch(/waits for its deletion: .* brings it back$/);
    expect(hints.some(({ kind }) => kind === 'pack-marked')).toBe(true);
    expect(repairs[0]).toBe('repair-index');
  });

  it('a classic prune brings back what is needed, and removes the rest at once', async () => {
    const { files, untouched } = await makeWaiting();
    const store = await storeOf(files);
    await prune(await openStore(store), { maxUnused: 0 });
    expect(await readEverything(store)).toBe(await readEverything(await storeOf(untouched)));
    expect(await checkAll(store)).toMatchObject({ errors: [], hints: [] });
    const { stats } = await prune(await openStore(store), { dryRun: true, maxUnused: 0 });
    expect(stats.bytes).toMatchObject({ unused: 0, unreferenced: 0 });
  });

  it('repairs of index and packs bring everything back', async () => {
    const { files, untouched } = await makeWaiting();
    const expected = await readEverything(await storeOf(untouched));
    const repaired = await after(files, async (store) => repairIndex(await openStore(store)));
    expect(await readEverything(await storeOf(repaired))).toBe(expected);
    const packs = await after(files, async (store) => {
      const [pack] = (await packsByType(store)).data;
      await repairPacks(await openStore(store), [pack!], { keepCopy: async () => undefined });
    });
    expect(await readEverything(await storeOf(packs))).toBe(expected);
    const recovered = await after(files, async (store) => recover(await openStore(store)));
    expect((await checkAll(await storeOf(recovered))).errors).toEqual([]);
  });
});

it('an index file that is replaced while the index is read is no obstacle', async () => {
  const { store, expected } = await makeGarbage();
  const loadsIndex = ({ method, type }: FaultCall): boolean => method === 'load' && type === 'index';
  const replaced = withEvent(store, loadsIndex, async () => {
    const repository = await openStore(store);
    for (const { name } of await all(store.list('index'))) {
      await repository.saveFile('index', await repository.loadFile('index', name));
      await repository.removeFile('index', name);
    }
  });
  expect((await (await openStore(replaced)).loadIndex()).table.size).toBeGreaterThan(0);
  expect(await readEverything(store)).toBe(expected);
  const gone = withFaults({
    faults: [{ when: loadsIndex, effect: { kind: 'fail-before', error: new EngineError('not-found', 'gone') } }],
  });
  await expect((await openStore(wrap(store, gone))).loadIndex()).rejects.toMatchObject({ code: 'not-found' });
});
