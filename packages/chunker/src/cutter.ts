/** Finds the cut points of content-defined chunks in a window of bytes. */
export interface Cutter {
  /** Bytes: every chunk but the last of an input has at least this many. */
  readonly minSize: number;
  /** Bytes: no chunk has more. */
  readonly maxSize: number;
  /**
   * Returns the ends (offsets in `window`, ascending) of all chunks that certainly end inside it, whatever follows.
   *
   * `window` begins where a chunk begins and is only read, not kept. With `final` nothing follows: what remains is the
   * last chunk and `window.length` the last end; an empty window gives `[]`. Nothing is remembered between calls: the
   * caller carries the bytes after the last end into its next window. A window of `maxSize` bytes or more has an end;
   * one of `2 * maxSize` or more keeps the share that is looked at twice small.
   */
  cuts(window: Uint8Array, final: boolean): number[];
}

/** The first end e, `from <= e <= limit`, after which a chunk may stop; -1 if there is none. */
export type FindEnd = (window: Uint8Array, from: number, limit: number) => number;

/** Applies the size limits to what `findEnd` finds: a cut at the first usable candidate, else at the maximum. */
export function sizedCutter(minSize: number, maxSize: number, findEnd: FindEnd): Cutter {
  const cuts = (window: Uint8Array, final: boolean): number[] => {
    const ends: number[] = [];
    let start = 0;
    while (start < window.length) {
      const limit = Math.min(start + maxSize, window.length);
      const from = start + minSize;
      let end = from <= limit ? findEnd(window, from, limit) : -1;
      if (end < 0) {
        if (limit < start + maxSize && !final) break;
        end = limit;
      }
      ends.push(end);
      start = end;
    }
    return ends;
  };
  return { minSize, maxSize, cuts };
}
