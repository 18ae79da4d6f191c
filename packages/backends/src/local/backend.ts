import { mkdir, open, rmdir, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { throwIfAborted } from '@restic-engine/repo-format';
import type {
  Backend,
  BackendTraits,
  ByteRange,
  Call,
  FileHandle,
  FileType,
  ListedFile,
} from '@restic-engine/repo-format';
import { filePath, repositoryFolders } from '../layout.ts';
import { onFile, tolerate } from './errors.ts';
import { listFiles } from './listing.ts';
import { modesBeside } from './modes.ts';
import { readFrom } from './read.ts';
import { makeFolder, saveFile, syncFolder } from './write.ts';

/** How to treat a local folder. */
export interface LocalOptions {
  /** Files worth reading or writing at once. Default 2, as in restic. */
  readonly connections?: number;
}

const EXISTS: ReadonlySet<string> = new Set(['EEXIST']);
/** Of a folder that is not there, or not empty; POSIX allows both names for the latter. */
const STAYS: ReadonlySet<string> = new Set(['ENOENT', 'ENOTEMPTY', 'EEXIST']);
const MISSING: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);

/**
 * A repository in a folder of this machine, laid out and protected as restic does it. `path` need not exist yet; a
 * relative one is taken from the current folder now. Nothing is opened or made until a method is called.
 */
export function localBackend(path: string, options: LocalOptions = {}): Backend {
  return new LocalBackend(resolve(path), options.connections ?? 2);
}

class LocalBackend implements Backend {
  readonly location: string;
  readonly traits: BackendTraits;
  /** The folders that `create` has made, parents first. */
  readonly #made: string[] = [];

  constructor(root: string, connections: number) {
    this.location = root;
    this.traits = { connections, atomicReplace: true, listAfterWrite: true, canRemove: true };
  }

  async create(call?: Call): Promise<void> {
    throwIfAborted(call?.signal);
    const root = this.location;
    await onFile('create', root, async () => {
      const modes = await modesBeside(this.#path('config'));
      this.#made.push(...(await makeFolder(root, modes.folder)));
      for (const folder of repositoryFolders().map((name) => this.#path(name))) {
        throwIfAborted(call?.signal);
        const making = mkdir(folder, { mode: modes.folder }).then(() => this.#made.push(folder));
        await tolerate(making, EXISTS);
      }
      await syncFolder(this.#path('data'));
      await syncFolder(root);
    });
  }

  async save(file: FileHandle, segments: readonly Uint8Array[], call?: Call): Promise<void> {
    throwIfAborted(call?.signal);
    const path = filePath(file);
    await onFile('save', path, async () => {
      const modes = await modesBeside(this.#path('config'));
      throwIfAborted(call?.signal);
      await saveFile(this.#path(path), segments, modes, call?.signal);
    });
  }

  async load(file: FileHandle, range?: ByteRange, call?: Call): Promise<Uint8Array<ArrayBuffer>> {
    throwIfAborted(call?.signal);
    const path = filePath(file);
    return onFile('load', path, async () => {
      const handle = await open(this.#path(path), 'r');
      try {
        return await readFrom(handle, range, file, call?.signal);
      } finally {
        await handle.close();
      }
    });
  }

  async stat(file: FileHandle, call?: Call): Promise<{ readonly size: number }> {
    throwIfAborted(call?.signal);
    const path = filePath(file);
    const { size } = await onFile('stat', path, () => stat(this.#path(path)));
    throwIfAborted(call?.signal);
    return { size };
  }

  list(type: FileType, call?: Call): AsyncIterable<ListedFile> {
    return listFiles(this.location, type, call?.signal);
  }

  async remove(file: FileHandle, call?: Call): Promise<void> {
    throwIfAborted(call?.signal);
    const path = filePath(file);
    await onFile('remove', path, () => tolerate(unlink(this.#path(path)), MISSING));
    throwIfAborted(call?.signal);
  }

  async removeFolders(call?: Call): Promise<void> {
    await onFile('removeFolders', this.location, async () => {
      for (let folder = this.#made.pop(); folder !== undefined; folder = this.#made.pop()) {
        throwIfAborted(call?.signal);
        await tolerate(rmdir(folder), STAYS);
      }
    });
  }

  /** Holds nothing open between calls. */
  async [Symbol.asyncDispose](): Promise<void> {}

  #path(path: string): string {
    return join(this.location, path);
  }
}
