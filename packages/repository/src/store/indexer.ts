/** Gathers stored packs and writes index files, so that a long run that dies has not uploaded for nothing. */
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
  #packs: StoredPack[] = [];
  #blobs = 0;
  #since = 0;

  /** `save` writes one index file that names `packs`. */
  constructor(save: (packs: readonly StoredPack[]) => Promise<void>, nowSeconds: () => number) {
    this.#save = save;
    this.#nowSeconds = nowSeconds;
  }

  /** Takes note of a pack that is stored. All of its entries go into one index file. */
  async add(pack: StoredPack): Promise<void> {
    if (this.#packs.length === 0) this.#since = this.#nowSeconds();
    this.#packs.push(pack);
    this.#blobs += pack.blobs.length;
    if (this.#blobs >= FULL_BLOBS || this.#nowSeconds() - this.#since >= FULL_AGE_SECONDS) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#packs.length === 0) return;
    const packs = this.#packs;
    this.#packs = [];
    this.#blobs = 0;
    await this.#save(packs);
  }
}
