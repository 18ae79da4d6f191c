/** What two trees have in common and what not (restic manual, "Comparing Snapshots"). */
import { compareNames, compareTimestamps, encodeNode, EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { BlobType, Call, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { subtreeOf } from './walk.ts';

/**
 * `+` new, `-` gone, `M` another content, `M?` another content though nothing else has changed, as from a disk that
 * decays, `U` other metadata, `T` another type, `TU` both.
 */
export type DiffModifier = '+' | '-' | 'M' | 'M?' | 'U' | 'T' | 'TU';

export interface DiffChange {
  /** With a leading `/`; that of a directory ends with one, too. */
  readonly path: string;
  readonly modifier: DiffModifier;
}

/** What only one side has. */
export interface DiffTotals {
  readonly files: number;
  readonly dirs: number;
  readonly others: number;
  readonly dataBlobs: number;
  readonly treeBlobs: number;
  /** Bytes in those blobs. */
  readonly bytes: number;
}

export interface DiffResult {
  /** Files with another content. */
  readonly changedFiles: number;
  readonly added: DiffTotals;
  readonly removed: DiffTotals;
}

export interface DiffOptions extends Call {
  /** Also tell of changes in metadata. @default false */
  readonly metadata?: boolean | undefined;
  /** Called in byte order of the paths, a directory before what is in it. */
  readonly onChange?: ((change: DiffChange) => void) | undefined;
}

/**
 * Compares two trees. Directories with equal ids are not walked for changes, and for the totals only if there are blobs
 * that one side seems to lack. What is below a directory that was or is something else is not told.
 * Rejects with `not-found` and `corrupt` when a tree cannot be read, `aborted`.
 */
export async function diffTrees(
  repository: IndexedRepository,
  before: Id,
  after: Id,
  options: DiffOptions = {},
): Promise<DiffResult> {
  return new Diff(repository, options).run(before, after);
}

type BlobKey = `${BlobType} ${Id}`;

/** One side: what only it has, as far as is known. */
class Side {
  files = 0;
  dirs = 0;
  others = 0;
  readonly blobs = new Set<BlobKey>();

  count({ type }: Node): void {
    if (type === 'file') this.files += 1;
    else if (type === 'dir') this.dirs += 1;
    else this.others += 1;
  }
}

/** Two directories of one path to compare, or one whose content is new or gone. */
interface Task {
  readonly path: string;
  readonly before: Id | undefined;
  readonly after: Id | undefined;
}

interface Pair {
  readonly before: Node | undefined;
  readonly after: Node | undefined;
}

interface Frame extends Pick<Task, 'path'> {
  readonly pairs: readonly Pair[];
  next: number;
}

class Diff {
  readonly #repository: IndexedRepository;
  readonly #options: DiffOptions;
  readonly #before = new Side();
  readonly #after = new Side();
  /** Trees of directories that are the same on both sides. */
  readonly #common = new Set<Id>();
  #changedFiles = 0;

  constructor(repository: IndexedRepository, options: DiffOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  async run(before: Id, after: Id): Promise<DiffResult> {
    this.#before.blobs.add(`tree ${before}`);
    this.#after.blobs.add(`tree ${after}`);
    // A stack of its own: how deep a tree goes is not for the tree to decide.
    const stack = [await this.#open({ path: '', before, after })];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const pair = top.pairs[top.next++];
      if (pair === undefined) {
        stack.pop();
        continue;
      }
      const below = this.#visit(top.path, pair);
      if (below !== undefined) stack.push(await this.#open(below));
    }
    await this.#dropCommon();
    return { changedFiles: this.#changedFiles, added: this.#totals(this.#after), removed: this.#totals(this.#before) };
  }

  async #open({ path, before, after }: Task): Promise<Frame> {
    const { signal } = this.#options;
    throwIfAborted(signal);
    const load = async (tree: Id | undefined): Promise<Node[]> =>
      tree === undefined ? [] : this.#repository.loadTree(tree, { signal });
    return { path, pairs: pairUp(await load(before), await load(after)), next: 0 };
  }

  #visit(parent: string, { before, after }: Pair): Task | undefined {
    const node = after ?? before;
    if (node === undefined) return undefined;
    const path = `${parent}/${node.name}`;
    if (before !== undefined) this.#note(this.#before, before, path);
    if (after !== undefined) this.#note(this.#after, after, path);
    const shown = node.type === 'dir' ? `${path}/` : path;
    if (before !== undefined && after !== undefined) return this.#compare(path, shown, before, after);
    const [side, modifier] = after === undefined ? ([this.#before, '-'] as const) : ([this.#after, '+'] as const);
    side.count(node);
    this.#tell(shown, modifier);
    return node.type === 'dir' ? { path, before: before?.subtree, after: after?.subtree } : undefined;
  }

  #compare(path: string, shown: string, before: Node, after: Node): Task | undefined {
    const modifier = this.#modifierOf(before, after);
    if (modifier !== '') this.#tell(shown, modifier);
    if (before.type !== 'dir' || after.type !== 'dir') return undefined;
    const [old, now] = [subtreeOf(before, path), subtreeOf(after, path)];
    if (old !== now) return { path, before: old, after: now };
    this.#common.add(now);
    return undefined;
  }

  #modifierOf(before: Node, after: Node): DiffModifier | '' {
    if (before.type === 'file' && after.type === 'file' && !haveSameContent(before, after)) {
      this.#changedFiles += 1;
      return areEqual({ ...before, content: null }, { ...after, content: null }) ? 'M?' : 'M';
    }
    const other = before.type === after.type ? '' : 'T';
    return this.#options.metadata && !areEqual(before, after) ? `${other}U` : other;
  }

  #tell(path: string, modifier: DiffModifier): void {
    this.#options.onChange?.({ path, modifier });
  }

  #note({ blobs }: Side, node: Node, path: string): void {
    if (node.type === 'file') for (const id of node.content ?? []) blobs.add(`data ${id}`);
    if (node.type === 'dir') blobs.add(`tree ${subtreeOf(node, path)}`);
  }

  /** Leaves in each side the blobs that the other does not have, nor any directory that both have. */
  async #dropCommon(): Promise<void> {
    const [before, after] = [this.#before.blobs, this.#after.blobs];
    for (const blob of before) {
      // Deleting during iteration is well defined for sets.
      if (after.delete(blob)) before.delete(blob);
    }
    const waiting = [...this.#common];
    for (let tree = waiting.pop(); tree !== undefined && before.size + after.size > 0; tree = waiting.pop()) {
      throwIfAborted(this.#options.signal);
      for (const node of await this.#repository.loadTree(tree, this.#options)) {
        for (const id of node.type === 'file' ? (node.content ?? []) : []) {
          before.delete(`data ${id}`);
          after.delete(`data ${id}`);
        }
        if (node.type !== 'dir') continue;
        const subtree = subtreeOf(node, node.name);
        before.delete(`tree ${subtree}`);
        after.delete(`tree ${subtree}`);
        if (this.#common.has(subtree)) continue;
        this.#common.add(subtree);
        waiting.push(subtree);
      }
    }
  }

  #totals({ files, dirs, others, blobs }: Side): DiffTotals {
    let [dataBlobs, treeBlobs, bytes] = [0, 0, 0];
    for (const blob of blobs) {
      const type = blob.startsWith('data') ? 'data' : 'tree';
      const id = blob.slice(5);
      const length = this.#repository.plainLength(type, id);
      if (length === undefined) throw new EngineError('not-found', `${type} blob ${id} is in no index`, { type, id });
      bytes += length;
      if (type === 'data') dataBlobs += 1;
      else treeBlobs += 1;
    }
    return { files, dirs, others, dataBlobs, treeBlobs, bytes };
  }
}

/** Nodes of one name together; both lists are in byte order. */
function pairUp(before: readonly Node[], after: readonly Node[]): Pair[] {
  const pairs: Pair[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [old, now] = [before[i], after[j]];
    if (old === undefined && now === undefined) return pairs;
    const order = old === undefined ? 1 : now === undefined ? -1 : compareNames(old.name, now.name);
    pairs.push({ before: order <= 0 ? old : undefined, after: order >= 0 ? now : undefined });
    if (order <= 0) i += 1;
    if (order >= 0) j += 1;
  }
}

function haveSameContent({ content: a }: Node, { content: b }: Node): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((id, at) => id === b[at]);
}

/** Are they equal in everything, whatever zone their times were written in? */
function areEqual(a: Node, b: Node): boolean {
  const sameTimes = (['mtime', 'atime', 'ctime'] as const).every((key) => compareTimestamps(a[key], b[key]) === 0);
  return sameTimes && comparable(a) === comparable(b);
}

function comparable(node: Node): string {
  const extendedAttributes = node.extendedAttributes?.toSorted((a, b) => compareNames(a.name, b.name));
  return encodeNode({ ...node, mtime: '', atime: '', ctime: '', extendedAttributes });
}
