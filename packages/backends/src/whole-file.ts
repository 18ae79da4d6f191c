/** What may be read whole. Nobody gets to fill the memory of the reader, be it with a hole of a terabyte. */
import { EngineError } from '@restic-engine/repo-format';
import type { FileHandle, FileType } from '@restic-engine/repo-format';
import { filePath } from './layout.ts';

const MIB = 2 ** 20;

/** Far more bytes than sound files of these types have; parts of packs are read, seldom whole ones. */
const LIMITS: Readonly<Record<FileType, number>> = {
  config: MIB,
  key: MIB,
  lock: MIB,
  snapshot: 64 * MIB,
  index: 256 * MIB,
  data: 1280 * MIB,
};

/** The most bytes that are read of `file` as a whole. */
export function sizeLimit(file: FileHandle): number {
  return LIMITS[file.type];
}

/** Throws `too-large` when `file`, of `size` bytes, must not be read whole. */
export function refuseTooLarge(file: FileHandle, size: number): void {
  const limit = sizeLimit(file);
  if (size <= limit) return;
  const path = filePath(file);
  throw new EngineError('too-large', `${path} is too large to be what its name says`, { file: path, size, limit });
}
