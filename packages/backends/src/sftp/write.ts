/** Writing a file so that it is there whole or not at all. */
import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Bandwidth } from '../bandwidth.ts';
import { PIECE } from '../bandwidth.ts';
import { orAborted } from './abort.ts';
import { makeFolders } from './folders.ts';
import type { Modes } from './folders.ts';
import type { Handle, Session } from './protocol/session.ts';
import { isStatus } from './protocol/status.ts';

/** How a file is written. */
export interface Writing {
  readonly modes: Modes;
  readonly bandwidth: Bandwidth | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Free bytes on a disk that is not full: less than a block of any file system is as good as none. */
const SPARE = 64n * 1024n;

/** Stores `segments` at `path`; where the server replaces on rename, in place of what is there. */
export async function saveFile(
  session: Session,
  path: string,
  segments: readonly Uint8Array[],
  writing: Writing,
): Promise<void> {
  // restic's name for a file that is not finished; listings skip it, and so do restic's.
  const temporary = `${path}-restic-temp-${randomBytes(16).toString('hex')}`;
  try {
    await writeNew(session, temporary, segments, writing);
    await moveInto(session, temporary, path, writing.modes);
  } catch (error) {
    if (!isStatus(error, 'FAILURE')) throw error;
    throw (await reasonOf(session, path, segments)) ?? error;
  }
}

/** "Failure" is all that version 3 has for a full disk and for a name that is taken. */
async function reasonOf(
  session: Session,
  path: string,
  segments: readonly Uint8Array[],
): Promise<EngineError | undefined> {
  const length = segments.reduce((sum, segment) => sum + segment.length, 0);
  const [space, existing] = await Promise.allSettled([session.space(posix.dirname(path)), session.stat(path)]);
  if (space.status === 'fulfilled' && space.value !== undefined && space.value.free < BigInt(length) + SPARE) {
    const free = String(space.value.free);
    return new EngineError('no-space', `there is no space for ${length} bytes on the server`, { size: length, free });
  }
  if (existing.status === 'rejected' || session.replacesOnRename) return undefined;
  return new EngineError('already-exists', 'the file exists, and the server cannot replace it in one step');
}

async function writeNew(
  session: Session,
  path: string,
  segments: readonly Uint8Array[],
  writing: Writing,
): Promise<void> {
  const { signal } = writing;
  const opening = openNew(session, path, writing.modes);
  try {
    const handle = await orAborted(opening, signal);
    await orAborted(fill(session, handle, segments, writing), signal);
    throwIfAborted(signal);
  } catch (error) {
    // In the background: an abort need not wait for what is already under way. The first error is the one to report,
    // and a leftover is harmless.
    const discarding = opening.then((handle) => Promise.allSettled([session.close(handle), session.remove(path)]));
    if (!signal?.aborted) await Promise.allSettled([discarding]);
    else discarding.catch(() => undefined);
    throw error;
  }
}

async function openNew(session: Session, path: string, modes: Modes): Promise<Handle> {
  try {
    return await session.openNew(path, modes.file);
  } catch (error) {
    if (!isStatus(error, 'NO_SUCH_FILE')) throw error;
  }
  await makeFolders(session, posix.dirname(path), modes.folder);
  return session.openNew(path, modes.file);
}

/** Sends everything, sync and close included, without waiting for answers; then waits for all of them. */
async function fill(
  session: Session,
  handle: Handle,
  segments: readonly Uint8Array[],
  { bandwidth, signal }: Writing,
): Promise<void> {
  const answers: Promise<void>[] = [];
  let failed = false;
  const paced = bandwidth?.limitsUpload ? bandwidth : undefined;
  let offset = 0;
  for (const { parts, length } of piecesOf(segments, paced ? PIECE : session.writePiece)) {
    await session.window.take(length);
    await paced?.upload(length, signal);
    if (failed || signal?.aborted) {
      session.window.give(length);
      break;
    }
    const answer = session.write(handle, offset, parts).finally(() => session.window.give(length));
    answer.catch(() => {
      failed = true;
    });
    answers.push(answer);
    offset += length;
  }
  throwIfAborted(signal);
  if (!failed && session.syncs) answers.push(session.sync(handle));
  if (!failed) answers.push(session.close(handle));
  const failures = await Promise.allSettled(answers);
  for (const each of failures) if (each.status === 'rejected') throw each.reason;
}

/** A piece of a file, in parts that lie one behind the other. */
interface Piece {
  readonly parts: readonly Uint8Array[];
  readonly length: number;
}

/** Cuts the concatenation of `segments` into pieces of `size` bytes; the last may be shorter. */
export function* piecesOf(segments: readonly Uint8Array[], size: number): Generator<Piece> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for (const segment of segments) {
    for (let at = 0; at < segment.length; ) {
      const part = segment.subarray(at, at + size - length);
      parts.push(part);
      length += part.length;
      at += part.length;
      if (length < size) continue;
      yield { parts, length };
      parts = [];
      length = 0;
    }
  }
  if (length > 0) yield { parts, length };
}

async function moveInto(session: Session, temporary: string, path: string, modes: Modes): Promise<void> {
  // The server does one after the other, so the second need not wait for the answer to the first. Read-only is a
  // courtesy, and comes after the rename, as in restic: some servers refuse to rename a read-only file.
  const [renamed] = await Promise.allSettled([
    session.rename(temporary, path),
    session.chmod(path, modes.file & ~0o222),
  ]);
  if (renamed.status === 'fulfilled') return;
  await Promise.allSettled([session.remove(temporary)]);
  throw renamed.reason;
}
