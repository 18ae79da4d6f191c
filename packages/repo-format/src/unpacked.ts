/**
 * Files sealed as a whole: index, snapshot and lock files. In repositories of version 2 the JSON is compressed, behind
 * a byte that says so (restic design document, "Unpacked Data Format").
 */
import { compress, decompressUnknown, type Compression } from './compress/zstd.ts';
import type { Sealer } from './crypto/seal.ts';
import { EngineError } from './errors.ts';

/** The first byte of a compressed file; JSON starts with a brace or a bracket. */
const COMPRESSED = 0x02;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/** An index of half a million blobs, more than restic puts into one file, has 90 MiB. */
const DEFAULT_MAX_BYTES: number = 256 * 2 ** 20;

/**
 * The bytes of a file that holds `json`, which stays the caller's. Compressed in version 2, whatever `compression` is.
 */
export function sealUnpacked(
  json: Uint8Array,
  version: 1 | 2,
  sealer: Sealer,
  options: { readonly compression?: Compression } = {},
): Uint8Array<ArrayBuffer> {
  if (version === 1) return sealer.seal(json);
  const frame = compress(json, options.compression ?? 'auto');
  const marked = new Uint8Array(frame.length + 1);
  marked[0] = COMPRESSED;
  marked.set(frame, 1);
  return sealer.seal(marked);
}

/**
 * The JSON in a file, not parsed. Throws `corrupt`, and `too-large` for more than `maxBytes` (256 MiB) of JSON.
 */
export function openUnpacked(
  file: Uint8Array,
  version: 1 | 2,
  sealer: Sealer,
  options: { readonly maxBytes?: number } = {},
): Uint8Array<ArrayBuffer> {
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  const plain = sealer.open(file);
  const first = plain[0];
  if (version === 2 && first === COMPRESSED) return decompressUnknown(plain.subarray(1), maxBytes);
  if (version === 2 && first !== OPEN_BRACE && first !== OPEN_BRACKET) {
    throw new EngineError('corrupt', 'a file is neither JSON nor compressed', { length: plain.length });
  }
  if (plain.length > maxBytes) {
    throw new EngineError('too-large', 'a file is too large', { length: plain.length, maxBytes });
  }
  return plain;
}
