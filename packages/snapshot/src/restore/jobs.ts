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

/** One request, and what is done with its answer. */
export interface Job {
  readonly pack: Id;
  readonly offset: number;
  readonly length: number;
  readonly uses: readonly BlobUse[];
}

export interface JobPlan {
  readonly jobs: readonly Job[];
  /** For each piece: the index of the job that brings all its blobs, {@link NO_JOB}, or {@link SEVERAL_JOBS}. */
  readonly jobOf: Int32Array;
}

export const NO_JOB: number = -1;
export const SEVERAL_JOBS: number = -2;

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

function addPiece(index: number, { file, from, to }: Piece, matches: Uint8Array | undefined, useOf: (id: Id) => BlobUse): void {
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
  const jobOf = new Int32Array(pieces.length).fill(NO_JOB);
  for (const [pack, uses] of packs) {
    const needed = [...uses.values()].filter(({ targets }) => targets.length > 0);
    for (const { offset, length, blobs } of indexed.mergeRanges(needed.map(({ location }) => location))) {
      const job = jobs.length;
      const inRange = blobs.flatMap(({ id }) => uses.get(id) ?? []);
      jobs.push({ pack, offset, length, uses: inRange });
      for (const { targets } of inRange) {
        for (let at = 0; at < targets.length; at += 2) {
          const piece = targets[at] ?? 0;
          jobOf[piece] = jobOf[piece] === NO_JOB || jobOf[piece] === job ? job : SEVERAL_JOBS;
        }
      }
    }
  }
  return { jobs, jobOf };
}
