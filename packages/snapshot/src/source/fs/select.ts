/** Which entries a backup leaves out (restic manual, "Excluding Files"). */
import { type BigIntStats, closeSync, openSync, readSync } from 'node:fs';
import { EngineError, pathToBytes } from '@restic-engine/repo-format';
import type { PatternList } from '../../filter/pattern.ts';
import { errorName, fromNodeError } from '../../native/system-error.ts';
import { lstatExact } from './metadata.ts';
import { baseName, fsPath, joinPath, parentPath } from './path.ts';

/** Both questions are about absolute cleaned paths; an explicit target is never asked about. */
export interface Selector {
  /** Is it taken, as far as its path tells? To be asked before `lstat`. */
  byName(path: string): boolean;
  /** Is it taken, given its `lstat`? Throws what `lstat` of the directory above reports, should it be needed. */
  byMetadata(path: string, stat: BigIntStats): boolean;
}

export interface SelectorOptions {
  /** What matches one of these lists is left out. */
  readonly exclude?: readonly PatternList[];
  /** Directories that are left out with all they hold, such as this program's cache; absolute cleaned paths. */
  readonly excludeDirectories?: readonly string[];
  /** `name` or `name:header`: of a directory with such a file (that starts with the header) only the file is kept. */
  readonly excludeIfPresent?: readonly string[];
  /** The same for caches marked with `CACHEDIR.TAG` (https://bford.info/cachedir/). */
  readonly excludeCaches?: boolean;
  /** Leave out what is not a directory and has more bytes than this. */
  readonly excludeLargerThan?: number | bigint;
  /** Stay on the file systems of these targets, absolute cleaned paths. The directories of mount points are kept. */
  readonly oneFileSystem?: readonly string[];
  /** Tag files that cannot be read or have another header; their directories are not left out. */
  readonly onWarning: (warning: EngineError) => void;
}

type Rule = (path: string, stat: BigIntStats) => boolean;

const CACHE_TAG = 'CACHEDIR.TAG:Signature: 8a477f597d28d172789f06886806bc55';

/** Directories of which a tag rule remembers the answer. */
const REMEMBERED = 4096;

/** Throws `bad-request` for a tag without a name, and what `lstat` reports for targets of `oneFileSystem`. */
export function createSelector(options: SelectorOptions): Selector {
  const lists = (options.exclude ?? []).filter((list) => list.size > 0);
  const directories = options.excludeDirectories ?? [];
  const keeps: Rule[] = [];
  if (options.oneFileSystem !== undefined) keeps.push(deviceRule(options.oneFileSystem));
  const { excludeLargerThan: largest } = options;
  if (largest !== undefined) keeps.push((_path, stat) => stat.isDirectory() || stat.size <= largest);
  for (const tag of [...(options.excludeCaches ? [CACHE_TAG] : []), ...(options.excludeIfPresent ?? [])]) {
    keeps.push(tagRule(tag, options.onWarning));
  }
  return {
    byName: (path) =>
      !directories.some((directory) => isWithin(path, directory)) && !lists.some((list) => list.matches(path)),
    byMetadata: (path, stat) => keeps.every((keep) => keep(path, stat)),
  };
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(joinPath(directory, ''));
}

/** Keeps what lies on the device of the nearest target above it, and directories on which something is mounted. */
function deviceRule(targets: readonly string[]): Rule {
  const devices = new Map<string, bigint>();
  for (const target of targets) devices.set(target, statOrFail(target).dev);
  const allowed = (path: string): bigint | undefined => {
    for (let above = path; ; above = parentPath(above)) {
      const device = devices.get(above);
      if (device !== undefined || above === '/') return device;
    }
  };
  return (path, stat) => {
    const device = allowed(path);
    if (device === undefined) throw new RangeError(`${path} is below none of the targets`);
    if (device === stat.dev) return true;
    const parent = parentPath(path);
    return stat.isDirectory() && allowed(parent) === statOrFail(parent).dev;
  };
}

function statOrFail(path: string): BigIntStats {
  try {
    return lstatExact(path);
  } catch (error) {
    throw fromNodeError(error, path);
  }
}

function tagRule(tag: string, onWarning: (warning: EngineError) => void): Rule {
  const colon = tag.indexOf(':');
  const name = colon < 0 ? tag : tag.slice(0, colon);
  const header = pathToBytes(colon < 0 ? '' : tag.slice(colon + 1));
  if (name === '') throw new EngineError('bad-request', 'a tag file needs a name', { tag });
  const tagged = new Map<string, boolean>();
  return (path) => {
    if (baseName(path) === name) return true;
    const directory = parentPath(path);
    let answer = tagged.get(directory);
    if (answer === undefined) {
      answer = isTagged(joinPath(directory, name), header, onWarning);
      if (tagged.size >= REMEMBERED) tagged.clear();
      tagged.set(directory, answer);
    }
    return !answer;
  };
}

function isTagged(path: string, header: Uint8Array, onWarning: (warning: EngineError) => void): boolean {
  try {
    lstatExact(path);
    if (header.length === 0 || startsWith(path, header)) return true;
    onWarning(new EngineError('corrupt', `${path} is not the tag file it should be`, { path }));
  } catch (error) {
    if (errorName(error) !== 'ENOENT') onWarning(fromNodeError(error, path));
  }
  return false;
}

function startsWith(path: string, header: Uint8Array): boolean {
  const found = new Uint8Array(header.length);
  const file = openSync(fsPath(path), 'r');
  try {
    for (let at = 0; at < found.length; ) {
      const read = readSync(file, found, at, found.length - at, at);
      if (read === 0) return false;
      at += read;
    }
  } finally {
    closeSync(file);
  }
  return Buffer.compare(found, header) === 0;
}
