import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isId, throwIfAborted } from '@restic-engine/repo-format';
import type { FileType, ListedFile } from '@restic-engine/repo-format';
import { folderOf } from '../layout.ts';
import { errno, onFile } from './errors.ts';

/** Files asked for their size at once: enough to keep the thread pool busy, few enough to keep memory flat. */
const BATCH = 256;

/** Lists the files of `type` below `root`. */
export async function* listFiles(
  root: string,
  type: FileType,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedFile> {
  throwIfAborted(signal);
  if (type === 'config') return;
  const folder = folderOf(type);
  if (type !== 'data') {
    yield* listFolder(root, folder, '', signal);
    return;
  }
  for (const prefix of await packFolders(root, folder)) {
    yield* listFolder(root, `${folder}/${prefix}`, prefix, signal);
  }
}

/** Files of one folder whose names begin with `prefix`: a pack in the wrong folder would not load under its name. */
async function* listFolder(
  root: string,
  folder: string,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<ListedFile> {
  throwIfAborted(signal);
  const path = join(root, folder);
  const entries = await onFile('list', folder, () => unlessMissing(readdir(path)));
  const names = (entries ?? []).filter((name) => isId(name) && name.startsWith(prefix));
  for (let at = 0; at < names.length; at += BATCH) {
    const batch = names.slice(at, at + BATCH);
    const files = await onFile('list', folder, () => Promise.all(batch.map((name) => sizeOf(path, name))));
    for (const file of files) {
      throwIfAborted(signal);
      if (file !== undefined) yield file;
    }
  }
}

async function packFolders(root: string, folder: string): Promise<string[]> {
  const path = join(root, folder);
  const entries = await onFile('list', folder, () => unlessMissing(readdir(path, { withFileTypes: true })));
  return (entries ?? []).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/** A file found by name; undefined when it is no file, or was removed since its folder was read. */
async function sizeOf(folder: string, name: string): Promise<ListedFile | undefined> {
  const found = await unlessMissing(stat(join(folder, name)));
  return found?.isFile() ? { name, size: found.size } : undefined;
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
    return undefined;
  }
}
