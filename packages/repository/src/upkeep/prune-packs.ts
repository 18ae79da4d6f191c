/** Which parts of packs are in use. */
import { EngineError, packFileSize } from '@restic-engine/repo-format';
import type { BlobType, Id } from '@restic-engine/repo-format';
import type { BlobTable } from '../index/blob-table.ts';

/** A pack as the index has it; sizes in bytes. */
export interface PackUse {
  readonly id: Id;
  readonly type: BlobType | 'mixed';
  /** Some blob in it is not compressed. */
  readonly uncompressed: boolean;
  usedBlobs: number;
  unusedBlobs: number;
  /** With the header: it is needed as long as the pack is. */
  usedBytes: number;
  unusedBytes: number;
  /** Blobs in it that are in use and have other copies. */
  duplicates: number;
  /** It stays as it is, whatever is in it. */
  fixed?: boolean;
}

/** Blobs and their bytes as sealed, headers left out. */
export interface BlobCount {
  blobs: number;
  bytes: number;
}

export interface Usage {
  readonly packs: readonly PackUse[];
  readonly used: BlobCount;
  readonly duplicate: BlobCount;
  readonly unused: BlobCount;
}

/** More copies of one blob than this are counted as this many. */
const MOST_COPIES = 255;
/** In the place of a number of copies: all others have been passed over. */
const LAST_COPY = 0;

/**
 * Says of every pack how much of it is in use. `reached` has 1 for each number of a needed blob in the table. Of a blob
 * with several copies one counts as used: preferably in a pack of which everything is needed, which is what an
 * interrupted prune leaves behind, then in one that is needed anyway. Only packs of which `counts` says so are there.
 */
export function usageOf(table: BlobTable, reached: Uint8Array, counts: (pack: Id) => boolean = () => true): Usage {
  const copies = countCopies(table, reached, counts);
  const packs: PackUse[] = [];
  const usage = { packs, used: none(), duplicate: none(), unused: none() };
  for (const { pack, blobs } of table.byPack(counts)) {
    const use: PackUse = {
      id: pack,
      type: typeOf(blobs),
      uncompressed: blobs.some(({ uncompressedLength }) => uncompressedLength === 0),
      usedBlobs: 0,
      unusedBlobs: 0,
      usedBytes: packFileSize(blobs) - blobs.reduce((sum, { length }) => sum + length, 0),
      unusedBytes: 0,
      duplicates: 0,
    };
    for (const { type, id, length } of blobs) {
      const number = table.numberOf(type, id);
      const isUsed = reached[number] === 1;
      const isSingle = isUsed && copies[number] === 1;
      use[isSingle ? 'usedBlobs' : 'unusedBlobs'] += 1;
      use[isSingle ? 'usedBytes' : 'unusedBytes'] += length;
      if (isUsed && !isSingle) use.duplicates += 1;
      count(isSingle ? usage.used : isUsed ? usage.duplicate : usage.unused, 1, length);
    }
    packs.push(use);
  }
  if (usage.duplicate.blobs > 0) chooseCopies(table, reached, copies, usage);
  return usage;
}

/** For each number of a needed blob, how many packs have it. */
function countCopies(table: BlobTable, reached: Uint8Array, counts: (pack: Id) => boolean): Uint8Array {
  const copies = new Uint8Array(table.size);
  for (const { type, id, pack } of table.entries()) {
    const number = table.numberOf(type, id);
    if (reached[number] === 1 && counts(pack)) copies[number] = Math.min((copies[number] ?? 0) + 1, MOST_COPIES);
  }
  return copies;
}

function typeOf(blobs: readonly { readonly type: BlobType }[]): PackUse['type'] {
  const type = blobs[0]?.type ?? 'data';
  return blobs.every((blob) => blob.type === type) ? type : 'mixed';
}

function none(): BlobCount {
  return { blobs: 0, bytes: 0 };
}

function count(sum: BlobCount, blobs: number, bytes: number): void {
  sum.blobs += blobs;
  sum.bytes += bytes;
}

/**
 * Packs whose copies are to stay come first. What a prune has written is whole, in one type, compressed and large; what
 * it was about to remove lacks one of these.
 */
function byMerit(a: PackUse, b: PackUse): number {
  return (
    Number(a.type === 'mixed') - Number(b.type === 'mixed') ||
    Number(a.unusedBlobs > a.duplicates) - Number(b.unusedBlobs > b.duplicates) ||
    Number(a.uncompressed) - Number(b.uncompressed) ||
    b.usedBytes + b.unusedBytes - (a.usedBytes + a.unusedBytes)
  );
}

function chooseCopies(table: BlobTable, reached: Uint8Array, copies: Uint8Array, usage: Usage): void {
  const uses = new Map(usage.packs.map((use) => [use.id, use]));
  const order = usage.packs.filter(({ duplicates }) => duplicates > 0).toSorted(byMerit);
  for (const { pack, blobs } of table.contentsOf(order.map(({ id }) => id))) {
    const use = uses.get(pack);
    if (use === undefined) continue;
    for (const { type, id, length } of blobs) {
      const number = table.numberOf(type, id);
      const left = copies[number] ?? 0;
      // One copy: there never was another, or one has been chosen.
      if (reached[number] !== 1 || left === 1) continue;
      if (use.usedBlobs === 0 && use.duplicates !== use.unusedBlobs && left !== LAST_COPY) {
        copies[number] = left === 2 ? LAST_COPY : left - 1;
        continue;
      }
      copies[number] = 1;
      use.usedBlobs += 1;
      use.usedBytes += length;
      use.unusedBlobs -= 1;
      use.unusedBytes -= length;
      count(usage.used, 1, length);
      count(usage.duplicate, -1, -length);
    }
  }
}

/** For each number of the table: 1 where a blob is needed and only packs in `leaving` have it. */
export function blobsToCopy(table: BlobTable, reached: Uint8Array, leaving: ReadonlySet<Id>): Uint8Array {
  const needed = reached.slice();
  for (const { type, id, pack } of table.entries()) {
    if (!leaving.has(pack)) needed[table.numberOf(type, id)] = 0;
  }
  return needed;
}

/** Something that snapshots need is in no index: removing anything now could make it worse. */
export function incomplete(context: Readonly<Record<string, string>>): EngineError {
  return new EngineError('corrupt', 'index is not complete: data that snapshots need is missing', context);
}
