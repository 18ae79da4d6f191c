/** Base 64 with the standard alphabet and padding (RFC 4648 §4), as Go writes byte slices into JSON. */
import { EngineError } from '../errors.ts';

const NOT_BASE64 = /[^A-Za-z0-9+/=]/;

export function encodeBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** The bytes, in a buffer of their own. Throws `corrupt`. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  // `atob` would also take white space and missing padding.
  if (text.length % 4 !== 0 || NOT_BASE64.test(text)) throw badBase64(text);
  const binary = decodeBinary(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < bytes.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

function decodeBinary(text: string): string {
  try {
    return atob(text);
  } catch (cause) {
    throw badBase64(text, cause);
  }
}

function badBase64(text: string, cause?: unknown): EngineError {
  return new EngineError('corrupt', 'not base 64', { length: text.length }, { cause });
}
