/** Reading the content of files that may change, vanish or turn into something else meanwhile. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { EngineError } from '@restic-engine/repo-format';
import { errorName, fromNodeError } from '../../native/system-error.ts';
import { fsPath } from './path.ts';

const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
/** Linux only; and only the owner of a file may ask for it. */
const O_NOATIME = 'O_NOATIME' in constants && typeof constants.O_NOATIME === 'number' ? constants.O_NOATIME : 0;
const FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;

/** Opens a regular file: follows no symbolic link, waits for no pipe that took its place. The caller closes it. */
export function openRegular(path: string): { fd: number; size: number } {
  const fd = open(path);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new EngineError('io', `${path.toWellFormed()}: no longer a regular file`, { path });
    return { fd, size: stat.size };
  } catch (error) {
    closeSync(fd);
    throw fromNodeError(error, path);
  }
}

export function closeFile(fd: number): void {
  closeSync(fd);
}

/**
 * The content of a file, or undefined when it has `limit` bytes or more: at the beginning of `room` where it fits, or
 * else in memory of its own.
 */
export function readShortFile(path: string, limit: number, room: Uint8Array<ArrayBuffer>): Uint8Array | undefined {
  const { fd, size } = openRegular(path);
  try {
    if (size >= limit) return undefined;
    // One byte more than expected: then the first read shows that the file ends there.
    let bytes = size < room.length ? room : new Uint8Array(size + 1);
    for (let length = 0; ; ) {
      const read = readSync(fd, bytes, length, Math.min(bytes.length, limit) - length, null);
      // Less than was asked for, and just what was expected: that is the end.
      if (read === 0 || length + read === size) return bytes.subarray(0, length + read);
      length += read;
      if (length >= limit) return undefined;
      if (length === bytes.length) bytes = grown(bytes, limit);
    }
  } catch (error) {
    throw fromNodeError(error, path);
  } finally {
    closeSync(fd);
  }
}

function grown(bytes: Uint8Array, limit: number): Uint8Array<ArrayBuffer> {
  const longer = new Uint8Array(Math.min(bytes.length * 2 + 4096, limit));
  longer.set(bytes);
  return longer;
}

/** Fills `window` from `position` on. Fewer bytes are the end of the file. */
export function readWindow(fd: number, position: number, window: Uint8Array): Uint8Array {
  for (let length = 0; length < window.length; ) {
    const read = readAt(fd, window, length, position + length);
    if (read === 0) return window.subarray(0, length);
    length += read;
  }
  return window;
}

function readAt(fd: number, window: Uint8Array, from: number, position: number): number {
  try {
    return readSync(fd, window, from, window.length - from, position);
  } catch (error) {
    throw fromNodeError(error, `file descriptor ${fd}`);
  }
}

function open(path: string): number {
  const raw = fsPath(path);
  try {
    return openSync(raw, FLAGS | O_NOATIME);
  } catch (error) {
    if (O_NOATIME === 0 || errorName(error) !== 'EPERM') throw fromNodeError(error, path);
  }
  try {
    return openSync(raw, FLAGS);
  } catch (error) {
    throw fromNodeError(error, path);
  }
}
