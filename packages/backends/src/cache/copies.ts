/**
 * The copies of one repository's files, as restic keeps them: `<folder>/<type>/<2 hex digits>/<name>`, written under
 * another name and then renamed, so that several programs can use them at once.
 *
 * What is here was not necessarily put here by a friend: nothing is followed that could lead elsewhere, and nothing is
 * waited for that could last. Methods reject with system errors or an `EngineError`; who calls decides what that means.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm, unlink, utimes, writeFile } from 'node:fs/promises';
import type { FileHandle as OpenFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError, isId } from '@restic-engine/repo-format';
import type { ByteRange, FileHandle, FileType } from '@restic-engine/repo-format';
import { folderOf } from '../layout.ts';
import { errno, tolerate } from '../local/errors.ts';
import { readFrom } from '../local/read.ts';
import { writeAll } from '../local/write.ts';

/** Types of which there can be copies. */
export const COPIED_TYPES: readonly FileType[] = ['data', 'index', 'snapshot'];

/** The only version there has been. */
const VERSION = '1';
/** More bytes than any version has. */
const START_LENGTH = 20;
/** https://bford.info/cachedir/; programs that make backups leave such a folder out. */
const TAG = 'Signature: 8a477f597d28d172789f06886806bc55\n';

const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
/** Files that say what a folder is may be read by all, as restic's. */
const MARK_MODE = 0o644;

const TEMPORARY = /^tmp-/;
/** Nobody writes a file for so long. */
const ABANDONED_MS = 86_400_000;

// Links are not followed, and opening what is no file does not wait for a writer. Windows knows neither.
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;

const MISSING: ReadonlySet<string> = new Set(['ENOENT']);
const EXISTS: ReadonlySet<string> = new Set(['EEXIST']);
/** Windows refuses to replace what another program has open: the same file, by its name. */
const IN_USE: ReadonlySet<string> = new Set(process.platform === 'win32' ? ['EPERM', 'EACCES'] : []);
/** Somebody put a folder where a file belongs. */
const IS_FOLDER: ReadonlySet<string> = new Set(['EISDIR', 'ENOTEMPTY', 'EEXIST']);

/** A copy that is written and not yet visible. */
export interface PendingCopy {
  commit(): Promise<void>;
  discard(): Promise<void>;
}

export class Copies {
  readonly #base: string;
  readonly #folder: string;

  constructor(base: string, repositoryId: string) {
    this.#base = base;
    this.#folder = join(base, repositoryId);
  }

