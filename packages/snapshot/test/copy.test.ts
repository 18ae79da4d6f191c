import { decodeSnapshot, encodeSnapshot, EngineError } from '@restic-engine/repo-format';
import type { Backend } from '@restic-engine/repo-format';
import { check, withUpload } from '@restic-engine/repository';
import type { Repository } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { backup } from '../src/backup/backup.ts';
import { copySnapshots } from '../src/copy/copy-snapshots.ts';
import { copy } from '../src/copy/copy.ts';
import { isSameBackup } from '../src/copy/same-snapshot.ts';
import { objects } from '../src/source/objects.ts';
import { codeOf, initialized, names, nodesOf, opened } from './harness.ts';

interface Pair {
  readonly source: Repository;
  readonly target: Repository;
  readonly from: Backend;
  readonly to: Backend;
}

/** Three snapshots that share a file, and an empty repository. */
async function makePair(): Promise<Pair> {
  const from = await initialized();
  const source = await opened(from);
  for (const day of ['one', 'two', 'three']) {
    const entries = [
      { path: 'shared/text', content: 'shared '.repeat(1000) },
      { path: `own/${day}`, content: day },
    ];
    await backup(source, { source: objects(entries), tags: [day] });
  }
  const to = await initialized();
  return { source, target: await opened(to), from, to };
}

async function expectSound(target: Repository): Promise<void> {
  expect(await check(target, { readData: true })).toMatchObject({ errors: [], hints: [] });
}

