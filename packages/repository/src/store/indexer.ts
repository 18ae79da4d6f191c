/** Gathers stored packs and writes index files, so that a long run that dies has not uploaded for nothing. */
import { packFileSize } from '@restic-engine/repo-format';
import type { Id, PackEntry } from '@restic-engine/repo-format';

/** An index file is written when it names this many blobs, or its first pack is this old (restic's numbers). */
export const FULL_BLOBS = 50_000;
const FULL_AGE_SECONDS = 600;

/** A pack that is stored and named by no index file yet. */
export interface StoredPack {
  readonly id: Id;
  readonly blobs: readonly PackEntry[];
}

export class Indexer {
  readonly #save: (packs: readonly StoredPack[]) => Promise<void>;
  readonly #nowSeconds: () => number;
  readonly #fullBytes: number;
  #packs: StoredPack[] = [];
  #blobs = 0;
  #bytes = 0;
  #since = 0;

  /** `save` writes one index file that names `packs`. It is called at the latest for packs of `fullBytes` together. */
  constructor(
    save: (packs: readonly StoredPack[]) => Promise<void>,
    nowSeconds: () => number,
    fullBytes: number = Infinity,
  ) {
    this.#save = save;
    this.#nowSeconds = nowSeconds;
    this.#fullBytes = fullBytes;
  }

  /** Takes note of a pack that is stored. All of its entries go into one index file. */
  async add(pack: StoredPack): Promise<void> {
    if (this.#packs.length === 0) this.#since = this.#nowSeconds();
    this.#take(pack);
    const isLarge = this.#blobs >= FULL_BLOBS || this.#bytes >= this.#fullBytes;
    if (isLarge || this.#nowSeconds() - this.#since >= FULL_AGE_SECONDS) await this.flush();
  }

  /** Writes what there is. What could not be written is there still. */
  async flush(): Promise<void> {
    if (this.#packs.length === 0) return;
    const packs = this.#packs;
    this.#packs = [];
    this.#blobs = 0;
    this.#bytes = 0;
    try {
      await this.#save(packs);
    } catch (error) {
      for (const pack of packs) this.#take(pack);
      throw error;
    }
  }

  #take(pack: StoredPack): void {
    this.#packs.push(pack);
    // Of a pack of which nothing is known there is the name.
    this.#blobs += Math.max(1, pack.blobs.length);
    this.#bytes += packFileSize(pack.blobs);
  }
}
