/** The cryptographic building blocks of the format, as an interface with a native and a portable implementation. */
import type { Id } from '../id.ts';

/** Cost of scrypt (RFC 7914 §2). It takes about 128·N·r bytes of memory and time in proportion to N·r·p. */
export interface ScryptParams {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** A hash in the making. */
export interface Sha256Stream {
  /** Takes the next part; it stays the caller's. */
  update(bytes: Uint8Array): void;
  /** Ends the hash: 64 hex digits. */
  digest(): Id;
}

export interface Primitives {
  /** SHA-256 of `bytes`, as 64 hex digits. */
  sha256(bytes: Uint8Array): Id;
  /** SHA-256 of a sequence of parts. */
  sha256Stream(): Sha256Stream;
  /** `length` unpredictable bytes. */
  randomBytes(length: number): Uint8Array<ArrayBuffer>;
  /**
   * AES-256 in counter mode under a 32-byte key. The function encrypts (and decrypts) `input` into `output`, which has
   * the same length and does not overlap it; `iv` is the whole 128-bit big-endian counter of the first block.
   */
  ctr(key: Uint8Array): (iv: Uint8Array, input: Uint8Array, output: Uint8Array) => void;
  /** AES-128 of one 16-byte block under a 16-byte key. */
  block(key: Uint8Array): (block: Uint8Array) => Uint8Array;
  /** 64 bytes of scrypt (RFC 7914). Rejects with `aborted`, as soon as the implementation can stop. */
  scrypt(password: Uint8Array, salt: Uint8Array, params: ScryptParams, signal?: AbortSignal): Promise<Uint8Array>;
}

/** Bytes that {@link Primitives.scrypt} yields: an AES-256 key and the two halves of a MAC key. */
export const SCRYPT_BYTES = 64;
