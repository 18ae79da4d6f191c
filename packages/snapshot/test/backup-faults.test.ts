import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EngineError } from '@restic-engine/repo-format';
import type { Node } from '@restic-engine/repo-format';
import type { FaultCall } from '../../backends/src/index.ts';
import { backup } from '../src/backup/backup.ts';
import { files } from '../src/source/fs/files.ts';
import type { SourceEntry, TreeSource } from '../src/source/source.ts';
import {
  codeOf,
  contentsOf,
  initialized,
  makeRepository,
  names,
  nodesOf,
  noise,
  opened,
  storeDirectory as store,
  writeFiles as write,
} from './harness.ts';
import { makeTempDir } from './temp-dir.ts';

const T1 = '2024-01-01T00:00:00Z';

/** A source of entries as `entries` gives them. */
function sourceOf(entries: () => Iterable<SourceEntry>): TreeSource {
  return { kind: 'tree', open: () => ({ paths: ['/made'], root: { entries } }) };
}

function fileEntry(realPath: string, name: string, size: number): SourceEntry {
  const node: Node = {
    name,
    type: 'file',
    mode: 0o644,
    mtime: T1,
    atime: T1,
    ctime: T1,
    uid: 0,
    gid: 0,
    size,
    content: null,
  };
  return { kind: 'file', path: `/${name}`, node, realPath };
}

describe('files that change while they are backed up', () => {
  it.each([0, 1])('are stored as they are read, or left out and told of, with %i workers', async (workers) => {
    using temp = makeTempDir();
    const { repository } = await makeRepository({}, { workers });
    const path = (name: string): string => join(temp.path, name);
    const long = noise(9 << 20, 1);
    write(temp.path, { grown: 'grown by far', shrunk: 'x', 'long now': long, 'short now': 'y', target: 'z' });
    truncateSync(path('shrunk'), 0);
    mkdirSync(path('directory'));
    symlinkSync('target', path('link'));
    execFileSync('mkfifo', [path('pipe')]);
    const sizes: [string, number][] = [
      ...([
        ['directory', 5],
        ['gone', 5],
        ['gone long', 1 << 20],
        ['grown', 1],
        ['link', 1],
        ['long now', 10],
      ] as const),
      ...([
        ['pipe', 0],
        ['short now', 20 << 20],
        ['shrunk', 100],
      ] as const),
    ].map(([name, size]) => [name, size]);
    const result = await backup(repository, {
      source: sourceOf(() => sizes.map(([name, size]) => fileEntry(path(name), name, size))),
    });
    const contents = await contentsOf(repository, result.snapshot.tree);
    expect(Object.keys(contents)).toEqual(['/grown', '/long now', '/short now', '/shrunk']);
    expect(contents['/long now']?.equals(long)).toBe(true);
    expect(contents['/grown']?.toString()).toBe('grown by far');
    expect((await nodesOf(repository, result.snapshot.tree)).get('/grown')?.size).toBe(12);
    const failed = result.errors
      .map(({ path: at, error }) => `${at.slice(temp.path.length + 1)} ${error.code}`)
      .toSorted();
    expect(failed).toEqual(['directory io', 'gone long not-found', 'gone not-found', 'link io', 'pipe io']);
    expect(result.problems.filter((problem) => problem.includes('changed while it was read'))).toHaveLength(4);
    await repository[Symbol.asyncDispose]();
  });

  it('are left out, and named, when they vanish before anybody looked at them', async () => {
    using temp = makeTempDir();
    const { repository } = await makeRepository();
    write(temp.path, { a: '1', b: '2' });
    const source = files({ targets: ['.'], cwd: temp.path });
    const vanishing: TreeSource = {
      kind: 'tree',
      open: (context) => {
        const opened = source.open(context);
        rmSync(join(temp.path, 'b'));
        return opened;
      },
    };
    const { errors, problems, snapshot } = await backup(repository, { source: vanishing });
    expect(problems).toEqual([expect.stringMatching(/ vanished before it could be read$/)]);
    expect(errors).toEqual([]);
    expect(Object.keys(await contentsOf(repository, snapshot.tree))).toEqual(['/a']);
  });
});

describe('a directory that cannot be listed', () => {
  it('is named by its place on this machine, as files are', async () => {
    using temp = makeTempDir();
    write(temp.path, { a: '1' });
    const { repository } = await makeRepository();
    const open = (): never => {
      throw new EngineError('denied', 'not for you');
    };
    const { node } = fileEntry('', 'closed', 0);
    const closed: SourceEntry = { kind: 'directory', path: '/closed', realPath: '/srv/data/closed', node, open };
    const { errors } = await backup(repository, {
      source: sourceOf(() => [closed, fileEntry(join(temp.path, 'a'), 'a', 1)]),
    });
    expect(errors.map(({ path, error }) => [path, error.code])).toContainEqual(['/srv/data/closed', 'denied']);
  });
});

