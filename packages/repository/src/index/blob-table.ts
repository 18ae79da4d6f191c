/**
 * The blob table: which blobs the repository has and where, in typed arrays.
 *
 * Ids are kept raw in fixed segments (no copying when the table grows) and found through an open-addressing table of
 * 32-bit entry numbers. An entry costs 48 bytes, its slot 4 bytes divided by the load (at most 3/4, at least 3/8):
 * under 60 bytes a blob. SHA-256 is its own hash function: the first word of an id picks the slot.
 *
 * A blob that is being stored is in the table too, as *pending*: that is what makes a second copy of it known.
 */
import type { BlobType, Id } from '@restic-engine/repo-format';

const SEGMENT_BITS = 14;
const SEGMENT = 1 << SEGMENT_BITS;
const ID_WORDS = 8;
const META_WORDS = 4;
/** Entry states in the place of a pack number. */
const PENDING = 0x7fffffff;
const GONE = 0x7ffffffe;

/** Where a copy of a blob lies; offset and length (as sealed) in bytes, `uncompressedLength` 0 when stored raw. */
export interface BlobLocation {
  readonly pack: Id;
  readonly type: BlobType;
  readonly id: Id;
  readonly offset: number;
  readonly length: number;
  readonly uncompressedLength: number;
}

/** What the index knows of one pack: its blobs by ascending offset. */
export interface PackContents {
  readonly pack: Id;
  readonly blobs: readonly BlobLocation[];
}

export class BlobTable {
  readonly #packs: Id[] = [];
  readonly #packNumbers = new Map<Id, number>();
  /** For each pack, where the last blob that is known of it ends. */
  readonly #ends: number[] = [];
  readonly #ids: Uint32Array[] = [];
  /** For each entry: pack number × 2 + type, offset, length, uncompressed length. */
  readonly #meta: Uint32Array[] = [];
  #slots = new Uint32Array(1 << 12);
  #count = 0;
  #pending = 0;
  readonly #keyBytes = Buffer.alloc(32);
  readonly #key = new Uint32Array(this.#keyBytes.buffer, this.#keyBytes.byteOffset, ID_WORDS);

  /** Entries, counting every copy of a blob. */
  get size(): number {
    return this.#count;
  }

  /** Bytes the table holds, for those who watch memory. */
  get byteLength(): number {
    return this.#slots.byteLength + this.#ids.length * SEGMENT * (ID_WORDS + META_WORDS) * 4;
  }

  get packs(): readonly Id[] {
    return this.#packs;
  }

  /** Registers a pack and returns its number for {@link add}; the same one if several index files name it. */
  addPack(id: Id): number {
    let number = this.#packNumbers.get(id);
    if (number === undefined) {
      number = this.#packs.push(id) - 1;
      this.#packNumbers.set(id, number);
      this.#ends.push(0);
    }
    return number;
  }

  hasPack(id: Id): boolean {
    return this.#packNumbers.has(id);
  }

  /** Where the last blob that is known of a pack ends, in bytes; 0 for a pack that is not known. */
  endOf(pack: Id): number {
    return this.#ends[this.#packNumbers.get(pack) ?? -1] ?? 0;
  }

  /** Blobs that were claimed and are not stored yet. */
  get pending(): number {
    return this.#pending;
  }

