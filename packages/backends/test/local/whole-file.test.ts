import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { FileType } from '@restic-engine/repo-format';
import { expect, it } from 'vitest';
import { localBackend } from '../../src/index.ts';
import { filePath } from '../../src/layout.ts';

const MIB = 2 ** 20;
const name = 'ab'.repeat(32);

it.each([
  ['config', MIB],
  ['key', MIB],
  ['lock', MIB],
  ['snapshot', 64 * MIB],
] as const satisfies readonly (readonly [FileType, number])[])(
  'a %s is read whole up to %i bytes',
  async (type, limit) => {
    const root = mkdtempSync(join(tmpdir(), 'restic-engine-'));
    try {
      const path = join(root, filePath({ type, name }));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, 'x');
      const backend = localBackend(root);
      truncateSync(path, limit);
      expect((await backend.load({ type, name })).length).toBe(limit);
      truncateSync(path, limit + 1);
      await expect(backend.load({ type, name })).rejects.toMatchObject({
        code: 'too-large',
        context: { size: limit + 1 },
      });
      // Parts of it may be read all the same.
      expect(await backend.load({ type, name }, { offset: 0, length: 1 })).toEqual(new Uint8Array([0x78]));
    } finally {
      rmSync(root, { recursive: true });
    }
  },
);
