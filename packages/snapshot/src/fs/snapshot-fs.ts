/** The reading half of `node:fs/promises`, over all snapshots of a repository. */
import { EngineError } from '@restic-engine/repo-format';
import type { Call, Node } from '@restic-engine/repo-format';
import type { Repository } from '@restic-engine/repository';
import { readFile } from '../walk.ts';
import { rangeOf, SnapshotFileHandle } from './file-handle.ts';
import type { ReadStreamOptions } from './file-handle.ts';
import { fsError } from './fs-error.ts';
import { checkLayout } from './layout.ts';
import { entriesOf, isDirectory, placeOf, resolve, targetOf } from './resolve.ts';
import type { Found, Place } from './resolve.ts';
import { SnapshotDirent, SnapshotStats } from './stats.ts';
import { Store } from './store.ts';
import { Views } from './view.ts';
import type { View, ViewOptions } from './view.ts';

/** What a file system over snapshots shows. */
export interface SnapshotFsOptions extends ViewOptions {
  /** Bytes of contents that are kept for the next read, and as many again of directories. @default 64 MiB */
  readonly cacheBytes?: number | undefined;
}

export interface ReaddirOptions extends Call {
  /** Entries instead of names. @default false */
  readonly withFileTypes?: boolean | undefined;
  /** Also what is below, without following links. @default false */
  readonly recursive?: boolean | undefined;
}

const CACHE_BYTES = 64 << 20;
/** As much as Node reads at once. */
const MAX_READ_FILE = 2 ** 31 - 1;
/** `fs.constants.W_OK` */
const W_OK = 2;

/**
 * Makes a file system of the snapshots of a repository: `/ids/1a2b3c4d/…`, `/snapshots/2024-01-01T10:00:00Z/…`,
 * `/snapshots/latest/…`, `/hosts/web1/latest/…`, `/tags/nightly/latest/…`. New snapshots appear by themselves.
 *
 * The repository stays the caller's; hold a lock while others may prune it. Throws `bad-request` for a time template
 * with slashes.
 *
 * @example
 * ```ts
 * const fs = snapshotFs(repository);
 * for (const name of await fs.readdir('/snapshots/latest/etc')) console.log(name);
 * const hosts = await fs.readFile('/snapshots/latest/etc/hosts', 'utf8');
 * ```
 */
export function snapshotFs(repository: Repository, options: SnapshotFsOptions = {}): SnapshotFs {
  checkLayout(options);
  return new SnapshotFs(repository, options);
}

/**
 * The reading half of `node:fs/promises` over snapshots; made by `snapshotFs`. Paths are absolute, names whose bytes are not
 * UTF-8 have lone surrogates for them.
 *
 * Errors are `EngineError`s. For a failure that Node knows, `context.errno` has Node's code: `not-found` with `ENOENT` or
 * `ENOTDIR`, `bad-request` with `EISDIR`, `EINVAL`, `ELOOP` or `EBADF`, `denied` with `EROFS`. Without `errno` it is the
 * repository that failed, for one with `corrupt`.
 *
 * Links stay in their snapshot: an absolute target begins at its top, and `..` ends there.
 */
export class SnapshotFs {
  readonly #views: Views;
  readonly #store: Store;
  readonly #owner: { readonly uid: number; readonly gid: number };

  constructor(repository: Repository, options: SnapshotFsOptions) {
    this.#views = new Views(repository, options);
    this.#store = new Store(options.cacheBytes ?? CACHE_BYTES, options.signal);
    const { uid, gid } = repository.platform;
    this.#owner = { uid, gid };
  }

  /** What is at a path, after following links. */
  async stat(path: string, call: Call = {}): Promise<SnapshotStats> {
    const { view, place } = await this.#find(path, 'stat', true, call);
    return this.#statsOf(view, place);
  }

  /** What is at a path, links as themselves. */
  async lstat(path: string, call: Call = {}): Promise<SnapshotStats> {
    const { view, place } = await this.#find(path, 'lstat', false, call);
    return this.#statsOf(view, place);
  }