  /**
   * Is there a cache that can be read? Rejects with `unsupported` when it is of a later version, or of none that is
   * known.
   */
  async exists(): Promise<boolean> {
    const version = await startOf(join(this.#folder, 'version'));
    // Empty: restic before 0.20 is just making it.
    if (version === VERSION || version === '' || version === '0') return version === VERSION;
    throw new EngineError('unsupported', 'the cache is of an unknown version', { version });
  }

  /** Makes what is missing of the cache, and notes that it is used. */
  async prepare(): Promise<void> {
    await mkdir(this.#base, { recursive: true, mode: FOLDER_MODE });
    await tolerate(writeFile(join(this.#base, 'CACHEDIR.TAG'), TAG, { flag: 'wx', mode: MARK_MODE }), EXISTS);
    await tolerate(mkdir(this.#folder, { mode: FOLDER_MODE }), EXISTS);
    if (!(await this.exists())) {
      const temporary = join(this.#folder, temporaryName());
      await writeFile(temporary, VERSION, { flag: 'wx', mode: MARK_MODE });
      await tolerate(rename(temporary, join(this.#folder, 'version')), IN_USE);
    }
    const now = new Date();
    await utimes(this.#folder, now, now);
    for (const type of COPIED_TYPES) {
      await tolerate(mkdir(join(this.#folder, folderOf(type)), { mode: FOLDER_MODE }), EXISTS);
    }
  }

  /** A range of a copy, or all of it; undefined when there is none. */
  async read(
    file: FileHandle,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const handle = await openAsIs(this.#path(file));
    if (handle === undefined) return undefined;
    try {
      return await readFrom(handle, range, file, signal);
    } finally {
      await handle.close();
    }
  }

  /** Writes a copy that nobody sees yet. The segments must not change meanwhile. */
  async write(file: FileHandle, segments: readonly Uint8Array[]): Promise<PendingCopy> {
    const path = this.#path(file);
    const temporary = join(dirname(path), temporaryName());
    const discard = (): Promise<void> => rm(temporary, { force: true });
    try {
      await writeNew(temporary, segments);
    } catch (error) {
      await Promise.allSettled([discard()]);
      throw error;
    }
    const commit = async (): Promise<void> => {
      try {
        await moveOver(temporary, path);
      } catch (error) {
        await Promise.allSettled([discard()]);
        if (!IN_USE.has(errno(error) ?? '')) throw error;
      }
    };
    return { commit, discard };
  }

  /** Removes a copy, or whatever is in its place. */
  async drop(file: FileHandle): Promise<void> {
    const path = this.#path(file);
    try {
      await unlink(path);
    } catch (error) {
      const system = errno(error) ?? '';
      if (MISSING.has(system)) return;
      if (!IN_USE.has(system)) await rm(path, { recursive: true, force: true });
    }
  }

  /** The names of all copies of a type. */
  async names(type: FileType): Promise<Set<string>> {
    const folder = join(this.#folder, folderOf(type));
    const names = new Set<string>();
    const prefixes = await folders(folder);
    await Promise.all(
      prefixes.map(async (prefix) => {
        for (const name of await entries(join(folder, prefix))) {
          if (isId(name)) names.add(name);
          else if (TEMPORARY.test(name)) await dropAbandoned(join(folder, prefix, name));
        }
      }),
    );
    return names;
  }

  /** Was the copy made before that time, in ms since the epoch? */
  async isOlder(file: FileHandle, timeMs: number): Promise<boolean> {
    return isOlder(this.#path(file), timeMs);
  }

  #path({ type, name }: FileHandle): string {
    return join(this.#folder, folderOf(type), name.slice(0, 2), name);
  }
}

/** Undefined where there is nothing. */
async function openAsIs(path: string): Promise<OpenFile | undefined> {
  try {
    return await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
    return undefined;
  }
}

/** The first characters of a file; none where there is no file. */
async function startOf(path: string): Promise<string> {
  const handle = await openAsIs(path);
  if (handle === undefined) return '';
  try {
    const { buffer, bytesRead } = await handle.read({ buffer: Buffer.alloc(START_LENGTH), position: null });
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** restic's pattern, so that whoever looks for such files finds these. */
function temporaryName(): string {
  return `tmp-${randomBytes(8).toString('hex')}`;
}

/** Not made durable: what a crash leaves of it is found to be damaged, and fetched again. */
async function writeNew(path: string, segments: readonly Uint8Array[]): Promise<void> {
  const handle = await openNew(path);
  try {
    await writeAll(segments, async (batch) => (await handle.writev(batch)).bytesWritten);
  } finally {
    await handle.close();
  }
}

async function openNew(path: string): Promise<OpenFile> {
  try {
    return await open(path, 'wx', FILE_MODE);
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
  }
  // The first of its folder, or somebody cleaned up just now.
  await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE });
  return open(path, 'wx', FILE_MODE);
}

async function moveOver(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!IS_FOLDER.has(errno(error) ?? '')) throw error;
    await rm(to, { recursive: true, force: true });
    await rename(from, to);
  }
}

async function folders(path: string): Promise<string[]> {
  try {
    const found = await readdir(path, { withFileTypes: true });
    return found.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
    return [];
  }
}

/** Another program may be cleaning up. */
async function entries(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
    return [];
  }
}

async function dropAbandoned(path: string): Promise<void> {
  if (await isOlder(path, Date.now() - ABANDONED_MS)) await rm(path, { force: true });
}

async function isOlder(path: string, timeMs: number): Promise<boolean> {
  try {
    return (await lstat(path)).mtimeMs < timeMs;
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
    return false;
  }
}
