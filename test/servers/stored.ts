import { createHash } from 'node:crypto';
import type { Backend, FileHandle } from 'restic-engine';
import { expect } from 'vitest';
import { openPlace } from './kinds.ts';
import type { Place } from './server.ts';

/** A file of that content under the name that is right for it. */
export const dataFile = (content: Uint8Array): FileHandle => ({
  type: 'data',
  name: createHash('sha256').update(content).digest('hex'),
});

/**
 * Every file that is there under a final name is there whole: their names are the hashes of their contents. Resolves
 * with how many there are.
 */
export async function expectWholeFiles(place: Place): Promise<number> {
  await using backend = await openPlace(place);
  let count = 0;
  for (const type of ['key', 'lock', 'snapshot', 'index', 'data'] as const) {
    for await (const { name, size } of backend.list(type)) {
      const content = await backend.load({ type, name });
      expect(content.length, name).toBe(size);
      expect(dataFile(content).name, `${type} ${size}`).toBe(name);
      count += 1;
    }
  }
  return count;
}

/** Whether a backend has this file, whole. */
export async function holds(backend: Backend, content: Uint8Array): Promise<boolean> {
  return Buffer.compare(await backend.load(dataFile(content)), content) === 0;
}
