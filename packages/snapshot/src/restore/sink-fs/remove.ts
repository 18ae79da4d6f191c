/** Taking away what is in the way, or what the snapshot does not have. Links are removed, never followed. */
import { closeSync, constants, lstatSync, openSync, rmdirSync, unlinkSync } from 'node:fs';
import { errorName } from '../../native/system-error.ts';
import { listDirectory } from '../../source/fs/list.ts';
import { fsPath } from '../../source/fs/path.ts';

const OPEN_TO_LIST = (constants.O_DIRECTORY ?? 0) | (constants.O_NOFOLLOW ?? 0);

/** Removes a file, link or empty directory; nothing there is fine. Throws the system's error, such as `ENOTEMPTY`. */
export function removeOne(path: string): void {
  const file = fsPath(path);
  try {
    unlinkSync(file);
  } catch (error) {
    if (errorName(error) === 'ENOENT') return;
    if (!isFolder(path)) throw error;
    rmdirSync(file);
  }
}

/** Is there a directory, and not a link to one? */
export function isFolder(path: string): boolean {
  return lstatSync(fsPath(path), { throwIfNoEntry: false })?.isDirectory() ?? false;
}

interface Level {
  /** Path relative to where the removal began: '' or '/a/b'. */
  readonly below: string;
  /** Leads to the directory. */
  readonly base: string;
  /** To take the directory itself away in the end. */
  readonly self: string;
  readonly descriptor: number | undefined;
  readonly names: string[];
}

/**
 * Everything at and below `path`, parents before children, as paths relative to it: '' first, then '/a', '/a/b'.
 * With `remove` it is taken away as it is found.
 */
export function* sweep(path: string, remove: boolean): Generator<string> {
  if (lstatSync(fsPath(path), { throwIfNoEntry: false }) === undefined) return;
  yield '';
  if (!isFolder(path)) {
    if (remove) unlinkSync(fsPath(path));
    return;
  }
  const levels: Level[] = [openLevel('', path)];
  try {
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = level.names.pop();
      if (name === undefined) {
        levels.pop();
        closeLevel(level);
        if (remove) rmdirSync(fsPath(level.self));
        continue;
      }
      const child = `${level.base}/${name}`;
      const below = `${level.below}/${name}`;
      yield below;
      if (isFolder(child)) levels.push(openLevel(below, child));
      else if (remove) unlinkSync(fsPath(child));
    }
  } finally {
    for (const level of levels) closeLevel(level);
  }
}

/** On Linux a directory is held open while its children are removed, so that none of them is reached by another way. */
function openLevel(below: string, path: string): Level {
  if (!path.startsWith('/proc/self/fd/')) {
    return { below, base: path, self: path, descriptor: undefined, names: listDirectory(path).reverse() };
  }
  const descriptor = openSync(fsPath(path), OPEN_TO_LIST);
  const base = `/proc/self/fd/${descriptor}`;
  return { below, base, self: path, descriptor, names: listDirectory(base).reverse() };
}

function closeLevel(level: Level): void {
  if (level.descriptor !== undefined) closeSync(level.descriptor);
}

/** The names in a directory; none if it is not there. `path` leads to the directory, as `Folders.base` does. */
export function listExisting(path: string): readonly string[] {
  try {
    return listDirectory(path);
  } catch (error) {
    if (errorName(error) === 'ENOENT') return [];
    throw error;
  }
}
