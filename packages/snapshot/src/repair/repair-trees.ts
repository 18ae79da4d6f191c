/** Trees without what is missing, as restic's `repair snapshots` makes them. */
import { compareNames, decodeTree, encodeTree, EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Code, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository, Upload } from '@restic-engine/repository';

/** What was done to an entry of a tree. */
export type TreeChangeKind =
  /** Parts of a file are missing, and the file is shorter now. */
  | 'content-removed'
  /** The size of a file was not that of its content. */
  | 'size-fixed'
  /** A folder cannot be read, and is empty now. */
  | 'folder-emptied'
  /** An entry is of a type that cannot be restored, and is gone. */
  | 'node-removed';

/** `path` from the root of the snapshot on, with `/` at its beginning. */
export interface TreeChange {
  readonly path: string;
  readonly kind: TreeChangeKind;
  /** The type of a node that was removed. */
  readonly type?: string;
}

export interface RepairedTree {
  /** Undefined when nothing of it can be read. The same id as before when nothing is wrong. */
  readonly tree: Id | undefined;
  /** Trees that other snapshots share are told once. */
  readonly changes: readonly TreeChange[];
}

/** What says that a tree is damaged, rather than the way to it. */
const DAMAGE: ReadonlySet<Code> = new Set<Code>(['corrupt', 'not-found', 'out-of-range', 'too-large']);

/** A folder on the way down. */
interface Frame {
  readonly path: string;
  readonly tree: Id;
  readonly nodes: readonly Node[];
  next: number;
  readonly kept: Node[];
  isChanged: boolean;
  /** It has entries of types that are unknown here, so it cannot be written again. */
  readonly isPartial: boolean;
}

/** Repairs one tree after the other; what several of them share is read once. */
export class TreeRepairer {
  readonly #indexed: IndexedRepository;
  readonly #upload: Upload;
  /** 1 for each number of the blob table whose tree is sound with all that is below it. */
  readonly #sound: Uint8Array;
  /** Trees that change; undefined for those that cannot be read. */
  readonly #replaced = new Map<Id, Id | undefined>();
  #changes: TreeChange[] = [];

  constructor(indexed: IndexedRepository, upload: Upload) {
    this.#indexed = indexed;
    this.#upload = upload;
    this.#sound = new Uint8Array(indexed.table.size);
  }

  /**
   * Rejects with `bad-request` for names that no tree may have, `unsupported` when a tree would have to change that has
   * entries of unknown types, and with what the store says.
   */
  async repair(root: Id): Promise<RepairedTree> {
    this.#changes = [];
    // A stack of its own: how deep a tree goes is not for the tree to decide.
    const stack: Frame[] = [];
    let result = await this.#look(root, '', stack);
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      throwIfAborted(this.#upload.signal);
      const folder = this.#next(top);
      if (folder === undefined) {
        result = await this.#close(top);
        stack.pop();
        const parent = stack.at(-1);
        if (parent !== undefined) await this.#settle(parent, result);
      } else {
        const path = `${top.path}/${folder.name}`;
        const known = folder.subtree === undefined ? undefined : await this.#look(folder.subtree, path, stack);
        if (stack.at(-1) === top) await this.#settle(top, known);
      }
    }
    return { tree: result, changes: this.#changes };
  }

  /** What a tree becomes, if that is clear; otherwise it is on the stack now. */
  async #look(tree: Id, path: string, stack: Frame[]): Promise<Id | undefined> {
    if (this.#replaced.has(tree)) return this.#replaced.get(tree);
    if (this.#sound[this.#indexed.table.numberOf('tree', tree)] === 1) return tree;
    try {
      const { signal } = this.#upload;
      const bytes = await this.#indexed.loadTreeBytes(tree, { signal });
      const found = this.#changes.length;
      let isPartial = false;
      const onUnknownType = (name: string, type: string): void => {
        // Without a type it is broken; with another, a newer program may know what to do with it.
        if (type === '') this.#tell(`${path}/${name}`, 'node-removed', type);
        else isPartial = true;
      };
      const nodes = decodeTree(bytes, { onUnknownType });
      const isChanged = this.#changes.length > found;
      stack.push({ path, tree, nodes, next: 0, kept: [], isChanged, isPartial });
    } catch (error) {
      if (!EngineError.is(error) || !DAMAGE.has(error.code)) throw error;
      this.#replaced.set(tree, undefined);
    }
    return undefined;
  }

  /** Goes on in a folder, to the next one in it; undefined at its end. */
  #next(frame: Frame): Node | undefined {
    for (let node = frame.nodes[frame.next]; node !== undefined; node = frame.nodes[frame.next]) {
      if (node.type === 'dir') return node;
      const path = `${frame.path}/${node.name}`;
      const kept = node.type === 'file' ? this.#repairFile(node, path) : this.#keepKnown(node, path);
      if (kept !== node) frame.isChanged = true;
      if (kept !== undefined) frame.kept.push(kept);
      frame.next += 1;
    }
    return undefined;
  }

  #keepKnown(node: Node, path: string): Node | undefined {
    if (node.type !== 'irregular') return node;
    this.#tell(path, 'node-removed', node.type);
    return undefined;
  }

  #repairFile(node: Node, path: string): Node {
    const content: Id[] = [];
    let size = 0;
    for (const id of node.content ?? []) {
      const length = this.#indexed.plainLength('data', id);
      if (length === undefined) continue;
      content.push(id);
      size += length;
    }
    const isWhole = content.length === node.content?.length;
    if (isWhole && (node.size ?? 0) === size) return node;
    this.#tell(path, node.content === null || isWhole ? 'size-fixed' : 'content-removed');
    return { ...node, content, size };
  }

  async #close({ path, tree, kept, isChanged, isPartial }: Frame): Promise<Id> {
    if (!isChanged) {
      this.#sound[this.#indexed.table.numberOf('tree', tree)] = 1;
      return tree;
    }
    if (isPartial) {
      const message = `the folder ${path.toWellFormed() || '/'} has entries of types that are unknown here`;
      throw new EngineError('unsupported', message, { tree });
    }
    const ordered = kept.toSorted((a, b) => compareNames(a.name, b.name));
    const { id } = await this.#upload.save('tree', encodeTree(ordered));
    this.#replaced.set(tree, id);
    return id;
  }

  /** The folder that is next in `frame` has become this. */
  async #settle(frame: Frame, tree: Id | undefined): Promise<void> {
    const node = frame.nodes[frame.next++];
    if (node === undefined) throw new TypeError('a folder that is not there');
    if (tree === undefined) this.#tell(`${frame.path}/${node.name}`, 'folder-emptied');
    const subtree = tree ?? (await this.#upload.save('tree', encodeTree([]))).id;
    if (subtree !== node.subtree) frame.isChanged = true;
    frame.kept.push(subtree === node.subtree ? node : { ...node, subtree });
  }

  #tell(path: string, kind: TreeChangeKind, type?: string): void {
    this.#changes.push({ path, kind, ...(type !== undefined && { type }) });
  }
}
