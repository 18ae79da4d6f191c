/**
 * Reading many small blobs that lie close together, such as the trees of a snapshot: one request brings a stretch of
 * the pack, and the next blobs are already there.
 */
import { LRUCache } from 'lru-cache';
import type { Backend, Id } from '@restic-engine/repo-format';
import type { BlobLocation } from '../index/blob-table.ts';

/** Packs are read in aligned stretches of this many bytes. */
const STRETCH = 1 << 20;
const CACHE_BYTES = 32 << 20;

export class ReadAhead {
  readonly #backend: Backend;
  readonly #packSize: (pack: Id) => Promise<number>;
  readonly #stretches = new LRUCache<string, Promise<Uint8Array>>({ max: CACHE_BYTES / STRETCH });

  constructor(backend: Backend) {
    this.#backend = backend;
    const sizes = new LRUCache<Id, Promise<number>>({ max: 4096 });
    this.#packSize = (pack) => {
      const known = sizes.get(pack);
      if (known !== undefined) return known;
      const size = backend.stat({ type: 'data', name: pack }).then((stat) => stat.size);
      size.catch(() => sizes.delete(pack));
      sizes.set(pack, size);
      return size;
    };
  }

  /** The sealed bytes of a blob. They are shared: do not change or transfer them. */
  async load({ pack, offset, length }: BlobLocation, signal?: AbortSignal): Promise<Uint8Array> {
    if (length > STRETCH) return this.#backend.load({ type: 'data', name: pack }, { offset, length }, { signal });
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
    const size = await this.#packSize(pack);
    const length = Math.max(0, Math.min(STRETCH, size - offset));
    return this.#backend.load({ type: 'data', name: pack }, { offset, length });
  }
}
