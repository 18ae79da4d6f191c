/**
 * What a restore has found out and not yet done, in windows: a bounded part of the snapshot in the order of its tree.
 * Memory depends on the size of a window, whatever the snapshot's.
 */
import type { Node } from '@restic-engine/repo-format';

/** A file whose content is to be restored, from when it is found until it is finished. */
export interface PlannedFile {
  /** '' or '/a/b': the directory it lies in. */
  readonly folder: string;
  readonly path: string;
  readonly node: Node;
  /** Bytes, as the node says. */
  readonly size: number;
  /**
   * How it meets the target: `create` it anew, `update` the regular file that is there, or `keep` the content of what is
   * there.
   */
  opening: 'create' | 'update' | 'keep';
  /** Bytes of the existing file, if its blobs are worth comparing. */
  readonly existingSize: number | undefined;
  /** The existing file has further names, which may lie anywhere: it is kept as it is or replaced, never written to. */
  readonly shared: boolean;
  /** Bytes of the blobs before the next piece. */
  offset: number;
  /** Blobs not yet in place. */
  remaining: number;
  /** Blobs found in place. */
  matching: number;
  /** It exists in its final size, open for pieces of content in any order. */
  prepared: boolean;
  failed: boolean;
}

/** A run of a file's blobs: all of them, but for very long files. */
export interface Piece {
  readonly file: PlannedFile;
  /** Blobs `from`…`to - 1` of the content. */
  readonly from: number;
  readonly to: number;
}

/** What is done when the content of a window is in place, in the order of the tree. */
export type Finish =
  /** Metadata of a file that is complete. */
  | { readonly kind: 'file'; readonly folder: string; readonly node: Node }
  /** A symbolic link, device or named pipe. */
  | { readonly kind: 'special'; readonly folder: string; readonly node: Node }
  /** Another name of a file restored before. */
  | {
      readonly kind: 'link';
      readonly folder: string;
      readonly node: Node;
      readonly toFolder: string;
      readonly toName: string;
    }
  /** Metadata of a directory whose entries are all finished. */
  | { readonly kind: 'leave'; readonly folder: string; readonly node: Node };

/** A directory to be rid of all names but these. */
export interface Cleanup {
  readonly folder: string;
  readonly keep: ReadonlySet<string>;
}

export interface Window {
  readonly pieces: Piece[];
  readonly finishes: Finish[];
  readonly cleanups: Cleanup[];
}

/**
 * The first window is smaller, so that work begins earlier. Not much: what two windows need of one pack is two requests,
 * and over a distance each costs more time than planning ten thousand files, which fit in here.
 */
const FIRST_WEIGHT = 1 << 15;
const MAX_WEIGHT = 1 << 16;

/** Collects windows. Each `add…` may be answered by a window that is full: it goes on its way before more is added. */
export class WindowBuilder {
  #window: Window = { pieces: [], finishes: [], cleanups: [] };
  #weight = 0;
  #limit = FIRST_WEIGHT;

  /** Adds a file in as many pieces as it needs; yields every window that it fills. */
  *addFile(file: PlannedFile): Generator<Window> {
    const blobs = file.node.content?.length ?? 0;
    let from = 0;
    do {
      const to = Math.min(blobs, from + Math.max(1, this.#limit - this.#weight));
      this.#window.pieces.push({ file, from, to });
      yield* this.#grow(1 + to - from);
      from = to;
    } while (from < blobs);
  }

  *addFinish(finish: Finish): Generator<Window> {
    this.#window.finishes.push(finish);
    yield* this.#grow(1);
  }

  addCleanup(cleanup: Cleanup): void {
    this.#window.cleanups.push(cleanup);
    this.#weight += cleanup.keep.size >> 4;
  }

  /** What is left. */
  take(): Window {
    const window = this.#window;
    this.#window = { pieces: [], finishes: [], cleanups: [] };
    this.#weight = 0;
    this.#limit = Math.min(MAX_WEIGHT, this.#limit * 4);
    return window;
  }

  *#grow(weight: number): Generator<Window> {
    this.#weight += weight;
    if (this.#weight >= this.#limit) yield this.take();
  }
}
