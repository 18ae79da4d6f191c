/** Paths of snapshots in URLs: bytes, percent-encoded where they are not plain letters and digits. */
import type { Engine } from '../open.ts';

const PLAIN = /[A-Za-z0-9\-._~/]/;

/** The URL path of `path`, which begins with `/`, below `prefix`. */
export function hrefOf(engine: Engine, prefix: string, path: string): string {
  let href = prefix;
  for (const byte of engine.pathToBytes(path)) {
    const letter = String.fromCharCode(byte);
    href += PLAIN.test(letter) ? letter : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return href;
}

/** The path that the target of a request means, from a `/` on; undefined for what is not below `prefix` or no URL. */
export function pathOf(engine: Engine, prefix: string, target: string): string | undefined {
  const [encoded = ''] = target.replace(/^https?:\/\/[^/]*/i, '').split(/[?#]/);
  if (encoded !== prefix && !encoded.startsWith(`${prefix}/`)) return undefined;
  const bytes = decode(encoded.slice(prefix.length));
  // Dots are nobody's names here: clients resolve them, or mean something else.
  const path = bytes && engine.pathFromBytes(bytes);
  if (path === undefined || path.includes('\0') || path.split('/').some((name) => name === '.' || name === '..')) {
    return undefined;
  }
  return path === '' ? '/' : path;
}

function decode(text: string): Uint8Array | undefined {
  if (/%(?![0-9a-f]{2})/i.test(text)) return undefined;
  const bytes = Buffer.from(text);
  let end = 0;
  for (let at = 0; at < bytes.length; at++) {
    const isEscape = bytes[at] === 0x25;
    bytes[end++] = isEscape ? Number.parseInt(bytes.toString('latin1', at + 1, at + 3), 16) : (bytes[at] ?? 0);
    if (isEscape) at += 2;
  }
  return bytes.subarray(0, end);
}