  /** What a link says. */
  async readlink(path: string, call: Call = {}): Promise<string> {
    const target = targetOf((await this.#find(path, 'readlink', false, call)).place);
    if (target === undefined) throw fsError('EINVAL', 'readlink', path);
    return target;
  }

  /** The path without links. */
  async realpath(path: string, call: Call = {}): Promise<string> {
    return (await this.#find(path, 'realpath', true, call)).path;
  }

  /** Resolves when there is something at a path. Modes of files are not looked at; nothing can be written. */
  async access(path: string, mode: number = 0): Promise<void> {
    await this.#find(path, 'access', true, {});
    if ((mode & W_OK) !== 0) throw fsError('EROFS', 'access', path);
  }

  /** The names in a directory, in byte order; of a recursive listing paths from the directory on. */
  async readdir(
    path: string,
    options?: ReaddirOptions & { readonly withFileTypes?: false | undefined },
  ): Promise<string[]>;
  async readdir(path: string, options: ReaddirOptions & { readonly withFileTypes: true }): Promise<SnapshotDirent[]>;
  async readdir(path: string, options: ReaddirOptions = {}): Promise<string[] | SnapshotDirent[]> {
    const { withFileTypes = false, recursive = false, signal } = options;
    const found = await this.#find(path, 'scandir', true, { signal });
    if (!isDirectory(found.place)) throw fsError('ENOTDIR', 'scandir', path);
    const names: string[] = [];
    const entries: SnapshotDirent[] = [];
    // A stack of its own: how deep a tree goes is not for the tree to decide.
    const stack = [{ place: found.place, below: '' }];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const { below } = next;
      const parentPath = below === '' ? path : `${path.replace(/\/+$/, '')}/${below.slice(0, -1)}`;
      const children = await this.#childrenOf(found.view, next.place, { signal });
      for (const child of children) {
        if (withFileTypes) entries.push(this.#direntOf(found.view, child, parentPath));
        else names.push(below + child.name);
      }
      if (!recursive) continue;
      for (const child of children.reverse()) {
        if (isDirectory(child)) stack.push({ place: child, below: `${below}${child.name}/` });
      }
    }
    return withFileTypes ? entries : names;
  }

  /** All of a file, or with an encoding its text. Rejects with `too-large` from 2 GiB on. */
  async readFile(path: string, options?: Call): Promise<Buffer>;
  async readFile(path: string, encoding: 'utf8'): Promise<string>;
  async readFile(path: string, options: Call | 'utf8' = {}): Promise<Buffer | string> {
    const handle = await this.open(path, 'r', options === 'utf8' ? {} : options);
    const { size } = await handle.stat();
    if (size > MAX_READ_FILE) throw new EngineError('too-large', 'the file is too large to be read at once', { size });
    return options === 'utf8' ? handle.readFile('utf8') : handle.readFile(options);
  }

  /** Opens a file for reading, which is all that `flags` can ask for. */
  async open(path: string, flags: string = 'r', call: Call = {}): Promise<SnapshotFileHandle> {
    if (flags !== 'r') throw fsError('EROFS', 'open', path);
    const { view, node } = await this.#file(path, 'open', call);
    const stats = this.#statsOf(view, { kind: 'node', name: node.name, node });
    return new SnapshotFileHandle({ indexed: view.indexed, store: this.#store, node, path, stats });
  }

  /**
   * Bytes of a file; only the blobs that have them are loaded, a few ahead. Chunks belong to the reader;
   * `Readable.fromWeb` makes a stream of Node from it.
   */
  async createReadStream(path: string, options: ReadStreamOptions = {}): Promise<ReadableStream<Uint8Array>> {
    const { view, node } = await this.#file(path, 'open', options);
    return readFile(this.#store.reader(view.indexed), node, rangeOf(options));
  }

  async #file(path: string, syscall: string, { signal }: Call): Promise<{ view: View; node: Node }> {
    const { view, place } = await this.#find(path, syscall, true, { signal });
    if (isDirectory(place)) throw fsError('EISDIR', syscall, path);
    if (place.kind !== 'node' || place.node.type !== 'file') throw fsError('EINVAL', syscall, path);
    return { view, node: place.node };
  }

  async #find(path: string, syscall: string, follow: boolean, { signal }: Call): Promise<Found> {
    return resolve(await this.#views.current(), this.#store, path, { syscall, follow, signal });
  }

  async #childrenOf(view: View, place: Place, call: Call): Promise<Place[]> {
    if (place.kind === 'folder') return [...place.folder.entries].map(([name, branch]) => placeOf(branch, name));
    const entries = await entriesOf(view, this.#store, place, call);
    return [...(entries ?? [])].map(([name, node]): Place => ({ kind: 'node', name, node }));
  }

  #direntOf(view: View, place: Place, parentPath: string): SnapshotDirent {
    const kind = place.kind === 'node' ? place.node.type : place.kind === 'link' ? 'symlink' : 'dir';
    return new SnapshotDirent(kind, place.name, parentPath, () => this.#statsOf(view, place));
  }

  #statsOf({ indexed }: View, place: Place): SnapshotStats {
    if (place.kind === 'node') return new SnapshotStats(place.node, this.#store.size(indexed, place.node));
    const owner = this.#owner;
    if (place.kind === 'snapshot') return new SnapshotStats({ ...owner, kind: 'dir', time: place.snapshot.time }, 0);
    if (place.kind === 'folder') return new SnapshotStats({ ...owner, kind: 'dir', time: place.folder.time }, 0);
    const { target, time } = place.link;
    return new SnapshotStats({ ...owner, kind: 'symlink', time }, Buffer.byteLength(target));
  }
}