  /** Adds a copy of a blob; the same copy twice is kept once. */
  add(type: BlobType, id: Id, pack: number, offset: number, length: number, uncompressedLength: number): void {
    this.#setKey(id);
    const mark = pack * 2 + typeBit(type);
    for (let entry = this.#first(type); entry >= 0; entry = this.#following(type)) {
      if (this.#word(entry, 0) === mark && this.#word(entry, 1) === offset) return;
    }
    this.#write(this.#append(type), mark, offset, length, uncompressedLength);
  }

  /** Is the blob stored or being stored? */
  has(type: BlobType, id: Id): boolean {
    this.#setKey(id);
    for (let entry = this.#first(type); entry >= 0; entry = this.#following(type)) {
      if (this.#word(entry, 0) >>> 1 !== GONE) return true;
    }
    return false;
  }

  /** The first stored copy. */
  locate(type: BlobType, id: Id): BlobLocation | undefined {
    this.#setKey(id);
    for (let entry = this.#first(type); entry >= 0; entry = this.#following(type)) {
      const location = this.#location(entry, type, id);
      if (location !== undefined) return location;
    }
    return undefined;
  }

  /** Every stored copy. */
  locateAll(type: BlobType, id: Id): BlobLocation[] {
    const found: BlobLocation[] = [];
    this.#setKey(id);
    for (let entry = this.#first(type); entry >= 0; entry = this.#following(type)) {
      const location = this.#location(entry, type, id);
      if (location !== undefined) found.push(location);
    }
    return found;
  }

  /** Makes the blob pending and returns true, or returns false because it is known. Whoever claims must store. */
  claim(type: BlobType, id: Id): boolean {
    this.#setKey(id);
    let entry = -1;
    for (let known = this.#first(type); known >= 0; known = this.#following(type)) {
      if (this.#word(known, 0) >>> 1 !== GONE) return false;
      entry = known;
    }
    if (entry < 0) entry = this.#append(type);
    this.#write(entry, PENDING * 2 + typeBit(type), 0, 0, 0);
    this.#pending += 1;
    return true;
  }

  /** A pending blob has been stored in a pack. */
  settle(type: BlobType, id: Id, pack: number, offset: number, length: number, uncompressedLength: number): void {
    this.#setKey(id);
    for (let entry = this.#first(type); entry >= 0; entry = this.#following(type)) {
      if (this.#word(entry, 0) >>> 1 !== PENDING) continue;
      this.#pending -= 1;
      this.#write(entry, pack * 2 + typeBit(type), offset, length, uncompressedLength);
      return;
    }
    this.add(type, id, pack, offset, length, uncompressedLength);
  }

  /** Forgets what was claimed and never stored. */
  dropPending(): void {
    for (let entry = this.#count - 1; this.#pending > 0; entry--) {
      const mark = this.#word(entry, 0);
      if (mark >>> 1 !== PENDING) continue;
      this.#write(entry, GONE * 2 + (mark & 1), 0, 0, 0);
      this.#pending -= 1;
    }
  }

  /** Every stored copy, in no order that means anything. */
  *entries(): Generator<BlobLocation> {
    for (let entry = 0; entry < this.#count; entry++) {
      const location = this.#locationOf(entry);
      if (location !== undefined) yield location;
    }
  }

  /** Every stored copy in the packs that `wanted` names, pack by pack. The table must not change meanwhile. */
  byPack(wanted: (pack: Id) => boolean = () => true): Generator<PackContents> {
    return this.contentsOf(this.#packs.filter(wanted));
  }

  /** Every stored copy in these packs, in their order. The table must not change meanwhile. */
  *contentsOf(packs: Iterable<Id>): Generator<PackContents> {
    const ends = this.#countByPack();
    let total = 0;
    for (const [pack, count] of ends.entries()) ends[pack] = total += count;
    const order = new Uint32Array(total);
    // From behind, each pack's end moves to its start.
    for (let entry = this.#count - 1; entry >= 0; entry--) {
      const pack = this.#word(entry, 0) >>> 1;
      const end = ends[pack];
      if (end !== undefined) order[(ends[pack] = end - 1)] = entry;
    }
    for (const pack of packs) {
      const index = this.#packNumbers.get(pack);
      if (index === undefined) continue;
      const entries = order.subarray(ends[index], ends[index + 1]);
      entries.sort((a, b) => this.#word(a, 1) - this.#word(b, 1));
      yield {
        pack,
        blobs: Array.from(entries, (entry) => this.#locationOf(entry)).filter((found) => found !== undefined),
      };
    }
  }

  /** How many blobs of each pack are stored. */
  packCounts(): Map<Id, number> {
    const counts = this.#countByPack();
    return new Map(this.#packs.map((pack, index) => [pack, counts[index] ?? 0]));
  }

  /** A number below {@link size} that stands for a blob, whichever of its copies is meant; -1 when none is stored. */
  numberOf(type: BlobType, id: Id): number {
    this.#setKey(id);
    for (let entry = this.#first(type); entry >= 0; entry = this.#following(type)) {
      if (this.#word(entry, 0) >>> 1 < this.#packs.length) return entry;
    }
    return -1;
  }

  #countByPack(): Uint32Array {
    const counts = new Uint32Array(this.#packs.length);
    for (let entry = 0; entry < this.#count; entry++) {
      const pack = this.#word(entry, 0) >>> 1;
      const count = counts[pack];
      if (count !== undefined) counts[pack] = count + 1;
    }
    return counts;
  }

  #locationOf(entry: number): BlobLocation | undefined {
    const type: BlobType = (this.#word(entry, 0) & 1) === 1 ? 'tree' : 'data';
    const words = at(this.#ids, entry >>> SEGMENT_BITS);
    const start = (entry & (SEGMENT - 1)) * ID_WORDS;
    const id = Buffer.from(words.buffer, words.byteOffset + start * 4, 32).toString('hex');
    return this.#location(entry, type, id);
  }

  #setKey(id: Id): void {
    this.#keyBytes.write(id, 0, 32, 'hex');
  }

  // A search in progress: the slot after the one that was found last.
  #slot = 0;

  #first(type: BlobType): number {
    this.#slot = this.#home(type);
    return this.#following(type);
  }

  #home(type: BlobType): number {
    return ((this.#key[0] ?? 0) + typeBit(type)) & (this.#slots.length - 1);
  }

  /** The next entry of the key from the current slot on, or -1 at the first empty slot. */
  #following(type: BlobType): number {
    const mask = this.#slots.length - 1;
    for (;;) {
      const entry = (this.#slots[this.#slot] ?? 0) - 1;
      if (entry < 0) return -1;
      this.#slot = (this.#slot + 1) & mask;
      if (this.#isKey(entry, type)) return entry;
    }
  }

  #isKey(entry: number, type: BlobType): boolean {
    const ids = at(this.#ids, entry >>> SEGMENT_BITS);
    const start = (entry & (SEGMENT - 1)) * ID_WORDS;
    const key = this.#key;
    for (let i = 0; i < ID_WORDS; i++) {
      if (ids[start + i] !== key[i]) return false;
    }
    return (this.#word(entry, 0) & 1) === typeBit(type);
  }

  /** A new entry for the current key, reachable from its slot. */
  #append(type: BlobType): number {
    const entry = this.#count++;
    if (entry >>> SEGMENT_BITS === this.#ids.length) {
      this.#ids.push(new Uint32Array(SEGMENT * ID_WORDS));
      this.#meta.push(new Uint32Array(SEGMENT * META_WORDS));
    }
    at(this.#ids, entry >>> SEGMENT_BITS).set(this.#key, (entry & (SEGMENT - 1)) * ID_WORDS);
    if (this.#count * 4 > this.#slots.length * 3) this.#rehash(entry);
    this.#insert(this.#home(type), entry);
    return entry;
  }

  #insert(home: number, entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = home;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }

  #rehash(count: number): void {
    this.#slots = new Uint32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    for (let entry = 0; entry < count; entry++) {
      const ids = at(this.#ids, entry >>> SEGMENT_BITS);
      const first = ids[(entry & (SEGMENT - 1)) * ID_WORDS] ?? 0;
      this.#insert((first + (this.#word(entry, 0) & 1)) & mask, entry);
    }
  }

  #word(entry: number, index: number): number {
    return at(this.#meta, entry >>> SEGMENT_BITS)[(entry & (SEGMENT - 1)) * META_WORDS + index] ?? 0;
  }

  #write(entry: number, mark: number, offset: number, length: number, uncompressedLength: number): void {
    const meta = at(this.#meta, entry >>> SEGMENT_BITS);
    const start = (entry & (SEGMENT - 1)) * META_WORDS;
    meta[start] = mark;
    meta[start + 1] = offset;
    meta[start + 2] = length;
    meta[start + 3] = uncompressedLength;
    const known = this.#ends[mark >>> 1];
    if (known !== undefined && known < offset + length) this.#ends[mark >>> 1] = offset + length;
  }

  #location(entry: number, type: BlobType, id: Id): BlobLocation | undefined {
    const number = this.#word(entry, 0) >>> 1;
    if (number === PENDING || number === GONE) return undefined;
    const pack = this.#packs[number];
    if (pack === undefined) throw new RangeError(`blob table: no pack ${number}`);
    return {
      pack,
      type,
      id,
      offset: this.#word(entry, 1),
      length: this.#word(entry, 2),
      uncompressedLength: this.#word(entry, 3),
    };
  }
}

function typeBit(type: BlobType): 0 | 1 {
  return type === 'tree' ? 1 : 0;
}

function at(segments: readonly Uint32Array[], index: number): Uint32Array {
  const segment = segments[index];
  if (segment === undefined) throw new RangeError(`blob table: no segment ${index}`);
  return segment;
}
