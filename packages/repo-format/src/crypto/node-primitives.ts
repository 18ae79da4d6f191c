/** The primitives of `node:crypto`; no other file imports it. */
import { createCipheriv, createHash, createSecretKey, hash, randomFillSync, scrypt } from 'node:crypto';
import { throwIfAborted } from '../errors.ts';
import type { Id } from '../id.ts';
import { SCRYPT_BYTES, type Primitives, type ScryptParams, type Sha256Stream } from './primitives.ts';

/** Ciphertext is made in slices of this many bytes, so that copying it to its place finds it in the cache. */
const CTR_SLICE = 131_072;

function deriveKey(password: Uint8Array, salt: Uint8Array, { N, r, p }: ScryptParams): Promise<Uint8Array> {
  // OpenSSL counts the table and the blocks of all p lanes.
  const maxmem = 128 * r * (N + p + 2) + 65_536;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, SCRYPT_BYTES, { N, r, p, maxmem }, (error, key) => {
      if (error) reject(error);
      else resolve(new Uint8Array(key));
    });
  });
}

/** Random bytes fetched ahead: a call into the generator costs far more than the 16 bytes of an IV. */
const reserve = new Uint8Array(4096);
let reserveUsed = reserve.length;

function randomBytes(length: number): Uint8Array<ArrayBuffer> {
  if (length > reserve.length) return randomFillSync(new Uint8Array(length));
  if (length > reserve.length - reserveUsed) {
    randomFillSync(reserve);
    reserveUsed = 0;
  }
  const bytes = reserve.slice(reserveUsed, reserveUsed + length);
  // Given out once, gone for good: keys are made of these too.
  reserve.fill(0, reserveUsed, reserveUsed + length);
  reserveUsed += length;
  return bytes;
}

export const nodePrimitives: Primitives = {
  sha256,

  sha256Stream,

  randomBytes,

  ctr(key) {
    // A key object is several times cheaper per message than raw key bytes.
    const secret = createSecretKey(key);
    return (iv, input, output) => {
      const cipher = createCipheriv('aes-256-ctr', secret, iv);
      for (let at = 0; at < input.length; at += CTR_SLICE) {
        output.set(cipher.update(input.subarray(at, at + CTR_SLICE)), at);
      }
    };
  },

  block(key) {
    // One cipher for all blocks: blocks in ECB mode do not depend on each other.
    const cipher = createCipheriv('aes-128-ecb', createSecretKey(key), null).setAutoPadding(false);
    return (block) => cipher.update(block);
  },

  async scrypt(password, salt, params, signal) {
    throwIfAborted(signal);
    const key = await deriveKey(password, salt, params);
    throwIfAborted(signal);
    return key;
  },
};

/** SHA-256 of `bytes`, as 64 hex digits: the name of a blob, and of every file but the config. */
export function sha256(bytes: Uint8Array): Id {
  return hash('sha256', bytes, 'hex');
}

/** SHA-256 of a sequence of parts: the name of a file that is written in segments. */
export function sha256Stream(): Sha256Stream {
  const state = createHash('sha256');
  return {
    update: (bytes) => void state.update(bytes),
    digest: () => state.digest('hex'),
  };
}
