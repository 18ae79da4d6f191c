/** Which parts of a pack to read for a set of its blobs: few requests, little waste. */
import type { BlobLocation } from '../index/blob-table.ts';

/** Reading this many unwanted bytes is cheaper than another request. */
const MAX_HOLE = 1 << 20;
/** A request this long costs nothing more by being split, and memory is bounded by it. */
const MAX_RANGE = 16 << 20;

/** A part of a pack in bytes, and the blobs that lie in it by ascending offset. */
export interface BlobRange {
  readonly offset: number;
  readonly length: number;
  readonly blobs: readonly BlobLocation[];
}

/** Merges the places of blobs of one pack into ranges. A single blob longer than the limit gets a range of its own. */
export function mergeRanges(blobs: readonly BlobLocation[]): BlobRange[] {
  const ranges: { offset: number; length: number; blobs: BlobLocation[] }[] = [];
  for (const blob of blobs.toSorted((a, b) => a.offset - b.offset)) {
    const last = ranges.at(-1);
    const end = blob.offset + blob.length;
    if (last !== undefined && blob.offset - (last.offset + last.length) <= MAX_HOLE && end - last.offset <= MAX_RANGE) {
      last.length = Math.max(last.length, end - last.offset);
      last.blobs.push(blob);
    } else {
      ranges.push({ offset: blob.offset, length: blob.length, blobs: [blob] });
    }
  }
  return ranges;
}
