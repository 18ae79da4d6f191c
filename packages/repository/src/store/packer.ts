/** An open pack: sealed blobs gathered until there are enough of them (restic design document, "Pack Format"). */
import { encodePackHeader, MAX_HEADER_ENTRIES, sha256Stream } from '@restic-engine/repo-format';
import type { Id, PackEntry, SealedBlob, Sealer } from '@restic-engine/repo-format';

/** A pack ready to be stored; the segments in order are its bytes. */
export interface FinishedPack {
  readonly id: Id;
  readonly entries: readonly PackEntry[];
  readonly segments: readonly Uint8Array[];
  readonly size: number;
}

export class Packer {
  readonly #entries: PackEntry[] = [];
  readonly #segments: Uint8Array[] = [];
  #size = 0;

  /** Sealed bytes so far. */
  get size(): number {
    return this.#size;
  }

  get isFull(): boolean {
    return this.#entries.length >= MAX_HEADER_ENTRIES;
  }

  add({ id, type, bytes, uncompressedLength }: SealedBlob): void {
    this.#entries.push({ id, type, offset: this.#size, length: bytes.length, uncompressedLength });
    this.#segments.push(bytes);
    this.#size += bytes.length;
  }

  /** Takes over what another open pack holds. */
  absorb(other: Packer): void {
    for (const entry of other.#entries) this.#entries.push({ ...entry, offset: entry.offset + this.#size });
    // One by one: a call cannot have as many arguments as a pack of small blobs has segments.
    for (const segment of other.#segments) this.#segments.push(segment);
    this.#size += other.#size;
  }

  canAbsorb(other: Packer, targetSize: number): boolean {
    return this.#size + other.#size < targetSize && this.#entries.length + other.#entries.length < MAX_HEADER_ENTRIES;
  }

  finish(sealer: Sealer): FinishedPack {
    const header = encodePackHeader(this.#entries, sealer);
    const segments = [...this.#segments, header];
    const hash = sha256Stream();
    for (const segment of segments) hash.update(segment);
    return { id: hash.digest(), entries: this.#entries, segments, size: this.#size + header.length };
  }
}

/**
 * The open packs of one blob type. There are two, and each blob goes to either by chance: which blobs share a pack, and
 * so a pack's size, then says less about the content to somebody who only sees the store. A blob that fills a pack
 * alone gets one of its own.
 */
export class PackerPair {
  readonly #targetSize: number;
  readonly #chance: () => boolean;
  #first = new Packer();
  #second = new Packer();

  constructor(targetSize: number, chance: () => boolean) {
    this.#targetSize = targetSize;
    this.#chance = chance;
  }

  /** Adds a blob and returns the pack that became full by it. */
  add(blob: SealedBlob): Packer | undefined {
    if (blob.bytes.length >= this.#targetSize) {
      const own = new Packer();
      own.add(blob);
      return own;
    }
    const first = this.#chance();
    const packer = first ? this.#first : this.#second;
    packer.add(blob);
    if (packer.size < this.#targetSize && !packer.isFull) return undefined;
    if (first) this.#first = new Packer();
    else this.#second = new Packer();
    return packer;
  }

  /** What is left at the end: one pack where one is enough. */
  takeRest(): Packer[] {
    const [first, second] = [this.#first, this.#second];
    this.#first = new Packer();
    this.#second = new Packer();
    if (first.canAbsorb(second, this.#targetSize)) {
      first.absorb(second);
      return first.size > 0 ? [first] : [];
    }
    return [first, second].filter((packer) => packer.size > 0);
  }
}
