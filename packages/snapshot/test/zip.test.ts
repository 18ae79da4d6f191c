import type { Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { packTar } from '../src/dump/tar.ts';
import { descriptor, directoryHeader, isLarge, localHeader } from '../src/dump/zip-records.ts';
import { packZip } from '../src/dump/zip.ts';
import { bytesOf, codeOf, noise } from './harness.ts';
import { fileOf, repositoryOf } from './packing.ts';
import { unzip } from './zip-reader.ts';

const BASE: Omit<Node, 'name' | 'type'> = {
  mode: 0o644,
  mtime: '2024-02-29T10:00:03.5+02:00',
  atime: '2024-01-01T00:00:00Z',
  ctime: '2024-01-01T00:00:00Z',
  uid: 1000,
  gid: 100,
  content: null,
};

function file(name: string, blobs: string, more: Partial<Node> = {}): Node {
  return { ...fileOf(BASE, name, blobs), ...more };
}

describe('zip archives', () => {
  it('have names, modes, links, times and contents', async () => {
    const [a, b] = [noise(700, 1), new Uint8Array(2_000_000).fill(7)];
    const repository = repositoryOf(
      {
        root: [
          { ...BASE, name: 'd', type: 'dir', mode: 0x80000000 + 0o755, subtree: 'd' },
          file('empty', ''),
          { ...BASE, name: 'fifo', type: 'fifo', mode: 0x2000000 + 0o644 },
          file('old', 'a', { mtime: '1901-01-01T00:00:00Z' }),
          file('setuid', 'b', { mode: 0x800000 + 0o755, mtime: '2200-01-01T00:00:00Z' }),
        ],
        d: [
          file('back\\slash', 'ab', { size: 7 }),
          { ...BASE, name: 'link', type: 'symlink', mode: 0x8000000 + 0o777, linkTarget: 'to/é' },
          file('é', 'a'),
          file('\udcff', 'a'),
        ],
      },
      { a, b },
    );
    const found = unzip(await bytesOf(packZip(repository, 'root')));
    const both = Buffer.concat([a, b]);
    const at = { mtime: 1_709_193_603, dos: '01505d58', directory: false, utf8: false };
    expect(found).toEqual([
      { ...at, name: 'd/', mode: '40755', method: 0, content: Buffer.alloc(0), directory: true },
      { ...at, name: 'd/back\\slash', utf8: true, mode: '100644', method: 8, content: both },
      { ...at, name: 'd/link', mode: '120777', method: 0, content: Buffer.from('to/é') },
      { ...at, name: 'd/é', utf8: true, mode: '100644', method: 8, content: Buffer.from(a) },
      { ...at, name: 'd/\udcff', mode: '100644', method: 8, content: Buffer.from(a) },
      { ...at, name: 'empty', mode: '100644', method: 8, content: Buffer.alloc(0) },
      // A fifo is in no archive.
      { ...at, name: 'old', mode: '100644', method: 8, content: Buffer.from(a), mtime: undefined, dos: '00002100' },
      { ...at, name: 'setuid', mode: '104755', method: 8, content: Buffer.from(b), mtime: undefined, dos: '7dbf9fff' },
    ]);
    const inFolder = unzip(await bytesOf(packZip(repository, 'd', { prefix: 'x/y' })));
    expect(inFolder.map(({ name }) => name)).toEqual(['x/y/back\\slash', 'x/y/link', 'x/y/é', 'x/y/\udcff']);
    expect(unzip(await bytesOf(packZip(repositoryOf({}), 'root')))).toEqual([]);
  });

  it('have as many entries as there are', async () => {
    const many = Array.from({ length: 70_000 }, (_, n): Node => ({ ...BASE, name: `${n}`, type: 'symlink' }));
    const found = unzip(await bytesOf(packZip(repositoryOf({ root: many }), 'root')));
    expect(found.map(({ name }) => name)).toEqual(many.map(({ name }) => name));
  });

  it('write sizes and offsets of more than 32 bits', () => {
    expect([isLarge(0), isLarge(2 ** 31), isLarge(2 ** 32 - 1), isLarge(2 ** 40)]).toEqual([false, false, true, true]);
    const node = file('f', '');
    const sizes = { crc: 0x12345678, packed: 2 ** 33, plain: 2 ** 40 };
    const entry = { name: Buffer.from('f'), node, method: 8, offset: 2 ** 34, large: true } as const;
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    expect(hex(descriptor(entry, sizes))).toBe('504b070878563412' + '0000000002000000' + '0000000000010000');
    expect(hex(localHeader(entry))).toMatch(/ffffffffffffffff01001d0066.{18}01001000(?:00){16}$/);
    expect(hex(directoryHeader(entry, sizes))).toMatch(
      /^504b01022d032d00.*01001800000000000001000000000000020000000000000004000000$/,
    );
    const small = directoryHeader({ ...entry, large: false, offset: 5 }, { ...sizes, packed: 3, plain: 4 });
    expect(hex(small)).toMatch(/^504b01021403.*7856341203000000040000000100.*05000000665554/);
  });

  it('come as they are read: no chunk is held back for the next', async () => {
    const loaded: number[] = [];
    const blob = noise(1 << 20, 3);
    const repository = repositoryOf({ root: [file('f', 'a'.repeat(64))] }, { a: blob });
    const counting = {
      ...repository,
      loadBlob: () => {
        loaded.push(1);
        return Promise.resolve(blob);
      },
    } as unknown as IndexedRepository;
    let bytes = 0;
    for await (const chunk of packZip(counting, 'root')) {
      bytes += chunk.length;
      // What is on its way: read ahead, in the streams, and in the compressor.
      expect(loaded.length * blob.length - bytes).toBeLessThan(12 << 20);
    }
    expect(bytes).toBeGreaterThan(63 << 20);
  }, 20_000);

  it.each(['../x', '..', '.', '', 'a/b', '/x', 'a\0'])('and those of tar refuse the name %j', async (name) => {
    const repository = repositoryOf({ root: [file('a', ''), { ...file(name, ''), name }] });
    expect(await codeOf(bytesOf(packZip(repository, 'root')))).toBe('corrupt');
    expect(await codeOf(bytesOf(packTar(repository, 'root')))).toBe('corrupt');
  });

  it('refuse a path that their headers have no room for', async () => {
    const repository = repositoryOf({ root: [file('x'.repeat(65_536), '')] });
    expect(await codeOf(bytesOf(packZip(repository, 'root')))).toBe('too-large');
  });

  it('end with an error where a blob is missing', async () => {
    expect(await codeOf(bytesOf(packZip(repositoryOf({ root: [file('f', 'z')] }), 'root')))).toBe('not-found');
    const broken = {
      ...repositoryOf({ root: [file('f', 'ab')] }, { a: noise(2_000_000, 1), b: noise(5, 1) }),
      loadBlob: (_: string, id: string) =>
        id.startsWith('a')
          ? Promise.resolve(noise(2_000_000, 1))
          : Promise.reject(Object.assign(new Error(), { code: 'x' })),
    } as unknown as IndexedRepository;
    expect(await codeOf(bytesOf(packZip(broken, 'root')))).toBe('x');
    const aborted = packZip(repositoryOf({ root: [file('f', '')] }), 'root', { signal: AbortSignal.abort() });
    expect(await codeOf(bytesOf(aborted))).toBe('aborted');
  });
});
