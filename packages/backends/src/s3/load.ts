import { EngineError } from '@restic-engine/repo-format';
import type { ByteRange, FileHandle } from '@restic-engine/repo-format';
import type { HttpResponse } from '../http/client.ts';
import { filePath } from '../layout.ts';
import { refuseTooLarge } from '../whole-file.ts';

function broken(operation: string, path: string, why: string): EngineError {
  const message = `${operation} ${path}: the answer is not that of an S3 server: ${why}`;
  return new EngineError('corrupt', message, { operation, file: path });
}

/** The whole of a file. Rejects with `too-large` and `corrupt` before memory is taken for it. */
export async function readWhole({ body }: HttpResponse, file: FileHandle): Promise<Uint8Array<ArrayBuffer>> {
  try {
    if (body.announced === undefined) throw broken('load', filePath(file), 'it has no length');
    refuseTooLarge(file, body.announced);
    return await body.read(body.announced);
  } finally {
    await body.discard();
  }
}

/** The part of a file that was asked for. */
export async function readRange(
  response: HttpResponse,
  range: ByteRange,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const { body } = response;
  try {
    checkRange(response, range, path);
    const bytes = await body.read(range.length);
    if (bytes.length !== range.length) throw broken('load', path, 'it is shorter than it says');
    return bytes;
  } finally {
    await body.discard();
  }
}

/** Throws unless the body of `response` is said to be exactly `range`. */
function checkRange(response: HttpResponse, range: ByteRange, path: string): void {
  const { first, end, size } = saidRange(response);
  const wanted = range.offset + range.length;
  if (first === range.offset && end === wanted) return;
  if (end === size && end < wanted && (first === range.offset || first === 0)) {
    const message = `load ${path}: it ends at byte ${end}, before byte ${wanted}`;
    throw new EngineError('out-of-range', message, { operation: 'load', file: path, ...range, size });
  }
  throw broken('load', path, 'it is not the range that was asked for');
}

/** Which bytes of how many are in the body; NaN where it is not said, or not clearly (RFC 9110 §14.4). */
function saidRange({ status, headers, body }: HttpResponse): { first: number; end: number; size: number } {
  const { announced } = body;
  if (status !== 206) return { first: 0, end: announced ?? Number.NaN, size: announced ?? Number.NaN };
  const [, from, to, of] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers['content-range'] ?? '') ?? [];
  const [first, end] = [Number(from), Number(to) + 1];
  const agrees = announced === undefined || announced === end - first;
  return { first, end: agrees ? end : Number.NaN, size: of === '*' ? end : Number(of) };
}

/** Reads the size of a file from the answer to HEAD. */
export function readSize(path: string): (response: HttpResponse) => Promise<{ readonly size: number }> {
  return async ({ body }) => {
    const size = body.announced;
    await body.discard();
    if (size === undefined) throw broken('stat', path, 'it has no length');
    return { size };
  };
}

export function giveUp({ body }: HttpResponse): Promise<void> {
  return body.discard();
}
