/** From pieces of files to ranges of packs: what is read at once, and where its blobs go. */
import { EngineError, plainLengthOf } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import type { BlobLocation, IndexedRepository } from '@restic-engine/repository';
import type { Piece, PlannedFile } from './plan.ts';

/** A blob and the places it goes to. */
export interface BlobUse {
  readonly location: BlobLocation;
  /** Plain bytes. */
  readonly length: number;
  /** Pairs: an index into the pieces, and the offset in that piece's file in bytes. */
  readonly targets: number[];
}

/** What one worker gets of an answer; places in bytes of the pack. */
export interface Part {
  /** Counted through all jobs. */
  readonly number: number;
  readonly offset: number;
  readonly length: number;
  readonly uses: readonly BlobUse[];
}

/** One request, and what is done with its answer. */
export interface Job {
  readonly pack: Id;
  readonly offset: number;
  readonly length: number;
  readonly parts: readonly Part[];
}

export interface JobPlan {
  readonly jobs: readonly Job[];
  /** For each piece: the number of the part that has all its blobs, {@link NO_PART}, or {@link SEVERAL_PARTS}. */
  readonly partOf: Int32Array;
}

export const NO_PART: number = -1;
const SEVERAL_PARTS = -2;

/** Writes after which a range is divided: many small files are work for several workers. */
const PART_WRITES = 256;

/**
 * Packs come in the order of their first use, so that the first files are complete first. Files with a blob that is in
 * no index go to `missing`.
 */
export function planJobs(
  indexed: IndexedRepository,
  pieces: readonly Piece[],
  matches: ReadonlyMap<Piece, Uint8Array>,
  missing: (file: PlannedFile, error: EngineError) => void,
): JobPlan {
  const packs = new Map<Id, Map<Id, BlobUse>>();
  const uses = new Map<Id, BlobUse>();
  const useOf = (id: Id): BlobUse => {
    const known = uses.get(id);
    if (known !== undefined) return known;
    const location = indexed.locate('data', id);
    if (location === undefined) throw new EngineError('not-found', `data blob ${id} is in no index`, { id });
    const use: BlobUse = { location, length: plainLengthOf(location), targets: [] };
    uses.set(id, use);
    const pack = packs.get(location.pack);
    if (pack === undefined) packs.set(location.pack, new Map([[id, use]]));
    else pack.set(id, use);
    return use;
  };
  for (const [index, piece] of pieces.entries()) {
    try {
      addPiece(index, piece, matches.get(piece), useOf);
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      missing(piece.file, error);
    }
  }
  return toJobs(indexed, packs, pieces);
}

function addPiece(
  index: number,
  { file, from, to }: Piece,
  matches: Uint8Array | undefined,
  useOf: (id: Id) => BlobUse,
): void {
  if (file.opening === 'keep') return;
  for (let blob = from; blob < to && !file.failed; blob++) {
    const use = useOf(file.node.content?.[blob] ?? '');
    if (matches?.[blob - from] === 1) {
      file.remaining--;
      file.matching += use.length;
    } else {
      use.targets.push(index, file.offset);
    }
    file.offset += use.length;
  }
}

function toJobs(
  indexed: IndexedRepository,
  packs: ReadonlyMap<Id, ReadonlyMap<Id, BlobUse>>,
  pieces: readonly Piece[],
): JobPlan {
  const jobs: Job[] = [];
  const partOf = new Int32Array(pieces.length).fill(NO_PART);
  let number = 0;
  for (const [pack, uses] of packs) {
    const needed = [...uses.values()].filter(({ targets }) => targets.length > 0);
    for (const { offset, length, blobs } of indexed.mergeRanges(needed.map(({ location }) => location))) {
      const parts: Part[] = [];
      for (const group of divide(blobs.flatMap(({ id }) => uses.get(id) ?? []))) {
        notePart(partOf, number, group);
        parts.push(toPart(number++, group));
      }
      jobs.push({ pack, offset, length, parts });
    }
  }
  return { jobs, partOf };
}

function* divide(uses: readonly BlobUse[]): Generator<BlobUse[]> {
  let group: BlobUse[] = [];
  let writes = 0;
  for (const use of uses) {
    group.push(use);
    writes += use.targets.length / 2;
    if (writes < PART_WRITES) continue;
    yield group;
    [group, writes] = [[], 0];
  }
  if (group.length > 0) yield group;
}

/** `uses` lie one after the other. */
function toPart(number: number, uses: readonly BlobUse[]): Part {
  const offset = uses[0]?.location.offset ?? 0;
  const end = uses.reduce((last, { location }) => Math.max(last, location.offset + location.length), offset);
  return { number, offset, length: end - offset, uses };
}

function notePart(partOf: Int32Array, number: number, uses: readonly BlobUse[]): void {
  for (const { targets } of uses) {
    for (let at = 0; at < targets.length; at += 2) {
      const piece = targets[at] ?? 0;
      partOf[piece] = partOf[piece] === NO_PART || partOf[piece] === number ? number : SEVERAL_PARTS;
    }
  }
}
