/** Keeping what may be needed again. */
import { open, readFile, rename, rm } from 'node:fs/promises';
import { Fatal } from '../failure.ts';

/** Writes a file that must not exist, unless an earlier run has kept the same. The file is whole or not there. */
export async function keepFile(path: string, bytes: Uint8Array): Promise<void> {
  const kept = await readFile(path).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (kept?.equals(bytes) === true) return;
  if (kept !== undefined) throw new Fatal(`open ${path}: file exists`);
  const unfinished = `${path}.part`;
  const file = await open(unfinished, 'w', 0o600);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
}
