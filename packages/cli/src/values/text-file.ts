/** Small text files: passwords and locations. */
import { readFile } from 'node:fs/promises';
import { Fatal } from '../failure.ts';

/**
 * The content of a file, UTF-16 behind a byte order mark turned into UTF-8, without white space around it.
 * Bytes that are not UTF-8 stay what they are, as in restic.
 */
export async function readTextFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (isMissing(error)) throw new Fatal(`${path} does not exist`);
    throw error;
  }
  return trimText(bytes);
}

/** As {@link readTextFile}, for bytes at hand. */
export function trimText(bytes: Uint8Array): Uint8Array {
  // One UTF-16 unit a byte: trimming cannot harm what is not UTF-8.
  const text = utf8(bytes).toString('latin1');
  return Buffer.from(text.replace(/^[\t-\r ]+|[\t-\r ]+$/g, ''), 'latin1');
}

/** A text as UTF-8 without a byte order mark; bytes that are not UTF-8 are left as they are. */
export function utf8(bytes: Uint8Array): Buffer {
  const [first, second, third] = bytes;
  if (first === 0xef && second === 0xbb && third === 0xbf) return Buffer.from(bytes.subarray(3));
  if (first === 0xff && second === 0xfe) return Buffer.from(new TextDecoder('utf-16le').decode(bytes));
  if (first === 0xfe && second === 0xff) return Buffer.from(new TextDecoder('utf-16be').decode(bytes));
  return Buffer.from(bytes);
}

/** Is this the error of the system for a path that is not there? */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
