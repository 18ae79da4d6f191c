/** Trees and all that is in them, from one repository to another. */
import { EngineError } from '@restic-engine/repo-format';
import type { BlobType, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '../indexed.ts';
import type { Repository } from '../repository.ts';
import type { Upload } from '../store/upload.ts';
import { moveBlobs } from './move-blobs.ts';
import { walkTrees } from './walk-trees.ts';

/** What a tree needs and the target lacks; `bytes` as sealed in `packs` of the source. */
export interface MissingBlobs {
  readonly blobs: number;
  readonly bytes: number;
  readonly packs: number;
}

/**
 * Copies what is below trees to an upload of another repository: first {@link find}, as often as there are trees, then
 * {@link move}. What has been found once is not looked at again. A tree that the target has says nothing of what is in
 * it: a copy may have ended in the middle. So every tree of the source is walked.
 */
export class TreeCopier {
  readonly #from: IndexedRepository;
  readonly #to: Repository;
  /** By the numbers in the table of the source: has been looked at; is to be moved. */
  readonly #seen: Uint8Array;
  readonly #wanted: Uint8Array;
  #packs = new Set<Id>();

  constructor(from: IndexedRepository, to: Repository) {
    this.#from = from;
    this.#to = to;
    this.#seen = new Uint8Array(from.table.size);
    this.#wanted = new Uint8Array(from.table.size);
  }

  /** Packs that have to be read to move what has been found. */
  get packs(): number {
    return this.#packs.size;
  }

  /**
   * Finds what is in no pack of the target and claims it: `upload` does not end well without {@link move}. Rejects with
   * `not-found` when the source lacks something, and with `corrupt` for a tree that cannot be read.
   */
  async find(tree: Id, upload: Upload, { onTree }: { readonly onTree?: () => void } = {}): Promise<MissingBlobs> {
    const missing = { blobs: 0, bytes: 0 };
    const packs = new Set<Id>();
    const { table } = this.#from;
    const look = (type: BlobType, id: Id): void => {
      const location = table.locate(type, id);
      if (location === undefined) throw new EngineError('not-found', `${type} blob ${id} is in no index`, { type, id });
      if (upload.claim(type, [id])[0] !== true) return;
      this.#wanted[table.numberOf(type, id)] = 1;
      packs.add(location.pack);
      missing.blobs += 1;
      missing.bytes += location.length;
    };
    const nodes = (id: Id, entries: readonly Node[]): void => {
      look('tree', id);
      for (const blob of contentsOf(entries)) {
        const number = table.numberOf('data', blob);
        if (this.#seen[number] === 1) continue;
        look('data', blob);
        this.#seen[number] = 1;
      }
      onTree?.();
    };
    const broken = (_: Id, error: EngineError): never => {
      throw error;
    };
    await walkTrees(this.#from, [tree], this.#seen, { nodes, broken }, { signal: upload.signal });
    for (const pack of packs) this.#packs.add(pack);
    return { ...missing, packs: packs.size };
  }

  /** Moves what has been found since the last time. */
  async move(upload: Upload, onPack?: (packsDone: number) => void): Promise<void> {
    const packs = this.#packs;
    this.#packs = new Set();
    if (packs.size === 0) return;
    await moveBlobs({ from: this.#from, to: this.#to, upload, wanted: this.#wanted, packs, onPack });
  }
}

function* contentsOf(nodes: readonly Node[]): Generator<Id> {
  for (const { content } of nodes) yield* content ?? [];
}