describe('a backup that fails', () => {
  it('rejects when there is nothing to back up, or the source throws', async () => {
    using temp = makeTempDir();
    const { repository, backend } = await makeRepository();
    write(temp.path, { file: 'x' });
    expect(await codeOf(backup(repository, { source: files({ targets: ['missing'], cwd: temp.path }) }))).toBe(
      'not-found',
    );
    expect(await codeOf(backup(repository, { source: sourceOf(() => []) }))).toBe('bad-request');
    const mistake = new TypeError('a mistake');
    const throwing = sourceOf(function* () {
      yield fileEntry(join(temp.path, 'file'), 'a', 1);
      throw mistake;
    });
    await expect(backup(repository, { source: throwing })).rejects.toBe(mistake);
    expect([...(await names(backend, 'snapshot')), ...(await names(backend, 'lock'))]).toEqual([]);
  });

  it('rejects with aborted whenever it is aborted: at once, with nothing going on and no lock left', async () => {
    using temp = makeTempDir();
    write(temp.path, { a: noise(5 << 20, 1), b: noise(5 << 20, 2), 'c/d': 'x', 'c/e': 'y' });
    // At the first call to the store, at the second, and so on, until the one that removes the lock in the end.
    const met: string[] = [];
    for (let at = 1; met.at(-1) !== 'remove lock'; at++) {
      const stop = new AbortController();
      const backend = await initialized();
      const { masterKey } = await opened(backend);
      let count = -Infinity;
      const onCall = ({ method, type }: FaultCall): void => {
        if (++count !== at) return;
        met.push(`${method} ${type}`);
        stop.abort();
      };
      const repository = await opened(backend, { onCall }, { masterKey, packSize: 4 << 20, compression: 'off' });
      count = 0;
      const outcome = await codeOf(store(repository, temp.path, { signal: stop.signal }));
      // When the snapshot is there, only marks are looked for.
      const isDone = met.includes('save snapshot') && met.at(-1) !== 'save snapshot';
      expect([...met, outcome]).toEqual([...met, isDone ? 'nothing was thrown' : 'aborted']);
      const after = count;
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(count).toBe(after);
      expect(await names(backend, 'lock')).toEqual([]);
      expect(await names(backend, 'snapshot')).toHaveLength(isDone ? 1 : 0);
    }
    expect(new Set(met)).toEqual(
      new Set([
        'list lock',
        'save lock',
        'list snapshot',
        'list index',
        'save data',
        'save index',
        'save snapshot',
        'remove lock',
      ]),
    );
  }, 60_000);

  it('rejects with what the store says whatever cannot be saved, and the next one works', async () => {
    using temp = makeTempDir();
    write(temp.path, { a: noise(5 << 20, 1), b: noise(5 << 20, 2), 'c/d': 'x' });
    const full = new EngineError('no-space', 'full');
    for (const [type, nth] of [
      ['lock', 1],
      ['data', 1],
      ['data', 2],
      ['data', 4],
      ['index', 1],
      ['snapshot', 1],
    ] as const) {
      const fault = {
        when: (call: { method: string; type: unknown }) => call.method === 'save' && call.type === type,
        nth,
        effect: { kind: 'fail-after', error: full },
      } as const;
      const { repository, backend } = await makeRepository(
        { faults: [fault] },
        { packSize: 4 << 20, compression: 'off', workers: type === 'data' ? 1 : 0 },
      );
      await expect(store(repository, temp.path)).rejects.toBe(full);
      expect(await names(backend, 'lock')).toEqual([]);
      const { snapshot, errors } = await store(repository, temp.path);
      expect(errors).toEqual([]);
      expect(Object.keys(await contentsOf(repository, snapshot.tree))).toEqual(['/a', '/b', '/c/d']);
      await repository[Symbol.asyncDispose]();
    }
  }, 30_000);

  it('rejects when its workers are taken away, and leaves no lock', async () => {
    using temp = makeTempDir();
    write(temp.path, { a: noise(20 << 20, 1) });
    const { repository, backend } = await makeRepository({}, { workers: 1 });
    const running = codeOf(store(repository, temp.path));
    setTimeout(() => void repository[Symbol.asyncDispose](), 320);
    expect(await running).toBe('aborted');
    expect([...(await names(backend, 'snapshot')), ...(await names(backend, 'lock'))]).toEqual([]);
  });
});
