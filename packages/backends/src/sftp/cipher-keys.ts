import { Buffer } from 'node:buffer';
import { createSecretKey } from 'node:crypto';

/** Where ssh2 keeps the key of AES-GCM, for which it makes a new cipher with every packet. */
const KEYS = [
  ['_cipher', '_encKey'],
  ['_decipher', '_decipherKey'],
] as const;

/**
 * Lets Node know what kind of key a connection uses. Given bytes, it finds that out anew for each packet, which takes as
 * long as encrypting it. Looks into the client of ssh2; where that is not as expected, all stays as it is.
 */
export function prepareKeys(client: object): void {
  for (const [side, name] of KEYS) {
    const cipher: unknown = Reflect.get(Object(Reflect.get(client, '_protocol')), side);
    if (typeof cipher !== 'object' || cipher === null) continue;
    const key: unknown = Reflect.get(cipher, name);
    if (Buffer.isBuffer(key)) Reflect.set(cipher, name, createSecretKey(key));
  }
}
