/**
 * Sealing: AES-256-CTR, then Poly1305-AES over the ciphertext (restic design document, "Keys, Encryption and MAC").
 * sealed = IV (16 bytes) ‖ ciphertext ‖ tag (16 bytes).
 */
import { EngineError } from '../errors.ts';
import { isZero, type MasterKey } from './master-key.ts';
import { nodePrimitives } from './node-primitives.ts';
import { poly1305 } from './poly1305.ts';
import type { Primitives } from './primitives.ts';

/** Bytes that sealing adds. */
export const SEAL_OVERHEAD = 32;

const IV_BYTES = 16;
const TAG_BYTES = 16;

export interface Sealer {
  /**
   * Encrypts under a fresh random IV: to the beginning of `target`, which is long enough, or else to a buffer of its own.
   * The result is {@link SEAL_OVERHEAD} bytes longer.
   */
  seal(plain: Uint8Array, target?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
  /**
   * Verifies, then decrypts: to the beginning of `target`, which is long enough, or else to a buffer of its own.
   * Throws `corrupt` for bytes that this key did not seal.
   */
  open(sealed: Uint8Array, target?: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>;
}

/** Compares in a time that does not depend on the content; lengths are equal. */
function equal(a: Uint8Array, b: Uint8Array): boolean {
  let difference = 0;
  a.forEach((byte, index) => {
    difference |= byte ^ (b[index] ?? 0);
  });
  return difference === 0;
}

/** A sealer for `key`; it keeps prepared ciphers, so make one for a key and use it often. */
export function createSealer(key: MasterKey, primitives: Primitives = nodePrimitives): Sealer {
  const ctr = primitives.ctr(key.encrypt);
  const block = primitives.block(key.mac.k);
  const tag = (iv: Uint8Array, ciphertext: Uint8Array): Uint8Array => poly1305(key.mac.r, block(iv), ciphertext);
  return {
    seal(plain, target) {
      const length = plain.length + SEAL_OVERHEAD;
      const sealed = target?.subarray(0, length) ?? new Uint8Array(length);
      const iv = primitives.randomBytes(IV_BYTES);
      const ciphertext = sealed.subarray(IV_BYTES, IV_BYTES + plain.length);
      sealed.set(iv);
      ctr(iv, plain, ciphertext);
      sealed.set(tag(iv, ciphertext), IV_BYTES + plain.length);
      return sealed;
    },
    open(sealed, target) {
      if (sealed.length < SEAL_OVERHEAD) {
        throw new EngineError('corrupt', 'sealed bytes end early', { length: sealed.length });
      }
      const iv = sealed.subarray(0, IV_BYTES);
      const ciphertext = sealed.subarray(IV_BYTES, sealed.length - TAG_BYTES);
      if (isZero(iv) || !equal(tag(iv, ciphertext), sealed.subarray(sealed.length - TAG_BYTES))) {
        throw new EngineError('corrupt', 'the message authentication code does not match', { length: sealed.length });
      }
      const plain = target?.subarray(0, ciphertext.length) ?? new Uint8Array(ciphertext.length);
      ctr(iv, ciphertext, plain);
      return plain;
    },
  };
}
