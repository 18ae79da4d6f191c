/** Opening and writing the files of a restore. */
import { closeSync, constants, fchmodSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { EngineError } from '@restic-engine/repo-format';
import { errorName } from '../../native/system-error.ts';
import { fsPath } from '../../source/fs/path.ts';
import { removeOne, sweep } from './remove.ts';

const O_NOFOLLOW: number = constants.O_NOFOLLOW ?? 0;
/** A named pipe must not make an open wait for its other end. */
const O_NONBLOCK: number = constants.O_NONBLOCK ?? 0;
const OPEN_NEW = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | O_NOFOLLOW;
const OPEN_TO_WRITE = constants.O_WRONLY | O_NOFOLLOW | O_NONBLOCK;
const OPEN_TO_READ = constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

/** Zeros are left out in units of this many bytes, the block size of most file systems. */
const BLOCK = 4096;
const ZEROS = Buffer.alloc(BLOCK);

/**
 * Creates a file for writing, mode 0600. What is there is removed; a directory with something in it only if
 * `recursive`. `path` is one of `Folders`. Returns the descriptor.
 */
export function createFile(path: string, recursive: boolean): number {
  const file = fsPath(path);
  try {
    return openSync(file, OPEN_NEW, 0o600);
  } catch (error) {
    if (errorName(error) !== 'EEXIST') throw error;
  }
  clearWay(path, recursive);
  return openSync(file, OPEN_NEW, 0o600);
}

/** Removes what is at `path`; a directory with something in it only if `recursive`. */
export function clearWay(path: string, recursive: boolean): void {
  if (recursive) for (const _ of sweep(path, true));
  else removeOne(path);
}

/** Opens a regular file with one name for writing in place. Throws `denied` if it is anything else by now. */
export function openForUpdate(path: string): number {
  const descriptor = openWritable(path);
  const found = fstatSync(descriptor);
  if (found.isFile() && found.nlink === 1) return descriptor;
  closeSync(descriptor);
  throw new EngineError('denied', 'the file was replaced by something else during the restore');
}

/** A file its owner may not write is made writable first; its mode is set anew in the end anyway. */
function openWritable(path: string): number {
  const file = fsPath(path);
  try {
    return openSync(file, OPEN_TO_WRITE);
  } catch (error) {
    if (errorName(error) !== 'EACCES') throw error;
  }
  const descriptor = openSync(file, OPEN_TO_READ);
  try {
    fchmodSync(descriptor, 0o600);
  } finally {
    closeSync(descriptor);
  }
  return openSync(file, OPEN_TO_WRITE);
}

/** Opens an existing file to read what it holds. Never waits, never follows a link. */
export function openForReading(path: string): number {
  return openSync(fsPath(path), OPEN_TO_READ);
}

/** Reads exactly `bytes.length` bytes at `position`; false if the file ends before. */
export function readFully(descriptor: number, bytes: Uint8Array, position: number): boolean {
  let done = 0;
  while (done < bytes.length) {
    const read = readSync(descriptor, bytes, done, bytes.length - done, position + done);
    if (read === 0) return false;
    done += read;
  }
  return true;
}

/** Writes all of `bytes` at `position`. */
export function writeFully(descriptor: number, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
}

/** As {@link writeFully} into a new file of the right size, but blocks of zeros stay holes. */
export function writeSparsely(descriptor: number, bytes: Uint8Array, position: number): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let pending = 0;
  let at = 0;
  while (at < bytes.length) {
    const end = Math.min(bytes.length, at + BLOCK - ((position + at) % BLOCK));
    if (view.compare(ZEROS, 0, end - at, at, end) === 0) {
      if (pending < at) writeFully(descriptor, bytes.subarray(pending, at), position + pending);
      pending = end;
    }
    at = end;
  }
  if (pending < at) writeFully(descriptor, bytes.subarray(pending, at), position + pending);
}

/** Gives an open file its size. When that fails the file is closed. */
export function setSizeOrClose(descriptor: number, size: number): void {
  try {
    ftruncateSync(descriptor, size);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}
