/**
 * Ways to the directories below the target that no symbolic link can bend.
 *
 * Node has no `openat`. On Linux the same is had by opening each directory relative to its parent's descriptor, as
 * `/proc/self/fd/N/name` without following links, and by naming children through that descriptor: whatever happens to
 * the path meanwhile, the descriptor stays with the directory that was checked. Elsewhere every component is checked
 * just before the path is used, which leaves a moment between the check and the use.
 */
import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, statSync } from 'node:fs';
import { EngineError } from '@restic-engine/repo-format';
import { fsPath } from '../../source/fs/path.ts';

/** The target, as it is told to workers. The descriptor is good in every thread of the process. */
export interface TargetSpec {
  /** Absolute. */
  readonly path: string;
  /** A descriptor of the target directory, or undefined where descriptors cannot be used as paths. */
  readonly descriptor: number | undefined;
  /** False if it was made for this restore, or would be. */
  readonly exists: boolean;
}

/** O_PATH of Linux, which Node does not name: a descriptor to walk through, whatever the permissions for reading. */
const O_PATH = 0o10000000;
/** Not there on Windows. */
const O_NOFOLLOW: number = constants.O_NOFOLLOW ?? 0;
const OPEN_FOLDER = O_PATH | O_NOFOLLOW | (constants.O_DIRECTORY ?? 0);
/** Directories kept open by one {@link Folders}. */
const MAX_OPEN = 256;

/** Makes the target unless `dryRun`, and opens it for {@link Folders}. {@link closeTarget} gives it back. */
export function openTarget(path: string, dryRun: boolean): TargetSpec {
  const target = fsPath(path);
  const exists = statSync(target, { throwIfNoEntry: false }) !== undefined;
  if (!exists && dryRun) return { path, descriptor: undefined, exists };
  if (!exists) mkdirSync(target, { recursive: true, mode: 0o700 });
  if (process.platform !== 'linux') return { path, descriptor: undefined, exists };
  const descriptor = openSync(target, O_PATH | (constants.O_DIRECTORY ?? 0));
  if (descriptorsArePaths(descriptor)) return { path, descriptor, exists };
  closeSync(descriptor);
  return { path, descriptor: undefined, exists };
}

export function closeTarget(target: TargetSpec): void {
  if (target.descriptor !== undefined) closeSync(target.descriptor);
}

/** Is /proc there, and does it show this process? */
function descriptorsArePaths(descriptor: number): boolean {
  const direct = fstatSync(descriptor);
  const shown = statSync(`/proc/self/fd/${descriptor}`, { throwIfNoEntry: false });
  return shown !== undefined && shown.ino === direct.ino && shown.dev === direct.dev;
}

/**
 * Directories below one target, by their path in the snapshot: '' for the target, '/a/b' below it.
 * {@link close} gives the descriptors back. What {@link base} returns is good until the next call of `base`.
 */
export class Folders {
  readonly #target: TargetSpec;
  readonly #root: string;
  /** Path → descriptor, least recently used first. */
  readonly #open = new Map<string, number>();

  constructor(target: TargetSpec) {
    this.#target = target;
    this.#root = target.descriptor === undefined ? rootOf(target.path) : `/proc/self/fd/${target.descriptor}`;
  }

  /**
   * A path that leads to the directory `folder`; append `/name` for its children. Throws a system error (`ENOENT`,
   * `ENOTDIR`, `ELOOP`) if a component is missing or is not itself a directory.
   */
  base(folder: string): string {
    if (folder === '') return this.#root;
    return this.#target.descriptor === undefined ? this.#checked(folder) : `/proc/self/fd/${this.#descriptor(folder)}`;
  }

  /** A path that leads to `name` in the directory `folder`. Throws as {@link base} does. */
  child(folder: string, name: string): string {
    return `${this.base(folder)}/${name}`;
  }

  /** A path that stays with the entry `path`, from {@link child}, while `use` runs; `path` itself where there is none. */
  pinned(path: string, use: (pinned: string) => void): void {
    if (this.#target.descriptor === undefined) return use(path);
    const descriptor = openSync(fsPath(path), O_PATH | O_NOFOLLOW);
    try {
      use(`/proc/self/fd/${descriptor}`);
    } finally {
      closeSync(descriptor);
    }
  }

  /** The path of an open file, if descriptors are paths here. */
  pathOf(descriptor: number): string | undefined {
    return this.#target.descriptor === undefined ? undefined : `/proc/self/fd/${descriptor}`;
  }

  close(): void {
    for (const descriptor of this.#open.values()) closeSync(descriptor);
    this.#open.clear();
  }

  #descriptor(folder: string): number {
    const known = this.#open.get(folder);
    if (known !== undefined) {
      this.#open.delete(folder);
      this.#open.set(folder, known);
      return known;
    }
    let end = folder.lastIndexOf('/');
    while (end > 0 && !this.#open.has(folder.slice(0, end))) end = folder.lastIndexOf('/', end - 1);
    let descriptor = end > 0 ? this.#descriptor(folder.slice(0, end)) : undefined;
    for (const name of folder.slice(end + 1).split('/')) {
      const parent = descriptor === undefined ? this.#root : `/proc/self/fd/${descriptor}`;
      end += name.length + 1;
      descriptor = openSync(fsPath(`${parent}/${name}`), OPEN_FOLDER);
      this.#keep(folder.slice(0, end), descriptor);
    }
    if (descriptor === undefined) throw new RangeError(`not a path below the target: ${folder}`);
    return descriptor;
  }

  #keep(folder: string, descriptor: number): void {
    this.#open.set(folder, descriptor);
    if (this.#open.size <= MAX_OPEN) return;
    for (const [oldest, unused] of this.#open) {
      this.#open.delete(oldest);
      closeSync(unused);
      return;
    }
  }

  #checked(folder: string): string {
    let path = this.#root;
    for (const name of folder.slice(1).split('/')) {
      path = `${path}/${name}`;
      if (!lstatSync(fsPath(path)).isDirectory()) {
        throw new EngineError('denied', 'a directory of the path is not a directory itself', {
          path: path.toWellFormed(),
        });
      }
    }
    return path;
  }
}

/** Without a trailing separator, so that `/` and `C:\` can be joined like all others. */
function rootOf(path: string): string {
  return path.replace(/[/\\]+$/, '');
}
