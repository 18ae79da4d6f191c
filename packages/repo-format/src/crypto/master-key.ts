/** The key that seals everything in a repository (restic design document, "Keys, Encryption and MAC"). */
import { EngineError } from '../errors.ts';
import { decodeBase64, encodeBase64 } from '../json/base64.ts';
import { requiredText } from '../json/fields.ts';
import { asObject, encodeObject, parseObject } from '../json/object.ts';
import { nodePrimitives } from './node-primitives.ts';
import type { Primitives } from './primitives.ts';

/** A key that seals: plain data, so that it can be handed to workers. `r` is kept as it is stored, not clamped. */
export interface MasterKey {
  /** 32 bytes. */
  readonly encrypt: Uint8Array;
  /** 16 bytes each. */
  readonly mac: { readonly k: Uint8Array; readonly r: Uint8Array };
}

/** Are all bytes zero? */
export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** A new random key. */
export function generateMasterKey(primitives: Primitives = nodePrimitives): MasterKey {
  return splitKey(primitives.randomBytes(64));
}

/** The key in 64 bytes of key material: encrypt ‖ k ‖ r, the order in which restic cuts scrypt's output. */
export function splitKey(material: Uint8Array): MasterKey {
  return { encrypt: material.slice(0, 32), mac: { k: material.slice(32, 48), r: material.slice(48, 64) } };
}

/** The JSON that a key file holds sealed. */
export function encodeMasterKey({ encrypt, mac }: MasterKey): Uint8Array<ArrayBuffer> {
  return encodeObject({
    mac: { k: encodeBase64(mac.k), r: encodeBase64(mac.r) },
    encrypt: encodeBase64(encrypt),
  });
}

/** Reads {@link encodeMasterKey}'s JSON. Throws `corrupt`, also for parts that are all zeros, which restic refuses. */
export function decodeMasterKey(json: Uint8Array): MasterKey {
  const { fields } = parseObject(json, 'master key');
  const mac = asObject(fields['mac'], 'mac');
  return {
    encrypt: keyPart(fields['encrypt'], 'encrypt', 32),
    mac: { k: keyPart(mac['k'], 'k', 16), r: keyPart(mac['r'], 'r', 16) },
  };
}

function keyPart(value: unknown, key: string, length: number): Uint8Array {
  const bytes = decodeBase64(requiredText(value, key));
  if (bytes.length !== length || isZero(bytes)) {
    throw new EngineError('corrupt', 'a part of the master key is invalid', { key });
  }
  return bytes;
}
