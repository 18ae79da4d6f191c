/** The primitives in plain JavaScript, for runtimes without `node:crypto`, and as the second opinion in tests. */
import { ctr, ecb } from '@noble/ciphers/aes.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import scryptJs from 'scrypt-js';
import { throwIfAborted } from '../errors.ts';
import { SCRYPT_BYTES, type Primitives } from './primitives.ts';

/** What `getRandomValues` gives at once (W3C Web Cryptography API §10.1.1). */
const RANDOM_SLICE = 65_536;

export const portablePrimitives: Primitives = {
  sha256: (bytes) => bytesToHex(sha256(bytes)),

  sha256Stream() {
    const state = sha256.create();
    return {
      update: (bytes) => void state.update(bytes),
      digest: () => bytesToHex(state.digest()),
    };
  },

  randomBytes(length) {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += RANDOM_SLICE) crypto.getRandomValues(bytes.subarray(at, at + RANDOM_SLICE));
    return bytes;
  },

  ctr: (key) => (iv, input, output) => {
    output.set(ctr(key, iv).encrypt(input));
  },

  // noble wants a new cipher for every message, even in this mode.
  block: (key) => (block) => ecb(key, { disablePadding: true }).encrypt(block),

  async scrypt(password, salt, { N, r, p }, signal) {
    throwIfAborted(signal);
    try {
      return await scryptJs.scrypt(password, salt, N, r, p, SCRYPT_BYTES, () => signal?.aborted === true);
    } catch (error) {
      throwIfAborted(signal);
      throw error;
    }
  },
};
