/** zstd (RFC 8878) by `node:zlib`: one frame for each blob or file, without checksum. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { EngineError } from '../errors.ts';
import { Scratch } from '../scratch.ts';
import { MAX_BLOCK } from './store-frame.ts';
import { compressionContext, decompressionContext, type FrameContext } from './zstd-context.ts';

/** How hard to compress, by restic's names. `off` leaves data blobs raw; whatever must be compressed is, as by `auto`. */
export type Compression = 'off' | 'auto' | 'fastest' | 'better' | 'max';

/** The fastest levels that store no more than restic's library does under these names (measured with restic 0.19.1). */
const LEVELS: Readonly<Record<Compression, number>> = { off: 3, fastest: 2, auto: 3, better: 5, max: 11 };

/**
 * Longer inputs of `auto` take one hash table that fits the second-level cache and matches from five bytes: a fifth
 * faster than level 3 and, on binaries and sources, still no larger than what restic stores.
 */
const LONG_BYTES = 256 * 1024;
const LONG_AUTO: Readonly<Record<number, number>> = {
  [constants.ZSTD_c_compressionLevel]: 2,
  [constants.ZSTD_c_hashLog]: 16,
  [constants.ZSTD_c_minMatch]: 5,
};

/** Plain bytes that one blob may claim; restic cuts at 8 MiB, only trees of huge directories are larger. */
export const MAX_PLAIN_BYTES: number = 2 ** 30;

/** More than this is not allocated ahead of the bytes that a frame really yields. */
const CHUNK_BYTES = 8 * 2 ** 20;
const FIRST_CHUNK_BYTES = 16 * 2 ** 10;

/** The densest block repeats one byte: a header of three bytes and the byte (RFC 8878 §3.1.1.2). */
const MIN_BLOCK_BYTES = 4;

/** Inputs up to {@link LONG_BYTES}: a window that a reader need not reserve much for. */
const SHORT_WINDOW_LOG = 19;

/** Contexts of this thread by their use; null where there are none, or one that broke and is not worth another. */
const contexts = new Map<string, FrameContext | null>();
/** Where frames are written first; their length is known only then. */
const scratch = new Scratch();

/** One zstd frame of `plain`, which stays the caller's. The frame has a buffer of its own. */
export function compress(plain: Uint8Array, compression: Compression): Uint8Array<ArrayBuffer> {
  return compressToScratch(plain, compression).slice();
}

/** The same in memory that the next call on this thread overwrites: for those who copy it anyway. */
export function compressToScratch(plain: Uint8Array, compression: Compression): Uint8Array<ArrayBuffer> {
  // Room for the worst case (zstd's ZSTD_compressBound), so that there is one pass and no joining.
  const bound = plain.length + (plain.length >> 8) + 512;
  const isLong = plain.length > LONG_BYTES;
  const params =
    isLong && compression === 'auto' ? LONG_AUTO : { [constants.ZSTD_c_compressionLevel]: LEVELS[compression] };
  const context = contextFor(`${compression} ${isLong ? 'long' : 'short'}`, () =>
    compressionContext(isLong ? params : { ...params, [constants.ZSTD_c_windowLog]: SHORT_WINDOW_LOG }),
  );
  const target = scratch.take(bound);
  const length = context?.run(plain, target);
  if (length !== undefined && length < target.length) return target.subarray(0, length);
  return view(zstdCompressSync(plain, { chunkSize: bound, params }));
}

/**
 * The `plainLength` bytes in `frame`, in `target` if there is one, which has that length, or in memory of their own.
 * That grows with what the frame yields and never beyond the length. Throws `corrupt` when the frame is damaged or
 * yields another length, `too-large` for more than {@link MAX_PLAIN_BYTES}.
 */
export function decompress(
  frame: Uint8Array,
  plainLength: number,
  target?: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  if (plainLength > MAX_PLAIN_BYTES) throw new EngineError('too-large', 'a blob is too large', { plainLength });
  if (plainLength > (frame.length / MIN_BLOCK_BYTES) * MAX_BLOCK) {
    throw new EngineError('corrupt', 'a zstd frame is too short for its length', { plainLength, frame: frame.length });
  }
  const plain = decompressAtOnce(frame, plainLength, target) ?? inflate(frame, plainLength, 'corrupt');
  if (plain.length !== plainLength) {
    throw new EngineError('corrupt', 'a zstd frame yields another length', { plainLength, length: plain.length });
  }
  return plain;
}

/** The usual case, without a context of its own; undefined for anything out of the ordinary. */
function decompressAtOnce(
  frame: Uint8Array,
  plainLength: number,
  target: Uint8Array<ArrayBuffer> | undefined,
): Uint8Array<ArrayBuffer> | undefined {
  if (plainLength > CHUNK_BYTES) return undefined;
  const context = contextFor('decompress', decompressionContext);
  if (context === undefined) return undefined;
  const plain = target ?? new Uint8Array(plainLength);
  if (context.run(frame, plain) === plainLength) return plain;
  // It may be in the middle of a frame; the next one gets a fresh context.
  contexts.delete('decompress');
  return undefined;
}

function contextFor(use: string, create: () => FrameContext | undefined): FrameContext | undefined {
  let context = contexts.get(use);
  if (context === undefined) contexts.set(use, (context = create() ?? null));
  return context ?? undefined;
}

/** What is in `frame`. Throws `too-large`, as soon as it is known, for more than `maxBytes`; `corrupt` for damage. */
export function decompressUnknown(frame: Uint8Array, maxBytes: number): Uint8Array<ArrayBuffer> {
  // JSON rarely shrinks to less than an eighth: a listing of small files must not take megabytes for each.
  return inflate(frame, maxBytes, 'too-large', Math.max(FIRST_CHUNK_BYTES, frame.length * 8));
}

/** @param expected bytes that the frame will hardly exceed; more costs time, not correctness */
function inflate(
  frame: Uint8Array,
  maxBytes: number,
  excess: 'corrupt' | 'too-large',
  expected: number = maxBytes,
): Uint8Array<ArrayBuffer> {
  try {
    // One byte more than expected: a chunk that is full makes zlib allocate the next.
    const chunkSize = Math.max(64, Math.min(expected + 1, maxBytes + 1, CHUNK_BYTES));
    return view(zstdDecompressSync(frame, { chunkSize, maxOutputLength: Math.max(1, maxBytes) }));
  } catch (cause) {
    const tooLong = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
    if (tooLong) throw new EngineError(excess, 'a zstd frame yields more than allowed', { maxBytes }, { cause });
    throw new EngineError('corrupt', 'a zstd frame is damaged', { frame: frame.length }, { cause });
  }
}

/** A plain array over the same bytes: `slice` of a Buffer does not copy. */
function view(buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
