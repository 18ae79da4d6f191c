import { access, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeNode, EngineError, joinTree } from '@restic-engine/repo-format';
import type { Backend, Node } from '@restic-engine/repo-format';
import { withUpload } from '@restic-engine/repository';
import type { FaultCall } from '../../backends/src/index.ts';
import { backup } from '../src/backup/backup.ts';
import { snapshotFs } from '../src/fs/snapshot-fs.ts';
import type { SnapshotFs, SnapshotFsOptions } from '../src/fs/snapshot-fs.ts';
import { objects } from '../src/source/objects.ts';
import { bytesOf, codeOf, initialized, makeRepository, noise, opened, storeDirectory } from './harness.ts';

/** The errno of what a promise rejects with, in either world. */
async function errnoOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return 'nothing was thrown';
  } catch (error) {
    return EngineError.is(error) ? error.context['errno'] : (error as NodeJS.ErrnoException).code;
  }
}

async function back(
  backend: Backend,
  contents: Record<string, string | Uint8Array>,
  more: { hostname?: string; tags?: string[]; time?: string } = {},
): Promise<string> {
  const source = objects(Object.entries(contents).map(([path, content]) => ({ path, content })));
  return (await backup(await opened(backend), { source, ...more })).snapshotId ?? '';
}

describe('a file system over snapshots', () => {
  it('has every snapshot by its id, time, host and tags, and the latest', async () => {
    const backend = await initialized();
    const first = await back(
      backend,
      { a: '1' },
      { hostname: 'one', tags: ['t', 'u/v'], time: '2024-01-01T10:00:00Z' },
    );
    const second = await back(backend, { a: '2' }, { hostname: 'two', time: '2024-01-02T10:00:00+02:00' });
    const fs = snapshotFs(await opened(backend));
    const at = '2024-01-01T10:00:00Z';
    expect(await fs.readdir('/')).toEqual(['ids', 'snapshots', 'hosts', 'tags']);
    expect((await fs.readdir('ids')).toSorted()).toEqual([first.slice(0, 8), second.slice(0, 8)].toSorted());
    expect((await fs.readdir('/hosts', { recursive: true })).filter((path) => !path.endsWith('/a'))).toEqual([
      'one',
      'two',
      `one/${at}`,
      'one/latest',
      'two/2024-01-02T10:00:00+02:00',
      'two/latest',
    ]);
    expect(await fs.readdir('/tags')).toEqual(['t', 'u_v']);
    expect(await fs.readFile('/snapshots/latest/a', 'utf8')).toBe('2');
    expect(await fs.readFile(`/tags/u_v/latest/../../t/${at}/a`, 'utf8')).toBe('1');
    expect(await fs.readlink('/snapshots/latest')).toBe('2024-01-02T10:00:00+02:00');
    expect(await fs.realpath('/hosts/one/latest/a')).toBe(`/hosts/one/${at}/a`);
    expect((await fs.stat('/hosts/one/latest')).mtime).toEqual(new Date(at));
    expect((await fs.stat('/')).mtime).toEqual(new Date('2024-01-02T08:00:00Z'));
    const some = snapshotFs(await opened(backend), { filter: { hosts: ['one'] }, pathTemplates: ['%I'] });
    expect(await some.readdir('/')).toEqual([first]);
  });

  it('shows new snapshots, forgets old ones, and reads what is open all the same', async () => {
    const backend = await initialized();
    const repository = await opened(backend);
    const first = await back(backend, { a: '1' });
    const fs = snapshotFs(repository, { refreshMs: 0, pathTemplates: ['%I'] });
    const lazy = snapshotFs(repository, { pathTemplates: ['%I'] });
    expect([await fs.readdir('/'), await lazy.readdir('/')]).toEqual([[first], [first]]);
    const handle = await fs.open(`/${first}/a`);
    const second = await back(backend, { a: '2', b: 'new' });
    expect((await fs.readdir('/')).toSorted()).toEqual([first, second].toSorted());
    expect(await fs.readFile(`/${second}/b`, 'utf8')).toBe('new');
    await repository.removeFile('snapshot', first);
    expect(await fs.readdir('/')).toEqual([second]);
    expect(await errnoOf(fs.stat(`/${first}`))).toBe('ENOENT');
    expect(await handle.readFile('utf8')).toBe('1');
    expect(await lazy.readdir('/')).toEqual([first]);
  });

  it('leaves out a snapshot that cannot be read, and says so', async () => {
    const backend = await initialized();
    const id = await back(backend, { a: '1' });
    await backend.save({ type: 'snapshot', name: '0'.repeat(64) }, [noise(200, 1)]);
    const problems: unknown[] = [];
    const onUnreadable = (snapshot: string, error: EngineError): void => void problems.push([snapshot, error.code]);
    const fs = snapshotFs(await opened(backend), { pathTemplates: ['%I'], onUnreadable });
    expect(await fs.readdir('/')).toEqual([id]);
    expect(problems).toEqual([['0'.repeat(64), 'corrupt']]);
  });

  it('does what node:fs does with the same files', async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'snapshot-fs-')));
    try {
      await mkdir(join(folder, 'd/e'), { recursive: true });
      await writeFile(join(folder, 'd/f'), 'content');
      await writeFile(join(folder, 'é %'), 'x', { mode: 0o640 });
      await Promise.all(
        Object.entries({
          'd/up': '../é %',
          'd/self': '.',
          to: 'd',
          loop: 'loop',
          gone: 'nowhere',
          chain: 'to/self/self/e',
        }).map(([path, target]) => symlink(target, join(folder, path))),
      );
      const { repository } = await makeRepository();
      await storeDirectory(repository, folder);
      const fs = snapshotFs(repository);
      const top = '/snapshots/latest';
      const root = await fs.realpath(top);
      for (const path of [
        '',
        '/',
        '/.',
        '/d',
        '/d/',
        '/d/e/..',
        '/d/f',
        '/d/f/',
        '/d/f/.',
        '/d/f/..',
        '/d/f/x',
        '/none',
        '/none/..',
        '/é %',
        '/d/up',
        '/d/up/',
        '/d/self/f',
        '/to',
        '/to/',
        '/to/f',
        '/to/..',
        '/loop',
        '/gone',
        '/gone/',
        '/chain',
        '/chain/',
        '/chain/../f',
        '//d///f',
        '/d/./self/self/up',
      ]) {
        const [real, ours] = [folder + path, top + path];
        const both = async <T>(node: (at: string) => Promise<T>, own: (at: string) => Promise<T>): Promise<void> => {
          const [expected, actual] = await Promise.allSettled([node(real), own(ours)]);
          if (expected.status === 'fulfilled') expect(actual, path).toEqual(expected);
          else expect(await errnoOf(own(ours)), path).toBe((expected.reason as NodeJS.ErrnoException).code);
        };
        await both(
          (at) => readFile(at, 'utf8'),
          (at) => fs.readFile(at, 'utf8'),
        );
        await both(
          async (at) => (await readdir(at)).toSorted(),
          async (at) => (await fs.readdir(at)).toSorted(),
        );
        await both(
          async (at) => (await realpath(at)).slice(folder.length),
          async (at) => (await fs.realpath(at)).slice(root.length),
        );
        await both(
          (at) => access(at),
          (at) => fs.access(at),
        );
        const facts = (s: { isFile(): boolean; isDirectory(): boolean; mode: number; size: number; mtimeMs: number }) =>
          [s.isFile(), s.isDirectory(), path === '' || s.mode, s.isDirectory() || s.size] as unknown[];
        if (!/^\/?\.?$|\.\.$/.test(path))
          await both(
            async (at) => facts(await stat(at)),
            async (at) => facts(await fs.stat(at)),
          );
      }
      const list = (entries: { name: string; parentPath: string; isSymbolicLink(): boolean }[], cut: string) =>
        entries.map((e) => [e.name, e.parentPath.slice(cut.length), e.isSymbolicLink()].join('|')).toSorted();
      expect(list(await fs.readdir(top, { withFileTypes: true, recursive: true }), top)).toEqual(
        list(await readdir(folder, { withFileTypes: true, recursive: true }), folder),
      );
      expect(await fs.readlink(`${top}/d/up`)).toBe('../é %');
      expect(await errnoOf(fs.readlink(`${top}/d`))).toBe('EINVAL');
      expect((await fs.lstat(`${top}/d/up`)).isSymbolicLink()).toBe(true);
      expect(await errnoOf(fs.open(`${top}/d/f`, 'w'))).toBe('EROFS');
      expect(await errnoOf(fs.access(`${top}/d/f`, 2))).toBe('EROFS');
      expect((await fs.stat(`${top}/d/f`)).mtimeMs).toBeCloseTo((await stat(join(folder, 'd/f'))).mtimeMs, 2);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('lets no link and no name lead out of a snapshot', async () => {
    const { repository } = await makeRepository();
    const time = '2024-01-01T00:00:00Z';
    const base = { mtime: time, atime: time, ctime: time, uid: 0, gid: 0, content: null } as const;
    const link = (name: string, linkTarget: string): Node => ({
      ...base,
      name,
      type: 'symlink',
      mode: 0o777,
      linkTarget,
    });
    const indexed = await repository.loadIndex();
    const tree = await withUpload(indexed, {}, async (upload) => {
      const content = [(await upload.save('data', Buffer.from('inside'))).id];
      const file = (name: string): Node => ({ ...base, name, type: 'file', mode: 0o644, content });
      const save = async (nodes: Node[]) => (await upload.save('tree', joinTree(nodes.map((n) => encodeNode(n))))).id;
      const etc = await save([file('passwd'), file('passwd'), link('up', '../../../../../../../etc/passwd')]);
      const bad = ['', '.', '..', '../x', '/etc', 'a/b', 'n\0'].map(file);
      return save([
        ...bad,
        { ...base, name: 'etc', type: 'dir', mode: 0x80000000, subtree: etc },
        link('abs', '/etc/passwd'),
        link('out', '..'),
      ]);
    });
    await repository.saveFile('snapshot', Buffer.from(JSON.stringify({ time, tree, paths: ['/'] })));
    const fs = snapshotFs(repository);
    const top = '/snapshots/latest';
    expect(await fs.readdir(top)).toEqual(['etc', 'abs', 'out']);
    expect(await fs.readdir(`${top}/etc`)).toEqual(['passwd', 'up']);
    for (const path of ['abs', 'etc/up', 'out/etc/passwd', 'out/out/abs']) {
      expect(await fs.readFile(`${top}/${path}`, 'utf8'), path).toBe('inside');
    }
    expect(await fs.realpath(`${top}/out`)).toBe(await fs.realpath(top));
    expect(await errnoOf(fs.stat(`${top}/a/b`))).toBe('ENOENT');
  });

  it('goes as deep as a tree', async () => {
    const { repository } = await makeRepository();
    const time = '2024-01-01T00:00:00Z';
    const folder = {
      mtime: time,
      atime: time,
      ctime: time,
      uid: 0,
      gid: 0,
      content: null,
      name: 'd',
      type: 'dir',
    } as const;
    const indexed = await repository.loadIndex();
    const depth = 2000;
    const tree = await withUpload(indexed, {}, async (upload) => {
      let { id } = await upload.save('tree', joinTree([]));
      for (let i = 0; i < depth; i++) {
        ({ id } = await upload.save('tree', joinTree([encodeNode({ ...folder, mode: 0x80000000, subtree: id })])));
      }
      return id;
    });
    await repository.saveFile('snapshot', Buffer.from(JSON.stringify({ time, tree, paths: ['/'] })));
    const fs = snapshotFs(repository);
    const top = '/snapshots/latest/';
    expect((await fs.stat(top + 'd/'.repeat(depth))).isDirectory()).toBe(true);
    expect(await errnoOf(fs.stat(top + 'd/'.repeat(depth + 1)))).toBe('ENOENT');
    expect(await fs.stat(top + 'd/../'.repeat(5000))).toMatchObject({ mode: 0o040555 });
    expect(await fs.readdir(top, { recursive: true })).toHaveLength(depth);
  });

  it('reads any part of a file, and only the blobs with it', async () => {
    const content = noise(6 << 20, 1);
    const backend = await initialized();
    await back(backend, { long: content });
    let loads = 0;
    const onCall = (call: FaultCall): void => void (call.method === 'load' && call.type === 'data' && loads++);
    const make = async (options: SnapshotFsOptions = {}): Promise<SnapshotFs> =>
      snapshotFs(await opened(backend, { onCall }), options);
    const fs = await make();
    const path = '/snapshots/latest/long';
    await fs.stat(path);
    const handle = await fs.open(path);
    loads = 0;
    const middle = Buffer.alloc(100);
    expect(await handle.read(middle, { position: 3 << 20 })).toEqual({ bytesRead: 100, buffer: middle });
    expect(middle.equals(content.subarray(3 << 20, (3 << 20) + 100))).toBe(true);
    expect(loads).toBe(1);
    await handle.read(middle, { position: (3 << 20) + 50 });
    expect(await bytesOf(handle.createReadStream({ start: 3 << 20, end: (3 << 20) + 9 }))).toHaveLength(10);
    expect(loads).toBe(1);
    const part = fc.tuple(fc.nat(content.length + 5), fc.oneof(fc.nat(20), fc.nat(content.length)));
    await fc.assert(
      fc.asyncProperty(part, async ([start, length]) => {
        const expected = content.subarray(start, start + length);
        const buffer = Buffer.alloc(length + 3);
        const { bytesRead } = await handle.read(buffer, { offset: 3, position: start });
        expect(bytesRead).toBe(expected.length);
        expect(buffer.subarray(3, 3 + bytesRead).equals(expected)).toBe(true);
        const stream = await fs.createReadStream(path, { start, end: start + length - 1 });
        expect((await bytesOf(stream)).equals(expected)).toBe(true);
      }),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
    // From where the last such read ended.
    const pieces: Buffer[] = [];
    for (let more = true; more; ) {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(999_999));
      pieces.push(buffer.subarray(0, bytesRead));
      more = bytesRead > 0;
    }
    expect(Buffer.concat(pieces).equals(content)).toBe(true);
    expect((await fs.readFile(path)).equals(content)).toBe(true);
    // What a reader does to its bytes is its own matter.
    for await (const chunk of await fs.createReadStream(path)) chunk.fill(0);
    expect((await fs.readFile(path)).equals(content)).toBe(true);
    await handle.close();
    expect(await errnoOf(handle.read(middle))).toBe('EBADF');
    await expect(fs.open(path).then((other) => other.read(middle, { offset: 101 }))).rejects.toThrow(RangeError);
    loads = 0;
    const forgetful = await make({ cacheBytes: 0 });
    for (let i = 0; i < 3; i++) expect((await forgetful.readFile(path)).equals(content)).toBe(true);
    expect(loads).toBeGreaterThan(8);
  }, 20_000);

  it('tries again what failed for a passing reason', async () => {
    const backend = await initialized();
    await back(backend, { a: 'content', 'd/b': 'other' });
    const failures: number[] = [];
    // Each call of the store fails once: lists, snapshots, indexes, trees and contents.
    for (let failing = 0; failures.length === failing; failing++) {
      let call = Number.NEGATIVE_INFINITY;
      const error = new EngineError('io', 'not now');
      const repository = await opened(backend, {
        faults: [{ when: () => call++ === failing, effect: { kind: 'fail-before', error } }],
      });
      call = 0;
      const fs = snapshotFs(repository, { refreshMs: 0, cacheBytes: 0 });
      const read = (): Promise<string> => fs.readFile('/snapshots/latest/d/b', 'utf8');
      // Trees that cannot be read along with others are read alone, so not every failure is seen.
      const first = await read().catch((thrown: unknown) => thrown);
      if (first !== 'other') expect(first, `call ${failing}`).toBe(error);
      if (call > failing) failures.push(failing);
      call = Number.NEGATIVE_INFINITY;
      expect(await read(), `after call ${failing}`).toBe('other');
    }
    expect(failures.length).toBeGreaterThan(3);
  });

  it('fails with what is wrong with the repository, and ends at an abort', async () => {
    const backend = await initialized();
    await back(backend, { a: 'content' });
    const fs = snapshotFs(await opened(backend));
    const aborted = { signal: AbortSignal.abort() };
    expect(await codeOf(fs.stat('/snapshots/latest/a', aborted))).toBe('aborted');
    expect(await fs.readFile('/snapshots/latest/a', 'utf8')).toBe('content');
    for await (const { name } of backend.list('data')) await backend.remove({ type: 'data', name });
    const broken = snapshotFs(await opened(backend));
    expect(await codeOf(broken.stat('/snapshots/latest/a'))).toBe('not-found');
    expect(await errnoOf(broken.stat('/snapshots/latest/a'))).toBeUndefined();
    expect((await broken.readdir('/snapshots')).length).toBe(2);
    const ended = snapshotFs(await opened(backend), aborted);
    expect(await codeOf(ended.readdir('/'))).toBe('aborted');
    expect(() => snapshotFs(null as never, { timeTemplate: '2006/01' })).toThrow('slashes');
  });
});
