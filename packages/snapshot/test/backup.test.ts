import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { backup } from '../src/backup/backup.ts';
import type { BackupItem, BackupOptions, BackupProgress, ItemError } from '../src/backup/types.ts';
import { files } from '../src/source/fs/files.ts';
import {
  codeOf,
  contentsOf,
  makeRepository,
  names,
  nodesOf,
  noise,
  storeDirectory as store,
  writeFiles as write,
} from './harness.ts';
import { makeTempDir } from './temp-dir.ts';

const T1 = '2024-01-01T00:00:00Z';
const T2 = '2024-02-02T00:00:00Z';

describe('backing up files', () => {
  it('stores what is there, and counts what is new, changed and unchanged', async () => {
    using temp = makeTempDir();
    const { repository } = await makeRepository();
    write(temp.path, { 'a/one': '1', 'a/two': '22', 'b/c/three': '333', empty: '' });
    symlinkSync('nowhere', join(temp.path, 'link'));
    const first = await store(repository, temp.path);
    expect(first.summary).toMatchObject({
      filesNew: 4,
      filesChanged: 0,
      filesUnmodified: 0,
      dirsNew: 3,
      dirsChanged: 0,
      dirsUnmodified: 0,
      dataBlobs: 3,
      treeBlobs: 4,
      totalFilesProcessed: 4,
      totalBytesProcessed: 6,
    });
    expect(first).toMatchObject({ parentId: undefined, errors: [], snapshot: { paths: [temp.path] } });
    expect(await contentsOf(repository, first.snapshot.tree)).toEqual({
      '/a/one': Buffer.from('1'),
      '/a/two': Buffer.from('22'),
      '/b/c/three': Buffer.from('333'),
      '/empty': Buffer.alloc(0),
    });
    expect((await nodesOf(repository, first.snapshot.tree)).get('/link')).toMatchObject({
      type: 'symlink',
      linkTarget: 'nowhere',
    });

    appendFileSync(join(temp.path, 'b/c/three'), '4');
    write(temp.path, { 'a/new': 'new' });
    const second = await store(repository, temp.path);
    expect(second.parentId).toBe(first.snapshotId);
    expect(second.summary).toMatchObject({
      filesNew: 1,
      filesChanged: 1,
      filesUnmodified: 3,
      dirsNew: 0,
      dirsChanged: 3,
      dirsUnmodified: 0,
      dataBlobs: 2,
      treeBlobs: 4,
      totalFilesProcessed: 5,
      totalBytesProcessed: 10,
    });
    const third = await store(repository, temp.path);
    expect(third.summary).toMatchObject({
      filesUnmodified: 5,
      dirsUnmodified: 3,
      dataBlobs: 0,
      treeBlobs: 0,
      dataAdded: 0,
    });
    expect(third.snapshot.tree).toBe(second.snapshot.tree);
  });

  it('reads a file again when its size, time or inode says so, and not when told to ignore that', async () => {
    using temp = makeTempDir();
    const { repository } = await makeRepository();
    const file = join(temp.path, 'file');
    const time = new Date('2020-01-01T00:00:00Z');
    const rewrite = (content: string): void => {
      writeFileSync(`${file}.new`, content);
      utimesSync(`${file}.new`, time, time);
      renameSync(`${file}.new`, file);
    };
    rewrite('one');
    await store(repository, temp.path);
    // The same size and mtime, another inode and ctime.
    rewrite('two');
    const blind = await store(repository, temp.path, { ignoreInode: true });
    expect(blind.summary).toMatchObject({ filesUnmodified: 1, dataBlobs: 0 });
    rewrite('six');
    const careful = await store(repository, temp.path, { ignoreCtime: true });
    expect(careful.summary).toMatchObject({ filesChanged: 1, dataBlobs: 1 });
    chmodSync(file, 0o600);
    expect((await store(repository, temp.path, { ignoreCtime: true })).summary).toMatchObject({ filesUnmodified: 1 });
    chmodSync(file, 0o644);
    expect((await store(repository, temp.path)).summary).toMatchObject({ filesChanged: 1, dataBlobs: 0 });
  });

  it('records what it is told', async () => {
    using temp = makeTempDir();
    const { repository } = await makeRepository();
    write(temp.path, { file: 'x' });
    const told = {
      hostname: 'host',
      username: 'user',
      tags: ['b', 'a'],
      excludes: ['*.tmp'],
      time: T1,
      programVersion: 'test 1',
    };
    expect((await store(repository, temp.path, told)).snapshot).toMatchObject(told);
    const dated = await store(repository, temp.path, { time: new Date('2001-02-03T04:05:06Z') });
    expect(Date.parse(dated.snapshot.time)).toBe(Date.parse('2001-02-03T04:05:06Z'));
  });

  it('stores names that are not Unicode, and long files next to short ones', async () => {
    using temp = makeTempDir();
    const { repository } = await makeRepository();
    const name = Buffer.concat([Buffer.from(`${temp.path}/caf`), Buffer.of(0xe9)]);
    writeFileSync(name, 'latin');
    const long = noise((9 << 20) + 5, 1);
    write(temp.path, { long, short: 'x' });
    const { snapshot, errors } = await store(repository, temp.path);
    expect(errors).toEqual([]);
    const contents = await contentsOf(repository, snapshot.tree);
    expect(Object.keys(contents)).toEqual(['/caf\udce9', '/long', '/short']);
    expect(contents['/caf\udce9']?.toString()).toBe('latin');
    expect(contents['/long']?.equals(long)).toBe(true);
  });

  it('makes the same tree with 0, 1 and 2 workers', async () => {
    using temp = makeTempDir();
    write(temp.path, { long: noise(18 << 20, 1), zeros: new Uint8Array(9 << 20), 'a/b/middle': noise(600_000, 2) });
    for (let i = 0; i < 200; i++) write(temp.path, { [`many/${i % 7}/file ${i}`]: noise((i * 997) % 40_000, i % 50) });
    const trees = new Set<string>();
    for (const workers of [0, 1, 2]) {
      const { repository } = await makeRepository({}, { workers });
      const { snapshot, summary } = await store(repository, temp.path);
      trees.add(snapshot.tree);
      expect(summary.totalFilesProcessed).toBe(203);
      await repository[Symbol.asyncDispose]();
    }
    expect(trees.size).toBe(1);
  }, 30_000);
});

