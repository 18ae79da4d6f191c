import { EngineError } from '@restic-engine/repo-format';
import type { ByteRange, FileHandle } from '@restic-engine/repo-format';
import type { HttpBody } from '../http/body.ts';
import type { HttpResponse } from '../http/client.ts';
import { filePath } from '../layout.ts';
import { refuseTooLarge, sizeLimit } from '../whole-file.ts';
import { brokenAnswer } from './answers.ts';

/** The whole file from an answer with status 200. */
export async function readWhole({ body }: HttpResponse, file: FileHandle): Promise<Uint8Array<ArrayBuffer>> {
  if (body.announced !== undefined) await checkSize(body, file, body.announced);
  return body.read(sizeLimit(file));
}

/** The bytes of `range` from a successful answer. */
export async function readRange(
  { status, headers, body }: HttpResponse,
  range: ByteRange,
  file: FileHandle,
): Promise<Uint8Array<ArrayBuffer>> {
  const { announced } = body;
  const short = announced !== undefined && announced < range.length;
  const broken = short ? undefined : misplaced(status, headers, range, announced);
  if (short || broken !== undefined) {
    await body.discard();
    throw broken === undefined ? tooShort(file, range, announced) : brokenAnswer(filePath(file), broken);
  }
  // A damaged index may ask for anything, and a hostile server announce it.
  if (announced !== undefined) await checkSize(body, file, announced);
  const bytes = await body.read(range.length);
  if (bytes.length < range.length) throw tooShort(file, range, bytes.length);
  return bytes;
}

async function checkSize(body: HttpBody, file: FileHandle, size: number): Promise<void> {
  try {
    refuseTooLarge(file, size);
  } catch (error) {
    await body.discard();
    throw error;
  }
}

/** What is wrong with an answer that should hold exactly `range`, or as much of it as there is. */
function misplaced(
  status: number,
  headers: Readonly<Record<string, string>>,
  range: ByteRange,
  announced: number | undefined,
): string | undefined {
  if (status !== 206 && (range.offset > 0 || announced !== range.length))
    return 'it sends more than the range asked for';
  if (announced !== undefined && announced > range.length) return 'it sends more than the range asked for';
  const start = /^bytes (\d+)-/.exec(headers['content-range'] ?? '')?.[1];
  return start !== undefined && Number(start) !== range.offset ? 'it sends another range' : undefined;
}

function tooShort(file: FileHandle, range: ByteRange, found: number | undefined): EngineError {
  const path = filePath(file);
  const context = { file: path, ...range, ...(found !== undefined && { found }) };
  return new EngineError('out-of-range', `${path} is shorter than expected`, context);
}
