/** Arguments that are not UTF-8, which Node cannot hand over. */
import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { UsageError } from './failure.ts';

const REPLACEMENT = '\ufffd';

/**
 * Refuses arguments that are not what was typed: Node puts U+FFFD in the place of bytes that are not UTF-8, and a
 * repository or a target would be looked for, or made, under another name. U+FFFD itself is a character as any other.
 */
export async function refuseGarbled(words: readonly string[]): Promise<void> {
  const garbled = words.find((word) => word.includes(REPLACEMENT));
  if (garbled === undefined || isUtf8(await commandLine())) return;
  throw new UsageError(`not UTF-8: "${garbled}" (paths to back up can be given with --files-from-raw)`);
}

/** The bytes of all arguments. Where the system does not tell, they count as being right. */
async function commandLine(): Promise<Uint8Array> {
  return process.platform === 'linux' ? await readFile('/proc/self/cmdline') : new Uint8Array(0);
}
