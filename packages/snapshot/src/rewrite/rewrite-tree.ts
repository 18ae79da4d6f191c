/** A tree without some of what is in it. Trees in which nothing changes keep their ids. */
import { EngineError, decodeTree, encodeTree, isStable, throwIfAborted } from '@restic-engine/repo-format';
import type { Id, Node, NodeType } from '@restic-engine/repo-format';
import type { IndexedRepository, Upload } from '@restic-engine/repository';
import type { Selector } from '../restore/select.ts';
import { subtreeOf } from '../walk.ts';

/** What is left of a tree; `bytes` are those of its files. */
export interface RewrittenTree {
  /** Undefined when nothing is left of it, and nobody asked for it itself. */
  readonly tree: Id | undefined;
  readonly files: number;
  readonly bytes: number;
}

/** Something that goes, or that stays because it is named: a file, or an empty folder. */
export interface RewrittenItem {
  readonly action: 'included' | 'excluded';
  /** With a leading `/`. */
  readonly path: string;
  readonly type: NodeType;
}

/** Which nodes stay. */
export interface Choice {
  readonly selector: Selector;
  /** Only what is named stays: a folder that becomes empty must be named itself. */
  readonly isByName: boolean;
  /** Told of items in every snapshot; each tree is then read as often as it occurs. */
  readonly onItem?: ((item: RewrittenItem) => void) | undefined;
}

/** A folder on the way down. */
interface Frame {
  readonly path: string;
  readonly tree: Id;
  /** The bytes of the tree, until it is clear whether they have to be judged. */
  readonly source: Uint8Array;
  readonly nodes: readonly Node[];
  next: number;
  /** What stays so far. */
  readonly kept: Node[];
  isChanged: boolean;
  files: number;
  bytes: number;
}

/** Characters of ids and paths whose results are kept for the next snapshots: with more the oldest go. */
const MAX_KNOWN = 16 << 20;

/**
 * Rewrites trees one after the other. The same tree at the same place in another snapshot has the same result and is
 * not read again.
 */
export class TreeRewriter {
  readonly #indexed: IndexedRepository;
  readonly #choice: Choice;
  readonly #known = new Map<string, RewrittenTree>();
  #knownSize = 0;

  constructor(indexed: IndexedRepository, choice: Choice) {
    this.#indexed = indexed;
    this.#choice = choice;
  }

  /**
   * Rejects with `unsupported` when a tree would have to change that cannot be written without losing something, and
   * with `not-found` and `corrupt`.
   */
  async rewrite(root: Id, upload: Upload): Promise<RewrittenTree> {
    const known = this.#recall(root, '/');
    if (known !== undefined) return known;
    // A stack of its own: how deep a tree goes is not for the tree to decide.
    const stack = [await this.#open(root, '/', upload)];
    for (;;) {
      throwIfAborted(upload.signal);
      const top = stack.at(-1);
      if (top === undefined) throw new TypeError('a tree without an end');
      const below = this.#next(top);
      if (below !== undefined) {
        const done = this.#recall(below.tree, below.path);
        if (done === undefined) stack.push(await this.#open(below.tree, below.path, upload));
        else settle(top, done);
        continue;
      }
      const result = await this.#close(top, upload);
      stack.pop();
      const parent = stack.at(-1);
      if (parent === undefined) return result;
      settle(parent, result);
    }
  }

  async #open(tree: Id, path: string, { signal }: Upload): Promise<Frame> {
    const source = await this.#indexed.loadTreeBytes(tree, { signal });
    const nodes = decodeTree(source);
    return { path, tree, source, nodes, next: 0, kept: [], isChanged: false, files: 0, bytes: 0 };
  }

  /** Goes on in a folder. Returns the next folder in it that has to be looked into, undefined at its end. */
  #next(frame: Frame): { tree: Id; path: string } | undefined {
    for (let node = frame.nodes[frame.next]; node !== undefined; node = frame.nodes[frame.next]) {
      const path = frame.path === '/' ? `/${node.name}` : `${frame.path}/${node.name}`;
      if (!this.#stays(node, path)) {
        if (!this.#choice.isByName) this.#choice.onItem?.({ action: 'excluded', path, type: node.type });
        frame.isChanged = true;
      } else if (node.type === 'dir') {
        return { tree: subtreeOf(node, path), path };
      } else {
        if (this.#choice.isByName) this.#choice.onItem?.({ action: 'included', path, type: node.type });
        frame.kept.push(node);
        if (node.type === 'file') count(frame, node);
      }
      frame.next += 1;
    }
    return undefined;
  }

  #stays({ type }: Node, path: string): boolean {
    const { selected, childMayBeSelected } = this.#choice.selector.select(path);
    return selected || (type === 'dir' && childMayBeSelected);
  }

  async #close(frame: Frame, upload: Upload): Promise<RewrittenTree> {
    const { path, tree, kept, files, bytes } = frame;
    const isLost = kept.length === 0 && this.#choice.isByName && !this.#isNamed(path);
    const result = { tree: isLost ? undefined : await this.#store(frame, upload), files, bytes };
    this.#remember(tree, path, result);
    return result;
  }

  #isNamed(path: string): boolean {
    const { selected } = this.#choice.selector.select(path);
    if (selected) this.#choice.onItem?.({ action: 'included', path, type: 'dir' });
    return selected;
  }

  /** Where everything stays, it does not matter where a tree is. */
  #key(tree: Id, path: string): string {
    return this.#choice.selector.all ? tree : tree + path;
  }

  #recall(tree: Id, path: string): RewrittenTree | undefined {
    return this.#choice.onItem === undefined ? this.#known.get(this.#key(tree, path)) : undefined;
  }

  #remember(tree: Id, path: string, result: RewrittenTree): void {
    if (this.#choice.onItem !== undefined) return;
    const key = this.#key(tree, path);
    this.#known.set(key, result);
    this.#knownSize += key.length;
    for (const oldest of this.#known.keys()) {
      if (this.#knownSize <= MAX_KNOWN) break;
      this.#known.delete(oldest);
      this.#knownSize -= oldest.length;
    }
  }

  async #store({ path, tree, source, nodes, kept, isChanged }: Frame, upload: Upload): Promise<Id> {
    if (!isChanged) return tree;
    if (!isStable(source, nodes)) {
      const message = `cannot encode tree at ${path.toWellFormed()} without losing information`;
      throw new EngineError('unsupported', message, { tree, path: path.toWellFormed() });
    }
    return (await upload.save('tree', encodeTree(kept))).id;
  }
}

function count(frame: Frame, { size = 0 }: Node): void {
  frame.files += 1;
  frame.bytes += Number(size);
}

/** The folder that is next in `frame` has become this. */
function settle(frame: Frame, { tree, files, bytes }: RewrittenTree): void {
  const node = frame.nodes[frame.next++];
  if (node === undefined) throw new TypeError('a folder that is not there');
  frame.files += files;
  frame.bytes += bytes;
  if (tree !== node.subtree) frame.isChanged = true;
  if (tree !== undefined) frame.kept.push(tree === node.subtree ? node : { ...node, subtree: tree });
}
