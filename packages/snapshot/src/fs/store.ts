/** Directories and contents, with what was read lately kept. */
import { EngineError } from '@restic-engine/repo-format';
import type { BlobType, Call, Id, Node } from '@restic-engine/repo-format';
import { orAborted } from '@restic-engine/repository';
import type { IndexedRepository } from '@restic-engine/repository';
import { isPlainName } from '../restore/names.ts';
import type { BlobReader } from '../walk.ts';
import { subtreeOf } from '../walk.ts';
import { ByteCache } from './byte-cache.ts';

/** A directory: names in the order of the tree. */
export type Directory = ReadonlyMap<string, Node>;

/** An entry takes several times the bytes of its JSON. */
const TREE_FACTOR = 4;

export class Store {
  readonly #trees: ByteCache<Directory>;
  readonly #blobs: ByteCache<Uint8Array>;
  readonly #sizes = new WeakMap<Node, number>();
  readonly #signal: AbortSignal | undefined;

  /** @param cacheBytes of contents, and of directories */
  constructor(cacheBytes: number, signal: AbortSignal | undefined) {
    this.#trees = new ByteCache(cacheBytes);
    this.#blobs = new ByteCache(cacheBytes);
    this.#signal = signal;
  }

  /**
   * The entries of a tree. Names that lead out of a directory, which no backup has, are left out, and of equal ones all
   * but the first.
   */
  directory(indexed: IndexedRepository, tree: Id, call: Call = {}): Promise<Directory> {
    const loading = this.#trees.get(tree, async () => {
      const value = new Map<string, Node>();
      for (const node of await indexed.loadTree(tree, { signal: this.#signal })) {
        if (isPlainName(node.name, 'linux') && !value.has(node.name)) value.set(node.name, node);
      }
      return { value, weight: TREE_FACTOR * (indexed.plainLength('tree', tree) ?? 0) };
    });
    return orAborted(loading, call.signal);
  }

  /** The entries of a directory of a snapshot. */
  below(indexed: IndexedRepository, node: Node, path: string, call: Call = {}): Promise<Directory> {
    return this.directory(indexed, subtreeOf(node, path), call);
  }

  /** The bytes of a blob, which are everybody's: do not change or transfer them. */
  blob(indexed: IndexedRepository, id: Id, call: Call = {}): Promise<Uint8Array> {
    const loading = this.#blobs.get(id, async () => {
      const value = await indexed.loadBlob('data', id, { signal: this.#signal });
      return { value, weight: value.length };
    });
    return orAborted(loading, call.signal);
  }

  /** For `readFile`: what it hands out must be the reader's own. */
  reader(indexed: IndexedRepository): BlobReader {
    return {
      plainLength: (type: BlobType, id: Id) => indexed.plainLength(type, id),
      loadBlob: async (_type: BlobType, id: Id, call?: Call) => (await this.blob(indexed, id, call)).slice(),
    };
  }

  /** Bytes of a file: what its blobs have, as that is what can be read; what was recorded where one is missing. */
  size(indexed: IndexedRepository, node: Node): number {
    if (node.type === 'symlink') return Buffer.byteLength(node.linkTarget ?? '');
    if (node.type !== 'file') return 0;
    const known = this.#sizes.get(node);
    if (known !== undefined) return known;
    let size = 0;
    for (const id of node.content ?? []) size += indexed.plainLength('data', id) ?? Number.NaN;
    if (Number.isNaN(size)) size = Number(node.size ?? 0);
    this.#sizes.set(node, size);
    return size;
  }
}

/** Where the blobs of a content begin, and at the end its length; bytes. Throws `corrupt` when one is in no index. */
export function blobOffsets(indexed: IndexedRepository, node: Node): Float64Array {
  const content = node.content ?? [];
  const offsets = new Float64Array(content.length + 1);
  for (const [at, id] of content.entries()) {
    const length = indexed.plainLength('data', id);
    if (length === undefined) {
      throw new EngineError('corrupt', `data blob ${id} is in no index`, { type: 'data', id });
    }
    offsets[at + 1] = (offsets[at] ?? 0) + length;
  }
  return offsets;
}
