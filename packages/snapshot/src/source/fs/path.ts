/** Paths for `node:fs`. */
import { pathToBytes } from '@restic-engine/repo-format';

/** What `node:fs` is given for a PEP 383 path: the string itself, or its bytes where it is not Unicode. */
export function fsPath(path: string): string | Buffer {
  return path.isWellFormed() ? path : Buffer.from(pathToBytes(path));
}

/** A name inside an absolute directory. */
export function joinPath(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

/** The directory of a cleaned absolute path; `/` is its own. */
export function parentPath(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

/** The last component of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
