import { execFileSync } from 'node:child_process';
import { pathFromBytes } from '@restic-engine/repo-format';
import type { Node } from '@restic-engine/repo-format';
import { describe, expect, it } from 'vitest';
import { formatAcl } from '../src/dump/acl.ts';
import { packTar } from '../src/dump/tar.ts';
import { bytesOf, codeOf, noise } from './harness.ts';
import { fileOf, repositoryOf } from './packing.ts';

const BASE: Omit<Node, 'name' | 'type'> = {
  mode: 0o644,
  mtime: '2024-02-29T10:00:00.5Z',
  atime: '2024-01-01T00:00:00Z',
  ctime: '2024-01-01T00:00:00Z',
  uid: 1000,
  gid: 100,
  user: 'ann',
  group: 'users',
  content: null,
};

function file(name: string, blobs: string, more: Partial<Node> = {}): Node {
  return { ...fileOf(BASE, name, blobs), ...more };
}

function tar(archive: Uint8Array, ...args: string[]): string {
  const env = { ...process.env, TZ: 'UTC', LC_ALL: 'C.UTF-8' };
  return execFileSync('tar', ['-f', '-', ...args], {
    input: archive,
    env,
    stdio: ['pipe', 'pipe', 'inherit'],
  }).toString();
}

/** The records of all extended headers, as `key=value` bytes in Latin-1. */
function recordsOf(archive: Buffer): string[] {
  const records: string[] = [];
  for (let at = 0; at + 512 <= archive.length; ) {
    const size = Number.parseInt(archive.toString('latin1', at + 124, at + 135), 8) || 0;
    let [record, end] = [at + 512, at + 512 + size];
    if (archive.toString('latin1', at + 156, at + 157) !== 'x') end = record;
    while (record < end) {
      const [digits = ''] = /^\d+/.exec(archive.toString('latin1', record, record + 20)) ?? [];
      const next = record + Number(digits);
      expect(archive[next - 1]).toBe(0x0a);
      records.push(archive.toString('latin1', record + digits.length + 1, next - 1));
      record = next;
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return records;
}

describe('tar archives', () => {
  it('are what tar reads: names, owners, modes, links, times, contents', async () => {
    const [a, b] = [noise(700, 1), noise(512, 2)];
    const long = `${'long'.repeat(40)}/`.slice(0, -1);
    const repository = repositoryOf(
      {
        root: [
          { ...BASE, name: 'd', type: 'dir', mode: 0x80000000 + 0x100000 + 0o755, subtree: 'd' },
          file('empty', ''),
          { ...BASE, name: 'fifo', type: 'fifo' },
          file('setuid', 'b', { mode: 0x800000 + 0o755, mtime: '2024-02-29T10:00:00.4Z' }),
        ],
        d: [
          file(long, 'ab', { uid: 4_000_000_000, size: 7, mtime: '1960-01-01T00:00:00Z' }),
          { ...BASE, name: 'link', type: 'symlink', mode: 0o777, linkTarget: `${'to/'.repeat(50)}é` },
          file('é\udcff', 'a'),
        ],
      },
      { a, b },
    );
    const archive = await bytesOf(packTar(repository, 'root'));
    expect(archive.length % 512).toBe(0);
    expect(tar(archive, '-tv', '--full-time', '--quoting-style=escape').trimEnd().split('\n')).toEqual([
      'drwxr-xr-t ann/users         0 2024-02-29 10:00:01 d/',
      `-rw-r--r-- ann/users      1212 1960-01-01 00:00:00 d/${long}`,
      `lrwxrwxrwx ann/users         0 2024-02-29 10:00:01 d/link -> ${'to/'.repeat(50)}é`,
      String.raw`-rw-r--r-- ann/users       700 2024-02-29 10:00:01 d/é\377`,
      '-rw-r--r-- ann/users         0 2024-02-29 10:00:01 empty',
      '-rwsr-xr-x ann/users       512 2024-02-29 10:00:00 setuid',
    ]);
    expect(tar(archive, '-tv', '--numeric-owner')).toContain('4000000000/100');
    const env = { ...process.env, LC_ALL: 'C.UTF-8' };
    const content = execFileSync('tar', ['-xOf', '-', `d/${long}`], { input: archive, env });
    expect(content.equals(Buffer.concat([a, b]))).toBe(true);
    const inFolder = await bytesOf(packTar(repository, 'd', { prefix: 'x/y' }));
    expect(tar(inFolder, '-t', '--quoting-style=escape').split('\n')[2]).toBe(String.raw`x/y/é\377`);
  });

  it('keep extended attributes, byte for byte, and access control lists as text', async () => {
    const acl = Buffer.from('0200000001000600ffffffff02000500e80300000400040000000000', 'hex');
    const extendedAttributes = [
      { name: 'user.bytes', value: Buffer.from([0, 0xff, 0x0a, 0x3d]) },
      { name: 'user.none', value: null },
      { name: 'user.=', value: Buffer.from('x') },
      { name: 'system.posix_acl_access', value: acl },
      { name: 'system.posix_acl_default', value: acl.subarray(1) },
      // 99 bytes with two digits for the length, which makes it three digits.
      { name: 'user.long', value: Buffer.alloc(73, 'v') },
    ];
    const repository = repositoryOf({ root: [file('f', '', { extendedAttributes })] });
    const archive = await bytesOf(packTar(repository, 'root'));
    expect(recordsOf(archive)).toEqual([
      'SCHILY.xattr.user.bytes=\0\xff\n=',
      'SCHILY.xattr.user.none=',
      'SCHILY.acl.access=user::rw-\nuser:1000:r-x\ngroup::r--\n',
      `SCHILY.xattr.user.long=${'v'.repeat(73)}`,
    ]);
    expect(tar(archive, '-t')).toBe('f\n');
    expect(pathFromBytes(archive.subarray(0, 9))).toBe('PaxHeader');
  });

  it('end with an error where a blob is missing', async () => {
    const repository = repositoryOf({ root: [file('f', 'z')] });
    expect(await codeOf(bytesOf(packTar(repository, 'root')))).toBe('not-found');
    const aborted = packTar(repository, 'root', { signal: AbortSignal.abort() });
    expect(await codeOf(bytesOf(aborted))).toBe('aborted');
  });
});

describe('access control lists', () => {
  it('are refused when they are none', () => {
    for (const hex of ['', '02', '03000000', '0200000040000600ffffffff', '020000000100']) {
      expect(formatAcl(Buffer.from(hex, 'hex'))).toBeUndefined();
    }
    expect(formatAcl(Buffer.from('02000000', 'hex'))).toBe('');
    expect(formatAcl(Buffer.from('0200000020000700000000001000010000000000', 'hex'))).toBe('other::rwx\nmask::--x\n');
  });
});