describe('the parent of a backup', () => {
  it('is the latest before it of the same host and paths', async () => {
    using temp = makeTempDir();
    const { repository } = await makeRepository();
    write(temp.path, { file: 'x' });
    const base = { hostname: 'one', time: T1 };
    const { snapshotId: first = '' } = await store(repository, temp.path, base);
    const { snapshotId: tagged } = await store(repository, temp.path, {
      ...base,
      tags: ['t'],
      time: '2024-01-01T12:00:00Z',
    });
    await store(repository, temp.path, { ...base, time: '2030-01-01T00:00:00Z' });
    const parentOf = async (options: Partial<BackupOptions>): Promise<string | undefined> =>
      (await store(repository, temp.path, { ...base, time: T2, dryRun: true, ...options })).parentId;
    expect(await parentOf({})).toBe(tagged);
    expect(await parentOf({ hostname: 'other' })).toBeUndefined();
    expect(await parentOf({ hostname: 'other', groupBy: ['paths'] })).toBe(tagged);
    expect(await parentOf({ groupBy: ['tags'], tags: ['t'] })).toBe(tagged);
    expect(await parentOf({ groupBy: ['tags'], tags: ['u'] })).toBeUndefined();
    expect(await parentOf({ source: files({ targets: ['file'], cwd: temp.path }) })).toBeUndefined();
    expect(await parentOf({ source: files({ targets: ['file'], cwd: temp.path }), groupBy: [] })).toBe(tagged);
    expect(await parentOf({ time: '2024-01-01T06:00:00Z' })).toBe(first);
    expect(await parentOf({ force: true })).toBeUndefined();
    expect(await parentOf({ force: true, parent: first })).toBeUndefined();
    expect(await parentOf({ parent: first.slice(0, 20) })).toBe(first);
    expect(await parentOf({ parent: first, hostname: 'other' })).toBe(first);
    expect(await codeOf(parentOf({ parent: 'ffffffff' }))).toBe('not-found');
    expect(await codeOf(parentOf({ parent: 'latest', hostname: 'other' }))).toBe('not-found');
  });

  it('may be damaged: what is missing of it is read again', async () => {
    using temp = makeTempDir();
    const { repository, backend } = await makeRepository();
    write(temp.path, { 'a/file': 'content', 'b/other': 'more' });
    const first = await store(repository, temp.path);
    for (const type of ['data', 'tree'] as const) {
      const indexed = await repository.loadIndex();
      for (const { pack } of indexed.table.entries()) {
        if (indexed.locate(type, first.snapshot.tree)?.pack === pack)
          await backend.remove({ type: 'data', name: pack });
      }
    }
    const second = await store(repository, temp.path);
    expect(second.problems.join()).toContain('cannot be read');
    expect(second.summary).toMatchObject({ filesNew: 2, filesUnmodified: 0 });
    // The index names no content of the parent: the file is unchanged, and must be stored all the same.
    for (const name of await names(backend, 'index')) await backend.remove({ type: 'index', name });
    const third = await store(repository, temp.path);
    expect(third.summary).toMatchObject({ dataBlobs: 2 });
    expect(await contentsOf(repository, third.snapshot.tree)).toEqual({
      '/a/file': Buffer.from('content'),
      '/b/other': Buffer.from('more'),
    });
  });

  it('spares a snapshot when nothing differs from it and that is wished', async () => {
    using temp = makeTempDir();
    const { repository, backend } = await makeRepository();
    write(temp.path, { file: 'x' });
    const { snapshotId } = await store(repository, temp.path, { skipIfUnchanged: true });
    expect(await names(backend, 'snapshot')).toEqual([snapshotId]);
    const same = await store(repository, temp.path, { skipIfUnchanged: true });
    expect(same).toMatchObject({ snapshotId: undefined, parentId: snapshotId });
    write(temp.path, { file: 'y' });
    expect((await store(repository, temp.path, { skipIfUnchanged: true })).snapshotId).toBeDefined();
  });
});

