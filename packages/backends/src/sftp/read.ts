import { Buffer } from 'node:buffer';
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { ByteRange, FileHandle } from '@restic-engine/repo-format';
import type { Bandwidth } from '../bandwidth.ts';
import { PIECE } from '../bandwidth.ts';
import { filePath } from '../layout.ts';
import { refuseTooLarge } from '../whole-file.ts';
import { broken } from './protocol/packet.ts';
import type { Handle, Session } from './protocol/session.ts';
import { isStatus } from './protocol/status.ts';

/** How a file is read. */
export interface Reading {
  readonly bandwidth: Bandwidth | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Ranges up to this many bytes are read without asking for the file's size first, which no bytes would show at all. */
const UNCHECKED_LENGTH = 1024 * 1024;
/** How often a file that is replaced while it is read is begun anew. */
const MAX_ATTEMPTS = 5;

/** Reads a range or the whole of the file at `path` into a buffer of its own. */
export async function loadFile(
  session: Session,
  path: string,
  file: FileHandle,
  range: ByteRange | undefined,
  reading: Reading,
): Promise<Uint8Array<ArrayBuffer>> {
  const opening = session.openForReading(path);
  try {
    if (range !== undefined && range.length > 0 && range.length <= UNCHECKED_LENGTH) {
      return await readRange(session, await opening, file, range, reading);
    }
    // Both questions travel together. The size that the name has now is a hint: the file may be replaced meanwhile.
    const [handle, { size }] = await Promise.all([opening, session.stat(path)]);
    if (range === undefined) return await readWhole(session, handle, file, size, reading);
    if (range.offset + range.length > (size ?? 0)) throw tooShort(file, range);
    return await readRange(session, handle, file, range, reading);
  } finally {
    // Not waited for: nothing depends on it, and a server that is gone has closed it.
    opening.then((handle) => session.close(handle)).catch(() => undefined);
  }
}

async function readWhole(
  session: Session,
  handle: Handle,
  file: FileHandle,
  hint: number | undefined,
  reading: Reading,
): Promise<Uint8Array<ArrayBuffer>> {
  let length = hint;
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    if (length === undefined) throw broken('a file without a size');
    refuseTooLarge(file, length);
    // The size of the open file is asked for last, and shows whether what was read is all of it.
    const [content, { size }] = await Promise.all([
      readRange(session, handle, file, { offset: 0, length }, reading).catch((error: unknown) => {
        if (!EngineError.is(error, 'out-of-range')) throw error;
        return undefined;
      }),
      session.statOpen(handle),
    ]);
    if (content !== undefined && size === length) return content;
    length = size;
  }
  throw new EngineError('io', `${filePath(file)} changes while it is read`, { file: filePath(file) });
}

/** Reads piece by piece, as many at once as the session's window lets through. */
async function readRange(
  session: Session,
  handle: Handle,
  file: FileHandle,
  range: ByteRange,
  { bandwidth, signal }: Reading,
): Promise<Uint8Array<ArrayBuffer>> {
  // Not from the pool and not zeroed: what follows fills every byte or rejects.
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(range.length).buffer);
  const paced = bandwidth?.limitsDownload ? bandwidth : undefined;
  const size = paced ? PIECE : session.readPiece;
  const answers: Promise<void>[] = [];
  let failed = false;
  for (let at = 0; at < range.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    await session.window.take(piece.length);
    if (failed || signal?.aborted) {
      session.window.give(piece.length);
      break;
    }
    const answer = readPiece(session, handle, range.offset + at, piece)
      .then(() => paced?.download(piece.length, signal))
      .finally(() => session.window.give(piece.length));
    answer.catch(() => {
      failed = true;
    });
    answers.push(answer);
  }
  const results = await Promise.allSettled(answers);
  throwIfAborted(signal);
  for (const each of results) {
    if (each.status === 'rejected') throw isStatus(each.reason, 'EOF') ? tooShort(file, range) : each.reason;
  }
  return bytes;
}

/** Fills `piece`; a server may give less than it is asked for. */
async function readPiece(session: Session, handle: Handle, offset: number, piece: Uint8Array): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    done += (await session.read(handle, offset + done, piece.subarray(done))).length;
  }
}

function tooShort(file: FileHandle, range: ByteRange): EngineError {
  const path = filePath(file);
  return new EngineError('out-of-range', `${path} is shorter than expected`, { file: path, ...range });
}
