/** An open file of a snapshot. */
import type { Call, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { readFile } from '../walk.ts';
import { fsError } from './fs-error.ts';
import type { SnapshotStats } from './stats.ts';
import { blobOffsets } from './store.ts';
import type { Store } from './store.ts';

/** Which bytes to read; both ends are included, as in Node. */
export interface ReadStreamOptions extends Call {
  /** @default 0 */
  readonly start?: number | undefined;
  /** @default the last */
  readonly end?: number | undefined;
}

/** Where to put what is read. */
export interface HandleReadOptions extends Call {
  /** Where in the buffer. @default 0 */
  readonly offset?: number | undefined;
  /** Bytes. @default as many as there is room for */
  readonly length?: number | undefined;
  /** Where in the file; without it where the last such read ended. */
  readonly position?: number | null | undefined;
}

export interface HandleParts {
  readonly indexed: IndexedRepository;
  readonly store: Store;
  readonly node: Node;
  readonly path: string;
  readonly stats: SnapshotStats;
}

/** An open file: it reads what was there when it was opened, whatever snapshots come or go. Made by `open`. */
export class SnapshotFileHandle implements AsyncDisposable {
  readonly #parts: HandleParts;
  readonly #offsets: Float64Array;
  #position = 0;
  #closed = false;

  constructor(parts: HandleParts) {
    this.#parts = parts;
    this.#offsets = blobOffsets(parts.indexed, parts.node);
  }

  /**
   * Reads into `buffer`, which stays the caller's, and resolves with how many bytes: fewer than wanted only at the end of
   * the file, 0 behind it. Only the blobs with these bytes are loaded. Rejects with `not-found` and `corrupt` for what
   * cannot be read, `bad-request` when closed. Throws `RangeError` for what is no part of the buffer or the file.
   */
  async read<T extends Uint8Array>(
    buffer: T,
    options: HandleReadOptions = {},
  ): Promise<{ bytesRead: number; buffer: T }> {
    this.#checkOpen('read');
    const { offset = 0, position = null } = options;
    const { length = buffer.length - offset } = options;
    const from = position ?? this.#position;
    if (!(offset >= 0 && length >= 0 && offset + length <= buffer.length && from >= 0)) {
      throw new RangeError(`no part of the buffer or the file: ${length} bytes from ${from} on to ${offset}`);
    }
    const bytesRead = await this.#fill(buffer.subarray(offset, offset + length), from, options);
    if (position === null) this.#position = from + bytesRead;
    return { bytesRead, buffer };
  }

  /** All of the file, or with an encoding its text. */
  async readFile(options?: Call): Promise<Buffer>;
  async readFile(encoding: 'utf8'): Promise<string>;
  async readFile(options: Call | 'utf8' = {}): Promise<Buffer | string> {
    this.#checkOpen('read');
    const call = options === 'utf8' ? {} : options;
    const bytes = Buffer.allocUnsafe(this.#parts.stats.size);
    await this.#fill(bytes, 0, call);
    return options === 'utf8' ? bytes.toString() : bytes;
  }

  stat(): Promise<SnapshotStats> {
    return Promise.resolve(this.#parts.stats);
  }

  /** The bytes from `start` to `end`; a few blobs are read ahead. Chunks belong to the reader. */
  createReadStream(options: ReadStreamOptions = {}): ReadableStream<Uint8Array> {
    this.#checkOpen('read');
    const { indexed, store, node } = this.#parts;
    return readFile(store.reader(indexed), node, rangeOf(options));
  }

  close(): Promise<void> {
    this.#closed = true;
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #checkOpen(syscall: string): void {
    if (this.#closed) throw fsError('EBADF', syscall, this.#parts.path);
  }

  async #fill(target: Uint8Array, position: number, { signal }: Call): Promise<number> {
    const { indexed, store, node } = this.#parts;
    const content = node.content ?? [];
    const end = Math.min(position + target.length, this.#offsets.at(-1) ?? 0);
    let done = 0;
    for (let at = this.#blobAt(position); position + done < end; at++) {
      const bytes = await store.blob(indexed, content[at] ?? '', { signal });
      const from = position + done - (this.#offsets[at] ?? 0);
      const piece = bytes.subarray(from, from + end - position - done);
      target.set(piece, done);
      done += piece.length;
    }
    return done;
  }

  /** Which blob has the byte at a position. */
  #blobAt(position: number): number {
    let low = 0;
    let high = this.#offsets.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#offsets[middle + 1] ?? Infinity) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** From the ends that Node counts with to ours. */
export function rangeOf({ start = 0, end = Infinity, signal }: ReadStreamOptions): {
  offset: number;
  length: number;
  signal: AbortSignal | undefined;
} {
  return { offset: start, length: end - start + 1, signal };
}
