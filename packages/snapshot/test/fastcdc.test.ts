import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { backup } from '../src/backup/backup.ts';
import type { BackupProgress } from '../src/backup/types.ts';
import { objects } from '../src/source/objects.ts';
import { contentsOf, makeRepository } from './harness.ts';

const SIZES = { minSize: 64 * 1024, averageSize: 256 * 1024, maxSize: 1024 * 1024 };

/** Bytes that look random and are the same in every run. */
function noise(length: number): Buffer {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(length));
}

describe('a backup cut with FastCDC', () => {
  it('keeps what it was given, in chunks of its own sizes, and says so', async () => {
    const { repository } = await makeRepository();
    const content = noise(20_000_003);
    const result = await backup(repository, { source: objects([{ path: 'noise', content }]), fastcdc: SIZES });
    const contents = await contentsOf(repository, result.snapshot.tree);
    expect(contents['/noise']?.equals(content)).toBe(true);
    expect(result.summary.dataBlobs).toBeGreaterThanOrEqual(20);
    expect(result.problems).toEqual([expect.stringContaining('FastCDC')]);
    expect(result.snapshot.programVersion).toMatch(/ \(fastcdc 65536\/262144\/1048576\)$/);
  });

  it('finds most of its chunks again behind an inserted byte', async () => {
    const { repository } = await makeRepository();
    const content = noise(20_000_003);
    const first = await backup(repository, { source: objects([{ path: 'noise', content }]), fastcdc: SIZES });
    const shifted = Buffer.concat([Buffer.from('x'), content]);
    const second = await backup(repository, { source: objects([{ path: 'noise', content: shifted }]), fastcdc: SIZES });
    expect(second.summary.dataBlobs).toBeGreaterThan(0);
    expect(second.summary.dataBlobs).toBeLessThan(first.summary.dataBlobs / 5);
  });

  it('refuses chunks that no window could hold', async () => {
    const { repository } = await makeRepository();
    const source = objects([{ path: 'a', content: 'a' }]);
    await expect(backup(repository, { source, fastcdc: { ...SIZES, maxSize: 8 << 20 } })).rejects.toThrow(RangeError);
  });
});

describe('progress within one long content', () => {
  it('grows while it is read, and ends with all of it', async () => {
    const { repository } = await makeRepository();
    const told: BackupProgress[] = [];
    const content = noise(40_000_000);
    await backup(repository, {
      source: objects([{ path: 'long', content }]),
      onProgress: (progress) => told.push(progress),
    });
    const bytes = told.map(({ bytesDone }) => bytesDone);
    expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
    expect(bytes.at(-1)).toBe(content.length);
    expect(bytes.some((done) => done > 0 && done < content.length)).toBe(true);
  });
});
