/** Writing a file so that it is there whole or not at all, and survives a crash once `saveFile` resolves. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle as OpenFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import { errno, tolerate } from './errors.ts';
import type { Modes } from './modes.ts';

/** Linux' IOV_MAX: more buffers in one writev fail there. */
const MAX_BUFFERS = 1024;
/** Bytes handed to one writev, so that an abort need not wait for a whole pack. A larger segment goes alone. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Some file systems (FUSE, SMB) cannot sync, or not folders. restic carries on there as well. */
const CANNOT_SYNC: ReadonlySet<string> = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS', 'ENOTTY']);
/** exFAT and many network mounts cannot change modes; read-only is a courtesy, not a promise. */
const CANNOT_CHMOD: ReadonlySet<string> = new Set(['ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOSYS', 'EPERM', 'EACCES']);

const WINDOWS = process.platform === 'win32';

/** Stores `segments` at `path`, replacing what is there in one step. */
export async function saveFile(
  path: string,
  segments: readonly Uint8Array[],
  modes: Modes,
  signal: AbortSignal | undefined,
): Promise<void> {
  const temporary = `${path}-tmp-${randomBytes(8).toString('hex')}`;
  const handle = await openNew(temporary, modes);
  try {
    try {
      await fill(handle, segments, signal);
    } finally {
      await handle.close();
    }
    throwIfAborted(signal);
    await rename(temporary, path);
  } catch (error) {
    // The first error is the one to report; a leftover is harmless, for listings skip its name.
    await Promise.allSettled([rm(temporary, { force: true })]);
    throw error;
  }
  await syncFolder(dirname(path));
  // After the rename, as restic does it: some file systems refuse to rename a read-only file.
  if (!WINDOWS) await tolerate(chmod(path, modes.file & ~0o222), CANNOT_CHMOD);
}

/** Makes a folder and its missing parents so that they survive a crash. Resolves with those it made, parents first. */
export async function makeFolder(path: string, mode: number): Promise<string[]> {
  const first = await mkdir(path, { recursive: true, mode });
  const made: string[] = [];
  if (first === undefined) return made;
  for (let folder = path; ; folder = dirname(folder)) {
    made.unshift(folder);
    await syncFolder(dirname(folder));
    if (folder === first || folder === dirname(folder)) return made;
  }
}

/** Makes the entries of a folder durable. Windows has no such operation. */
export async function syncFolder(path: string): Promise<void> {
  if (WINDOWS) return;
  const handle = await open(path, 'r');
  try {
    await tolerate(handle.sync(), CANNOT_SYNC);
  } finally {
    await handle.close();
  }
}

async function openNew(path: string, modes: Modes): Promise<OpenFile> {
  try {
    return await open(path, 'wx', modes.file);
  } catch (error) {
    if (errno(error) !== 'ENOENT') throw error;
  }
  await makeFolder(dirname(path), modes.folder);
  return open(path, 'wx', modes.file);
}

async function fill(handle: OpenFile, segments: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<void> {
  const length = await writeAll(segments, async (batch) => {
    throwIfAborted(signal);
    return (await handle.writev(batch)).bytesWritten;
  });
  const { size } = await handle.stat();
  if (size !== length) {
    throw new EngineError('io', 'the file has not the length that was written', { expected: length, actual: size });
  }
  throwIfAborted(signal);
  await tolerate(handle.sync(), CANNOT_SYNC);
}

/**
 * Feeds `segments` to `write` in batches the system accepts, until it has taken all; `write` returns how many bytes it
 * took, which may be fewer than it was given. Returns the length written, in bytes.
 */
export async function writeAll(
  segments: readonly Uint8Array[],
  write: (batch: Uint8Array[]) => Promise<number>,
): Promise<number> {
  let written = 0;
  let next = 0;
  let pending: Uint8Array[] = [];
  for (;;) {
    next = refill(pending, segments, next);
    if (pending.length === 0) return written;
    const taken = await write(pending);
    if (taken <= 0) throw new EngineError('io', 'the system takes no more bytes of this file', { written });
    written += taken;
    pending = without(pending, taken);
  }
}

/** Adds segments from `next` on to `pending` up to the limits; returns the first segment left out. */
function refill(pending: Uint8Array[], segments: readonly Uint8Array[], next: number): number {
  let bytes = pending.reduce((sum, segment) => sum + segment.length, 0);
  let at = next;
  for (; pending.length < MAX_BUFFERS; at += 1) {
    const segment = segments[at];
    if (segment === undefined) break;
    if (pending.length > 0 && bytes + segment.length > MAX_BYTES) break;
    if (segment.length > 0) pending.push(segment);
    bytes += segment.length;
  }
  return at;
}

/** What is left of `pending` when its first `taken` bytes are done. */
function without(pending: readonly Uint8Array[], taken: number): Uint8Array[] {
  let rest = taken;
  let at = 0;
  for (const segment of pending) {
    if (rest < segment.length) break;
    rest -= segment.length;
    at += 1;
  }
  const [first, ...others] = pending.slice(at);
  return first === undefined ? [] : [first.subarray(rest), ...others];
}
