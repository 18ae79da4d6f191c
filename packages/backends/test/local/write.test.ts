import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { onFile } from '../../src/local/errors.ts';
import { writeAll } from '../../src/local/write.ts';

/** A system that takes at most `limit(call)` bytes per call and notes what it got. */
function sink(limit: (call: number) => number): {
  write(batch: Uint8Array[]): Promise<number>;
  got: number[];
  sizes: number[];
} {
  const got: number[] = [];
  const sizes: number[] = [];
  return {
    got,
    sizes,
    async write(batch) {
      const bytes = Buffer.concat(batch).subarray(0, limit(sizes.length));
      sizes.push(batch.length);
      got.push(...bytes);
      return bytes.length;
    },
  };
}

describe('writeAll', () => {
  it('writes everything in order, however little the system takes at once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 60 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        async (segments, limits) => {
          const system = sink((call) => limits[call % limits.length] ?? 1);
          const expected = segments.flatMap((segment) => [...segment]);
          expect(await writeAll(segments, system.write)).toBe(expected.length);
          expect(system.got).toEqual(expected);
        },
      ),
      { interruptAfterTimeLimit: 2000, markInterruptAsFailure: false },
    );
  });

  it('never hands over more than 1024 buffers or an empty one', async () => {
    const system = sink(() => Number.POSITIVE_INFINITY);
    const segments = Array.from({ length: 5000 }, (_, index) => new Uint8Array(index % 2));
    expect(await writeAll(segments, system.write)).toBe(2500);
    expect(system.sizes).toEqual([1024, 1024, 452]);
  });

  it('hands over 16 MiB at most, unless one segment is larger', async () => {
    const sizes: number[] = [];
    const mib = 1024 * 1024;
    const segments = [10, 5, 3, 40, 1].map((size) => new Uint8Array(size * mib));
    await writeAll(segments, async (batch) => {
      const bytes = batch.reduce((sum, segment) => sum + segment.length, 0);
      sizes.push(bytes / mib);
      return bytes;
    });
    expect(sizes).toEqual([15, 3, 40, 1]);
  });

  it('gives up with io when the system takes nothing', async () => {
    await expect(writeAll([new Uint8Array(3)], async () => 0)).rejects.toMatchObject({ code: 'io' });
  });
});

describe('system errors', () => {
  const failing = (code: string): Error => Object.assign(new Error(code), { code, syscall: 'write' });

  it.each([
    ['ENOSPC', 'no-space'],
    ['EDQUOT', 'no-space'],
    ['EACCES', 'denied'],
    ['EPERM', 'denied'],
    ['EROFS', 'denied'],
    ['ENOENT', 'not-found'],
    ['EIO', 'io'],
    ['EMFILE', 'io'],
  ])('%s becomes %s', async (system, code) => {
    const cause = failing(system);
    const work = onFile('save', 'config', () => Promise.reject(cause));
    await expect(work).rejects.toMatchObject({ code, cause, context: { operation: 'save', file: 'config', system } });
  });

  it('says in words what went wrong', async () => {
    const work = onFile('load', 'config', () => readFile('/nonexistent/file'));
    await expect(work).rejects.toThrow(/^load config: ENOENT \(no such file or directory\)$/);
  });

  it('lets other errors pass unchanged', async () => {
    const mistake = new TypeError('not a buffer');
    await expect(onFile('save', 'config', () => Promise.reject(mistake))).rejects.toBe(mistake);
  });
});
