/** Directory listings. */
import { readdirSync, readlinkSync } from 'node:fs';
import { compareNames, pathFromBytes } from '@restic-engine/repo-format';
import { fsPath } from './path.ts';

/** Where the order of UTF-16 code units, which `sort()` uses, is not that of bytes. */
const ORDER_DIFFERS = /[\ud800-\uffff]/;

/** The names in a directory, in byte order, as PEP 383 strings. Throws what `node:fs` throws. */
export function listDirectory(path: string): string[] {
  let names = readdirSync(fsPath(path));
  // Node writes U+FFFD for bytes that are not UTF-8; a name may also really contain it.
  if (names.some((name) => name.includes('\ufffd'))) {
    names = readdirSync(fsPath(path), { encoding: 'buffer' }).map((name) => pathFromBytes(name));
  }
  return names.some((name) => ORDER_DIFFERS.test(name)) ? names.sort(compareNames) : names.sort();
}

/** The target of a symbolic link as a PEP 383 string. Throws what `node:fs` throws. */
export function readLink(path: string): string {
  const target = readlinkSync(fsPath(path));
  return target.includes('\ufffd') ? pathFromBytes(readlinkSync(fsPath(path), { encoding: 'buffer' })) : target;
}