describe('a dry run', () => {
  it('tells what would be, and writes nothing but its lock', async () => {
    using temp = makeTempDir();
    const saves: string[] = [];
    const { repository, backend } = await makeRepository({
      onCall: ({ method, type }) => void (method === 'save' && saves.push(String(type))),
    });
    write(temp.path, { a: 'same', b: 'same', 'c/d': noise(5 << 20, 1) });
    const dry = await store(repository, temp.path, { dryRun: true });
    expect(saves).toEqual(['lock']);
    const real = await store(repository, temp.path);
    const { dataAddedPacked: _, backupStart: _start, backupEnd: _end, ...facts } = real.summary;
    expect(dry.summary).toMatchObject(facts);
    expect(dry).toMatchObject({ snapshotId: undefined, snapshot: { tree: real.snapshot.tree } });
    expect(await names(backend, 'snapshot')).toHaveLength(1);
  });
});

describe('those who watch a backup', () => {
  it('are told of every entry, of progress, and of failures', async () => {
    using temp = makeTempDir();
    const { repository } = await makeRepository();
    write(temp.path, { 'd/one': '1', 'd/two': '22' });
    execFileSync('mkfifo', [join(temp.path, 'fifo')]);
    const items: BackupItem[] = [];
    const told: BackupProgress[] = [];
    const failures: ItemError[] = [];
    const result = await backup(repository, {
      source: files({ targets: ['.', 'missing'], cwd: temp.path }),
      onItem: (item) => items.push(item),
      onProgress: (progress) => told.push(progress),
      onError: (failure) => failures.push(failure),
    });
    expect(items.map(({ path, kind, action }) => `${kind} ${path} ${action}`).toSorted()).toEqual([
      'dir /d new',
      'file /d/one new',
      'file /d/two new',
      'other /fifo new',
    ]);
    expect(items.find(({ path }) => path === '/d/two')).toMatchObject({ dataSize: 2 });
    expect(told.at(-1)).toMatchObject({
      filesDone: 2,
      dirsDone: 1,
      bytesDone: 3,
      filesTotal: 2,
      bytesTotal: 3,
      errors: 1,
      currentFiles: [],
    });
    expect(result.errors).toEqual(failures);
    expect(failures).toMatchObject([{ during: 'archival', error: { code: 'not-found' } }]);
  });

  it('are told of the parent, or that there is none, before anything is read', async () => {
    using temp = makeTempDir();
    const { repository } = await makeRepository();
    write(temp.path, { file: 'x' });
    const told: string[] = [];
    const options: BackupOptions = {
      source: files({ targets: ['.'], cwd: temp.path }),
      onParent: (parent) => told.push(parent?.id ?? 'none'),
      onItem: ({ path }) => told.push(path),
    };
    const { snapshotId = '' } = await backup(repository, options);
    await backup(repository, options);
    expect(told).toEqual(['none', '/file', snapshotId, '/file']);
  });

  it.each(['onParent', 'onItem', 'onProgress', 'onError'] as const)(
    'end it when %s throws, without a snapshot',
    async (name) => {
      using temp = makeTempDir();
      const { repository, backend } = await makeRepository();
      write(temp.path, { file: 'x' });
      const mistake = new TypeError('a mistake');
      const options = {
        source: files({ targets: ['.', 'missing'], cwd: temp.path }),
        [name]: () => {
          throw mistake;
        },
      };
      await expect(backup(repository, options)).rejects.toBe(mistake);
      expect([...(await names(backend, 'snapshot')), ...(await names(backend, 'lock'))]).toEqual([]);
    },
  );
});
