/** What the primitives alone would take: a first backup as one loop on one thread, with nothing around it. */
import { parsePolynomial, rabin, RESTIC_SIZES } from '@restic-engine/chunker';
import { createBlobCodec, createSealer, generateMasterKey, sha256 } from '@restic-engine/repo-format';
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** A window as the engine reads it. */
const WINDOW_BYTES = RESTIC_SIZES.maxSize;
const POLYNOMIAL = '3da3358b4dc173';

/**
 * Processor seconds of one thread for all files below `folder`: read, cut, hash, compress, seal, verify (open again,
 * decompress, hash), and hash the sealed bytes for the name of the pack. Blobs that repeat are done once.
 */
export function primitiveSeconds(folder: string): number {
  const { cuts, minSize } = rabin({ ...RESTIC_SIZES, polynomial: parsePolynomial(POLYNOMIAL) });
  const sealer = createSealer(generateMasterKey());
  const { seal } = createBlobCodec({ sealer, version: 2, compression: 'auto', verify: true });
  const window = new Uint8Array(WINDOW_BYTES);
  const known = new Set<string>();
  const store = (plain: Uint8Array): void => {
    const id = sha256(plain);
    if (known.has(id)) return;
    known.add(id);
    sha256(seal('data', plain, id).bytes);
  };
  const { user, system } = process.cpuUsage();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = openSync(join(entry.parentPath, entry.name), 'r');
    for (let position = 0, final = false; !final; ) {
      const length = readSync(file, window, 0, window.length, position);
      final = length < window.length;
      const bytes = window.subarray(0, length);
      const ends = final && length <= minSize ? [length].filter(Boolean) : cuts(bytes, final);
      let start = 0;
      for (const end of ends) {
        store(bytes.subarray(start, end));
        start = end;
      }
      position += start;
    }
    closeSync(file);
  }
  const used = process.cpuUsage();
  return (used.user + used.system - user - system) / 1e6;
}
