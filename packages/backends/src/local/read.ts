import type { FileHandle as OpenFile } from 'node:fs/promises';
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { ByteRange, FileHandle } from '@restic-engine/repo-format';
import { filePath } from '../layout.ts';
import { refuseTooLarge } from '../whole-file.ts';

/** Ranges up to this many bytes are read without asking for the file's size first, which saves a system call. */
const UNCHECKED_LENGTH = 1024 * 1024;
/** Bytes read at once, so that an abort need not wait for a whole pack. */
const MAX_READ = 32 * 1024 * 1024;

/** Reads a range or the whole of an open file into a buffer of its own. */
export async function readFrom(
  handle: OpenFile,
  range: ByteRange | undefined,
  file: FileHandle,
  signal: AbortSignal | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const { offset, length } = await extent(handle, range, file);
  // Not from the pool and not zeroed: the loop below fills every byte or rejects.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
  let done = 0;
  while (done < length) {
    throwIfAborted(signal);
    const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, MAX_READ), offset + done);
    if (bytesRead === 0) throw tooShort(file, { offset, length }, offset + done);
    done += bytesRead;
  }
  throwIfAborted(signal);
  return bytes;
}

/** The bytes to read. A length that no read would disprove soon is checked first: a damaged index may ask for anything. */
async function extent(handle: OpenFile, range: ByteRange | undefined, file: FileHandle): Promise<ByteRange> {
  if (range !== undefined && range.length > 0 && range.length <= UNCHECKED_LENGTH) return range;
  const { size } = await handle.stat();
  if (range === undefined) {
    refuseTooLarge(file, size);
    return { offset: 0, length: size };
  }
  if (range.offset + range.length > size) throw tooShort(file, range, size);
  return range;
}

function tooShort(file: FileHandle, range: ByteRange, size: number): EngineError {
  const path = filePath(file);
  return new EngineError('out-of-range', `${path} is shorter than expected`, { file: path, ...range, size });
}
