/**
 * Reading many small blobs that lie close together, such as the trees of a snapshot: one request brings a stretch of
 * the pack, and the next blobs are already there.
 */
import { LRUCache } from 'lru-cache';
import type { Backend, FileHandle, Id } from '@restic-engine/repo-format';
import type { BlobLocation } from '../index/blob-table.ts';

/** Packs are read in aligned stretches of this many bytes. */
const STRETCH = 1 << 20;
const CACHE_BYTES = 32 << 20;

export class ReadAhead {
  readonly #backend: Backend;
  readonly #endOf: (pack: Id) => number;
  readonly #metadata: boolean;
  readonly #stretches = new LRUCache<string, Promise<Uint8Array>>({ max: CACHE_BYTES / STRETCH });

  /**
   * `endOf` says where the last blob of a pack ends: reading on would be asking for what is not there. `metadata`: the
   * packs hold trees.
   */
  constructor(backend: Backend, endOf: (pack: Id) => number, metadata: boolean) {
    this.#backend = backend;
    this.#endOf = endOf;
    this.#metadata = metadata;
  }

  /** The sealed bytes of a blob. They are shared: do not change or transfer them. */
  async load({ pack, offset, length }: BlobLocation, signal?: AbortSignal): Promise<Uint8Array> {
    if (length > STRETCH) return this.#backend.load(this.#file(pack), { offset, length }, { signal });
    const start = offset - (offset % STRETCH);
    const first = await this.#stretch(pack, start);
    const from = offset - start;
    if (from + length <= STRETCH) return first.subarray(from, from + length);
    const second = await this.#stretch(pack, start + STRETCH);
    const joined = new Uint8Array(length);
    joined.set(first.subarray(from));
    joined.set(second.subarray(0, length - (STRETCH - from)), STRETCH - from);
    return joined;
  }

  #stretch(pack: Id, offset: number): Promise<Uint8Array> {
    const key = `${pack}${offset}`;
    const known = this.#stretches.get(key);
    if (known !== undefined) return known;
    const loading = this.#loadStretch(pack, offset);
    loading.catch(() => this.#stretches.delete(key));
    this.#stretches.set(key, loading);
    return loading;
  }

  async #loadStretch(pack: Id, offset: number): Promise<Uint8Array> {
    const length = Math.max(0, Math.min(STRETCH, this.#endOf(pack) - offset));
    return this.#backend.load(this.#file(pack), { offset, length });
  }

  #file(name: Id): FileHandle {
    return { type: 'data', name, metadata: this.#metadata };
  }
}