// Most of the time is spent waiting for locks to settle.
describe.concurrent('copying', () => {
  it('tells what it does, and counts', async () => {
    const { source, target } = await makePair();
    const events: string[] = [];
    const phases = new Set<string>();
    const result = await copy(source, target, {
      onSnapshot: ({ kind, source: { tags } }) => events.push(`${kind} ${tags?.join() ?? ''}`),
      onProgress: ({ phase }) => phases.add(phase),
    });
    expect(events.slice(0, 6)).toEqual([
      'started one', 'found one', 'started two', 'found two', 'started three', 'found three',
    ]); // biome-ignore format: pairs
    expect(events.slice(6).toSorted()).toEqual(['copied one', 'copied three', 'copied two']);
    expect([...phases]).toEqual(['index', 'trees', 'packs']);
    // Four files; for each snapshot a root and a folder, and the folder that all share.
    expect(result.totals).toMatchObject({ dataBlobs: 4, treeBlobs: 7 });
    await expectSound(target);
    events.length = 0;
    const again = await copy(source, target, { onSnapshot: ({ kind }) => events.push(kind) });
    expect([again.copied, again.skipped.length, again.totals.added]).toEqual([[], 3, 0]);
    expect(events).toEqual(['skipped', 'skipped', 'skipped']);
  });

  it.each([
    [{ packs: 1e-9, seconds: 0 }, 3],
    [{ packs: 1e-9, seconds: 60 }, 1],
    [{ packs: 100, seconds: 0 }, 1],
  ])('writes snapshots in batches, with limits %o', async (limits, batches) => {
    const { source, to } = await makePair();
    let indexes = 0;
    let snapshots = 0;
    const target = await opened(to, {
      onCall: ({ method, type }) => {
        if (method !== 'save') return;
        if (type === 'index') indexes += 1;
        if (type === 'snapshot') snapshots += 1;
      },
    });
    const { copied } = await copySnapshots(source, target, {}, limits);
    expect([copied.length, snapshots, indexes]).toEqual([3, 3, batches]);
    await expectSound(target);
  });

  it('takes no tree in the target for a sign of what is in it', async () => {
    const { source, target } = await makePair();
    const [tree] = (await Promise.all((await names(source.backend, 'snapshot')).map((id) => rootOf(source, id)))) as [
      string,
    ];
    const trees = await source.loadIndex();
    // All trees and no data, as a copy may leave it that ended early.
    await withUpload(await target.loadIndex(), {}, async (upload) => {
      for (const { type, id } of trees.table.entries()) {
        if (type === 'tree') await upload.save('tree', await trees.loadBlob('tree', id));
      }
    });
    const { totals } = await copy(source, target);
    expect(totals).toMatchObject({ dataBlobs: 4, treeBlobs: 0 });
    await expectSound(target);
    expect([...(await nodesOf(target, tree)).keys()]).toContain('/shared/text');
  });

  it('stores no snapshot when something in it is missing or damaged', async () => {
    const { source, from, to } = await makePair();
    const indexed = await source.loadIndex();
    const packs = new Set([...indexed.table.entries()].filter(({ type }) => type === 'data').map(({ pack }) => pack));
    for (const [code, effect] of [
      ['corrupt', { kind: 'flip', offset: 20 }],
      ['not-found', { kind: 'fail-before', error: new EngineError('not-found', 'lost') }],
    ] as const) {
      const broken = await opened(from, {
        faults: [{ when: ({ method, file }) => method === 'load' && packs.has(file?.name ?? ''), effect }],
      });
      const target = await opened(to);
      expect(await codeOf(copy(broken, target))).toBe(code);
      expect(await names(to, 'snapshot')).toEqual([]);
      expect(await names(to, 'lock')).toEqual([]);
      expect(await names(from, 'lock')).toEqual([]);
    }
    for (const id of await names(from, 'index')) await from.remove({ type: 'index', name: id });
    expect(await codeOf(copy(await opened(from), await opened(to)))).toBe('not-found');
  });

  it('reads a damaged range once more', async () => {
    const { source, from, target } = await makePair();
    const indexed = await source.loadIndex();
    const packs = new Set([...indexed.table.entries()].filter(({ type }) => type === 'data').map(({ pack }) => pack));
    const shaky = await opened(from, {
      faults: [
        {
          when: ({ method, file }) => method === 'load' && packs.has(file?.name ?? ''),
          nth: 1,
          effect: { kind: 'flip', offset: 20 },
        },
      ],
    });
    expect((await copy(shaky, target)).copied).toHaveLength(3);
    await expectSound(target);
  });

  it('writes nothing to a source that it may not lock', async () => {
    const { from, target } = await makePair();
    const calls = new Set<string>();
    const source = await opened(from, { onCall: ({ method }) => calls.add(method) });
    expect((await copy(source, target, { lockSource: false })).copied).toHaveLength(3);
    expect([...calls].toSorted()).toEqual(['list', 'load']);
  });

  it('waits for no lock, keeps none, and stops when it is told to', async () => {
    const { source, target, from, to } = await makePair();
    await using lock = await target.lock({ exclusive: true });
    expect(await codeOf(copy(source, target))).toBe('locked');
    await lock[Symbol.asyncDispose]();
    await using other = await source.lock({ exclusive: true });
    expect(await codeOf(copy(source, target))).toBe('locked');
    await other[Symbol.asyncDispose]();
    const stop = new AbortController();
    const onSnapshot = (): void => stop.abort();
    expect(await codeOf(copy(source, target, { signal: stop.signal, onSnapshot }))).toBe('aborted');
    expect(await names(to, 'snapshot')).toEqual([]);
    expect([...(await names(to, 'lock')), ...(await names(from, 'lock'))]).toEqual([]);
  });

  it('passes over damaged snapshots of the target, and keeps fields that it does not know', async () => {
    const { source, target, to } = await makePair();
    const [id = ''] = await names(source.backend, 'snapshot');
    const snapshot = decodeSnapshot(await source.loadFile('snapshot', id));
    const labelled = await source.saveFile(
      'snapshot',
      encodeSnapshot({ ...snapshot, parent: id, unknown: { label: '"x"' } }),
    );
    await to.save({ type: 'snapshot', name: 'ab'.repeat(32) }, [new Uint8Array(100)]);
    const { copied } = await copy(source, target, { ids: [labelled] });
    const copied1 = decodeSnapshot(await target.loadFile('snapshot', copied[0]?.target ?? ''));
    expect(copied1).toEqual({ ...snapshot, parent: undefined, original: labelled, unknown: { label: '"x"' } });
  });

  it('has nothing to copy to itself', async () => {
    const { source } = await makePair();
    const { copied, skipped } = await copy(source, source);
    expect([copied, skipped.length]).toEqual([[], 3]);
    expect(skipped.every((pair) => pair.source === pair.target)).toBe(true);
  });
});

describe('the same backup', () => {
  const base = { time: '2026-01-01T00:00:00Z', tree: 'ab'.repeat(32), paths: ['/a', '/b'], tags: ['x', 'y'], uid: 0 };

  it.each([
    { time: '2026-01-01T01:00:00+01:00' },
    { paths: ['/b', '/a'] },
    { tags: ['y', 'x'] },
    { uid: undefined, hostname: '', excludes: [] },
    { parent: 'cd'.repeat(32), original: 'ef'.repeat(32), programVersion: 'other' },
  ])('is one with %o', (other) => {
    expect(isSameBackup(base, { ...base, ...other })).toBe(true);
    expect(isSameBackup({ ...base, ...other }, base)).toBe(true);
  });

  it.each([
    { time: '2026-01-01T00:00:00.000000001Z' },
    { tree: 'ac'.repeat(32) },
    { paths: ['/a'] },
    { paths: ['/a', '/c'] },
    { tags: [] },
    { uid: 1 },
    { gid: 1 },
    { hostname: 'h' },
    { username: 'u' },
    { excludes: ['*'] },
  ])('is none with %o', (other) => {
    expect(isSameBackup(base, { ...base, ...other })).toBe(false);
    expect(isSameBackup({ ...base, ...other }, base)).toBe(false);
  });
});

async function rootOf(repository: Repository, id: string): Promise<string> {
  return decodeSnapshot(await repository.loadFile('snapshot', id)).tree;
}
