import { rmSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Scratch {
  readonly folder: string;
  /** Is it in memory, so that no disk is measured? */
  readonly inMemory: boolean;
}

const MEMORY = '/dev/shm';
const leftovers = new Set<string>();

process.on('exit', () => {
  for (const folder of leftovers) rmSync(folder, { recursive: true, force: true });
});
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

/** Runs `body` with a folder for `bytes` bytes that is gone afterwards, also when the process is interrupted. */
export async function withScratch<T>(bytes: number, body: (scratch: Scratch) => Promise<T>): Promise<T> {
  const inMemory = (await roomIn(MEMORY)) > bytes && freemem() > bytes * 1.5;
  const folder = await mkdtemp(join(inMemory ? MEMORY : tmpdir(), 'restic-engine-bench-'));
  leftovers.add(folder);
  try {
    return await body({ folder, inMemory });
  } finally {
    await rm(folder, { recursive: true, force: true });
    leftovers.delete(folder);
  }
}

async function roomIn(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return 0;
  }
}
