/** 96 bits of a hash tell names apart for good: two of ten million agree in them in one of 10^15 repositories. */
const WORDS = 3;
const CHUNK_WORDS = WORDS * 8192;
const FIRST_SLOTS = 1 << 10;
const ID = /^[0-9a-f]{64}$/;

/**
 * Remembers which names have been listed: 12 bytes for each id while a listing goes well, and at most 32 in a table to
 * compare with once it is repeated.
 */
export class SeenNames {
  /** What a listing gave, one id after the other, until it has to be repeated. */
  #chunks: Uint32Array[] | undefined = [];
  #table = new Table(FIRST_SLOTS);
  #count = 0;
  /** What is no id, or begins with zeros only. */
  readonly #others = new Set<string>();

  /** False if `name` was added before the last {@link repeated}, or twice since. */
  add(name: string): boolean {
    const [first, second, third] = ID.test(name) ? wordsOf(name) : [0, 0, 0];
    if (first === 0 && second === 0 && third === 0) return addTo(this.#others, name);
    if (this.#chunks === undefined) return this.#table.put(first, second, third);
    const at = (this.#count * WORDS) % CHUNK_WORDS;
    if (at === 0) this.#chunks.push(new Uint32Array(CHUNK_WORDS));
    this.#chunks.at(-1)?.set([first, second, third], at);
    this.#count += 1;
    return true;
  }

  /** From now on names may come again. */
  repeated(): void {
    if (this.#chunks === undefined) return;
    const table = new Table(FIRST_SLOTS + this.#count * 2);
    for (const words of this.#chunks) {
      // The rest of the last chunk is zeros, and no name is.
      for (let at = 0; at < CHUNK_WORDS; at += WORDS) {
        if (!isFree(words, at)) table.put(words[at] ?? 0, words[at + 1] ?? 0, words[at + 2] ?? 0);
      }
    }
    this.#chunks = undefined;
    this.#table = table;
  }
}

/** A set of names by open addressing; a slot of zeros is free. */
class Table {
  #slots: Uint32Array;
  #count = 0;

  constructor(slots: number) {
    this.#slots = new Uint32Array(slots * WORDS);
  }

  /** False if it is there. */
  put(first: number, second: number, third: number): boolean {
    if (!insert(this.#slots, first, second, third)) return false;
    this.#count += 1;
    if (this.#count * WORDS * 4 > this.#slots.length * 3) this.#grow();
    return true;
  }

  #grow(): void {
    const slots = this.#slots;
    const larger = new Uint32Array(slots.length * 2);
    for (let at = 0; at < slots.length; at += WORDS) {
      if (!isFree(slots, at)) insert(larger, slots[at] ?? 0, slots[at + 1] ?? 0, slots[at + 2] ?? 0);
    }
    this.#slots = larger;
  }
}

function insert(slots: Uint32Array, first: number, second: number, third: number): boolean {
  const count = slots.length / WORDS;
  for (let slot = first % count; ; slot = (slot + 1) % count) {
    const at = slot * WORDS;
    if (slots[at] === first && slots[at + 1] === second && slots[at + 2] === third) return false;
    if (!isFree(slots, at)) continue;
    slots[at] = first;
    slots[at + 1] = second;
    slots[at + 2] = third;
    return true;
  }
}

function isFree(slots: Uint32Array, at: number): boolean {
  return slots[at] === 0 && slots[at + 1] === 0 && slots[at + 2] === 0;
}

function wordsOf(id: string): [number, number, number] {
  const word = (at: number): number => Number.parseInt(id.slice(at, at + 8), 16);
  return [word(0), word(8), word(16)];
}

function addTo(names: Set<string>, name: string): boolean {
  if (names.has(name)) return false;
  names.add(name);
  return true;
}
