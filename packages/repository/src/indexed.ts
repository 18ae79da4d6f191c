/** A repository whose index is loaded: blobs can be found, read and stored. */
import { decodeTree, EngineError, SEAL_OVERHEAD, throwIfAborted } from '@restic-engine/repo-format';
import type { BlobType, ByteRange, Call, Id, Node } from '@restic-engine/repo-format';
import { orAborted } from './abort.ts';
import { codecFor } from './codec.ts';
import type { BlobLocation, BlobTable } from './index/blob-table.ts';
import { mergeRanges } from './load/ranges.ts';
import type { BlobRange } from './load/ranges.ts';
import { ReadAhead } from './load/read-ahead.ts';
import type { Repository } from './repository.ts';

/** The largest blob, sealed: a gibibyte. An index may lie, and memory is taken before that can be seen. */
const MAX_RANGE_BYTES = 2 ** 30 + SEAL_OVERHEAD;

export interface LoadRangeOptions extends Call {
  /** The range holds trees. @default false */
  readonly metadata?: boolean;
}

/**
 * A repository of which the index is in memory: blobs can be found and read. Made by `repository.loadIndex()`; it shows
 * what was stored when it was made, and ends with its repository.
 */
export class IndexedRepository {
  readonly repository: Repository;
  readonly table: BlobTable;
  /** The index files that it was made of, and those that uploads have written since. */
  readonly indexFiles: Set<Id> = new Set();
  /** An upload is open; see `withUpload`. */
  uploading = false;
  readonly #near: Readonly<Record<BlobType, ReadAhead>>;

  constructor(repository: Repository, table: BlobTable) {
    this.repository = repository;
    this.table = table;
    const readAhead = (metadata: boolean): ReadAhead =>
      new ReadAhead(repository.backend, (pack) => table.endOf(pack), metadata);
    this.#near = { tree: readAhead(true), data: readAhead(false) };
  }

  /** Is the blob stored, or being stored by an open upload? What is being stored cannot be read yet. */
  has(type: BlobType, id: Id): boolean {
    return this.table.has(type, id);
  }

  /** Where the first copy lies. */
  locate(type: BlobType, id: Id): BlobLocation | undefined {
    return this.table.locate(type, id);
  }

  /** Where every copy lies. */
  locateAll(type: BlobType, id: Id): BlobLocation[] {
    return this.table.locateAll(type, id);
  }

  /** Plain bytes of a stored blob. */
  plainLength(type: BlobType, id: Id): number | undefined {
    const found = this.table.locate(type, id);
    return found && (found.uncompressedLength || found.length - SEAL_OVERHEAD);
  }

  /**
   * Reads a blob: verified against its MAC and its id. When a copy is damaged the others are tried, and a second time
   * what arrived damaged: that may have happened on the way.
   * Rejects with `not-found` when no index names it, with the first copy's error when none is sound.
   */
  async loadBlob(type: BlobType, id: Id, call: Call = {}): Promise<Uint8Array> {
    const metadata = type === 'tree';
    return this.#tryCopies(type, id, ({ pack, offset, length }, fresh) =>
      this.loadRange(pack, { offset, length }, { ...call, metadata, fresh }),
    );
  }

  /**
   * Reads a short blob as {@link loadBlob} does, and with it what lies near it, which is kept for a while: for many short
   * blobs that were stored one after the other, such as trees.
   */
  async loadNear(type: BlobType, id: Id, call: Call = {}): Promise<Uint8Array> {
    const location = this.table.locate(type, id);
    if (location !== undefined && location.length <= 1 << 20) {
      throwIfAborted(call.signal);
      const reading = this.#near[type].load(location, call.signal).catch(() => undefined);
      const sealed = await orAborted(reading, call.signal);
      const plain = sealed && this.#tryOpen(location, sealed);
      if (plain !== undefined) return plain;
    }
    return this.loadBlob(type, id, call);
  }

  /** The plaintext of a tree. Trees that lie near it are read along and kept for a while. */
  async loadTreeBytes(id: Id, call: Call = {}): Promise<Uint8Array> {
    return this.loadNear('tree', id, call);
  }

  /** The nodes of a tree. */
  async loadTree(id: Id, call: Call = {}): Promise<Node[]> {
    return decodeTree(await this.loadTreeBytes(id, call));
  }

  /** The ranges to read for blobs that lie in one pack. */
  mergeRanges(blobs: readonly BlobLocation[]): BlobRange[] {
    return mergeRanges(blobs);
  }

  /** Sealed bytes of a pack. They are the caller's, to keep or transfer. */
  async loadRange(pack: Id, range: ByteRange, options: LoadRangeOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    if (range.length > MAX_RANGE_BYTES) {
      throw new EngineError('too-large', `a blob in pack ${pack} cannot be that large`, { pack, ...range });
    }
    const { metadata = false, ...call } = options;
    return this.repository.backend.load({ type: 'data', name: pack, metadata }, range, call);
  }

  /** Opened bytes, or undefined: the caller then takes the way that tries every copy and reports. */
  #tryOpen(location: BlobLocation, sealed: Uint8Array): Uint8Array | undefined {
    try {
      return codecFor(this.repository.codecSpec).open(location, sealed);
    } catch (error) {
      if (EngineError.is(error)) return undefined;
      throw error;
    }
  }

  async #tryCopies(
    type: BlobType,
    id: Id,
    load: (location: BlobLocation, fresh: boolean) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const copies = this.table.locateAll(type, id);
    if (copies.length === 0) {
      throw new EngineError('not-found', `${type} blob ${id} is in no index`, { type, id });
    }
    let failure: unknown;
    const attempts = [...copies];
    for (const [at, location] of attempts.entries()) {
      try {
        return codecFor(this.repository.codecSpec).open(location, await load(location, at >= copies.length));
      } catch (error) {
        if (!EngineError.is(error) || error.code === 'aborted') throw error;
        failure ??= error;
        if (error.code === 'corrupt' && at < copies.length) attempts.push(location);
      }
    }
    throw failure;
  }
}
