import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Backend, FileHandle, FileType, ListedFile } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { localBackend } from '../../src/index.ts';

interface Place {
  readonly root: string;
  readonly backend: Backend;
}

const windows = process.platform === 'win32';
/** Permissions stop nobody who is root. */
const root = process.getuid?.() === 0;

async function inPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'local-'));
  try {
    const path = join(folder, 'repo');
    await work({ root: path, backend: localBackend(path) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function data(seed: number): { file: FileHandle; bytes: Uint8Array } {
  const bytes = new TextEncoder().encode(`content ${seed}`);
  return { file: { type: 'data', name: createHash('sha256').update(bytes).digest('hex') }, bytes };
}

async function listAll(backend: Backend, type: FileType): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  for await (const file of backend.list(type)) files.push(file);
  return files;
}

async function permissions(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

describe('a local repository folder', () => {
  it('has all folders of restic after create, closed to others', () =>
    inPlace(async ({ root: path, backend }) => {
      await backend.create();
      expect((await readdir(path)).sort()).toEqual(['data', 'index', 'keys', 'locks', 'snapshots']);
      expect(await readdir(join(path, 'data'))).toHaveLength(256);
      if (windows) return;
      for (const folder of ['', 'data', 'data/7f', 'keys']) expect(await permissions(join(path, folder))).toBe(0o700);
    }));

  it('saves read-only files and leaves nothing else', () =>
    inPlace(async ({ root: path, backend }) => {
      await backend.create();
      const { file, bytes } = data(1);
      await backend.save(file, [bytes]);
      await backend.save(file, [bytes]);
      await backend.save({ type: 'config', name: '' }, [bytes]);
      const folder = join(path, 'data', file.name.slice(0, 2));
      expect(await readdir(folder)).toEqual([file.name]);
      expect(await readdir(path)).toHaveLength(6);
      if (windows) return;
      expect(await permissions(join(folder, file.name))).toBe(0o400);
      expect(await permissions(join(path, 'config'))).toBe(0o400);
    }));

  it.skipIf(windows)('shares new files with the group when config is shared', () =>
    inPlace(async ({ root: path, backend }) => {
      await mkdir(path);
      await writeFile(join(path, 'config'), '');
      await chmod(join(path, 'config'), 0o440);
      const { file, bytes } = data(1);
      const umask = process.umask(0);
      try {
        await backend.create();
        await backend.save(file, [bytes]);
      } finally {
        process.umask(umask);
      }
      const folder = join(path, 'data', file.name.slice(0, 2));
      expect(await permissions(folder)).toBe(0o770);
      expect(await permissions(join(folder, file.name))).toBe(0o440);
    }),
  );

  it('makes missing folders when it saves', () =>
    inPlace(async ({ root: path, backend }) => {
      const { file, bytes } = data(1);
      await backend.save(file, [bytes]);
      expect(await backend.load(file)).toEqual(bytes);
      expect(await readdir(path)).toEqual(['data']);
      expect(await listAll(backend, 'snapshot')).toEqual([]);
    }));

  it('removes the temporary file of a save that fails', () =>
    inPlace(async ({ root: path, backend }) => {
      await backend.create();
      const { file, bytes } = data(1);
      const folder = join(path, 'data', file.name.slice(0, 2));
      // A folder in the place of the file: the rename is what fails.
      await mkdir(join(folder, file.name, 'full'), { recursive: true });
      await expect(backend.save(file, [bytes])).rejects.toMatchObject({ code: 'io', context: { system: 'EISDIR' } });
      expect(await readdir(folder)).toEqual([file.name]);
    }));

  it('removes the temporary file of a save that is aborted while it writes', () =>
    inPlace(async ({ root: path, backend }) => {
      await backend.create();
      const file: FileHandle = { type: 'index', name: data(1).file.name };
      const folder = join(path, 'index');
      const controller = new AbortController();
      const segments = Array.from({ length: 20 }, () => new Uint8Array(4 * 1024 * 1024));
      const outcome = Promise.allSettled([backend.save(file, segments, controller)]);
      while ((await readdir(folder)).length === 0) await new Promise(setImmediate);
      expect(await readdir(folder)).toEqual([expect.stringMatching(/^[0-9a-f]{64}-tmp-[0-9a-f]+$/)]);
      expect(await listAll(backend, 'index')).toEqual([]);
      controller.abort();
      expect(await outcome).toMatchObject([{ reason: { code: 'aborted' } }]);
      expect(await readdir(folder)).toEqual([]);
    }));

  it.skipIf(windows || root)('says denied where permissions forbid it', () =>
    inPlace(async ({ root: path, backend }) => {
      await backend.create();
      const stored = data(1);
      await backend.save(stored.file, [stored.bytes]);
      const folder = join(path, 'data', stored.file.name.slice(0, 2));
      await chmod(folder, 0o500);
      await expect(backend.remove(stored.file)).rejects.toMatchObject({ code: 'denied' });
      await chmod(folder, 0o700);
      await chmod(join(folder, stored.file.name), 0);
      await expect(backend.load(stored.file)).rejects.toMatchObject({ code: 'denied' });
    }),
  );

  it('takes a file in the place of a folder for an absent repository, and says what blocks create', () =>
    inPlace(async ({ root: path, backend }) => {
      await writeFile(path, 'a file');
      await expect(backend.stat({ type: 'config', name: '' })).rejects.toMatchObject({ code: 'not-found' });
      await expect(backend.create()).rejects.toMatchObject({ code: 'already-exists' });
      await expect(backend.save(data(1).file, [data(1).bytes])).rejects.toMatchObject({ name: 'EngineError' });
    }));

  it('lists only files that would load under their names', () =>
    inPlace(async ({ root: path, backend }) => {
      await backend.create();
      const { file, bytes } = data(1);
      await backend.save(file, [bytes]);
      const prefix = file.name.slice(0, 2);
      const wrong = prefix === '00' ? '01' : '00';
      await writeFile(join(path, 'data', 'stray'), '');
      await writeFile(join(path, 'data', file.name), '');
      await writeFile(join(path, 'data', wrong, file.name), '');
      await writeFile(join(path, 'data', prefix, `${file.name}-tmp-123`), '');
      await writeFile(join(path, 'data', prefix, file.name.toUpperCase()), '');
      await mkdir(join(path, 'data', prefix, `${prefix}${'0'.repeat(62)}`));
      await symlink('nowhere', join(path, 'data', prefix, `${prefix}${'1'.repeat(62)}`));
      await mkdir(join(path, 'tmp'));
      expect(await listAll(backend, 'data')).toEqual([{ name: file.name, size: bytes.length }]);
    }));

  it('skips what is removed while it lists', () =>
    inPlace(async ({ backend }) => {
      for (let seed = 0; seed < 50; seed += 1) {
        const { file, bytes } = data(seed);
        await backend.save({ type: 'lock', name: file.name }, [bytes]);
      }
      const listing = backend.list('lock')[Symbol.asyncIterator]();
      const [first] = await Promise.all([
        listing.next(),
        ...Array.from({ length: 50 }, (_, seed) => backend.remove({ type: 'lock', name: data(seed).file.name })),
      ]);
      let { done } = first;
      while (!done) ({ done } = await listing.next());
      expect(await listAll(backend, 'lock')).toEqual([]);
    }));

  it('has an absolute path as its location, whatever the folder of the process is later', () => {
    expect(localBackend('some/../repo').location).toBe(join(process.cwd(), 'repo'));
  });

  it('takes its connections from the options', () => {
    expect(localBackend('/x').traits.connections).toBe(2);
    expect(localBackend('/x', { connections: 7 }).traits.connections).toBe(7);
  });
});
