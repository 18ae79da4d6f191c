/** Files and parts of them on their way to a client, in pieces of bounded size. */
import { EngineError } from '@restic-engine/repo-format';
import type { Backend, ByteRange, FileHandle } from '@restic-engine/repo-format';
import type { Budget } from './budget.ts';
import { plain, resumed } from './message.ts';
import type { Answer } from './message.ts';
import { clip, parseRange } from './ranges.ts';
import type { Wanted } from './ranges.ts';

/** Bytes loaded from the store at once. */
const PIECE = 8 * 1024 * 1024;

export interface Download {
  readonly backend: Backend;
  readonly file: FileHandle;
  /** The `Range` header. */
  readonly range: string | undefined;
  readonly budget: Budget;
  readonly signal: AbortSignal;
}

/** Answers with the file or the range of it. The first bytes are there before the status is sent. */
export async function answerFile(download: Download): Promise<Answer> {
  const wanted = parseRange(download.range);
  if (wanted.kind === 'invalid') return plain(416);
  return (await answerAtOnce(download, wanted)) ?? answerClipped(download, wanted);
}

/**
 * A range that is loaded in one go needs no question for the file's size, which would cost a round trip where the
 * store is a server itself. Undefined when the file ends before the range does, and for all other ranges.
 */
async function answerAtOnce(download: Download, wanted: Wanted): Promise<Answer | undefined> {
  if (wanted.kind !== 'between' || wanted.last < wanted.first) return undefined;
  const length = wanted.last - wanted.first + 1;
  if (length > PIECE || !Number.isSafeInteger(wanted.last)) return undefined;
  try {
    return await answerRange(download, { offset: wanted.first, length }, '*');
  } catch (error) {
    if (EngineError.is(error, 'out-of-range')) return undefined;
    throw error;
  }
}

async function answerClipped(download: Download, wanted: Wanted): Promise<Answer> {
  const { backend, file, signal } = download;
  const { size } = await backend.stat(file, { signal });
  // As in restic's server: of an empty file a range is all of it.
  const range = clip(size === 0 ? { kind: 'whole' } : wanted, size);
  if (range === undefined) return plain(416, { 'content-range': `bytes */${size}` });
  return answerRange(download, range, wanted.kind === 'whole' || size === 0 ? undefined : String(size));
}

/** `size` is what the client is told of the whole file's, undefined when the answer is the whole file. */
async function answerRange(download: Download, range: ByteRange, size: string | undefined): Promise<Answer> {
  const { offset, length } = range;
  const headers = {
    'accept-ranges': 'bytes',
    'content-length': String(length),
    'content-type': 'application/octet-stream',
  };
  const bytes = pieces(download, range);
  const body = resumed(await bytes.next(), bytes);
  if (size === undefined) return { status: 200, headers, body };
  // RFC 9110 §14.4: an asterisk stands for a size that is not known.
  const contentRange = `bytes ${offset}-${offset + length - 1}/${size}`;
  return { status: 206, headers: { ...headers, 'content-range': contentRange }, body };
}

/** The next piece is loaded when the client has taken the one before; nothing is held when nobody reads on. */
async function* pieces(download: Download, { offset, length }: ByteRange): AsyncGenerator<Uint8Array> {
  const { backend, file, budget, signal } = download;
  for (let done = 0; done < length; ) {
    const next = Math.min(PIECE, length - done);
    const giveBack = await budget.take(next, signal);
    try {
      yield await backend.load(file, { offset: offset + done, length: next }, { signal });
    } finally {
      giveBack();
    }
    done += next;
  }
}
