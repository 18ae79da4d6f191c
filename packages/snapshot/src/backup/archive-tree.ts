/**
 * Walks a tree source in order and stores what is new of it. The walk runs ahead of the contents: an entry whose
 * content is still being stored holds a place in its directory, and a directory is stored when all its places are
 * filled, children before parents (restic design document, "Trees and Data").
 */
import { compareNames, EngineError, encodeNode, joinTree, throwIfAborted } from '@restic-engine/repo-format';
import type { Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository, Upload } from '@restic-engine/repository';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SourceDirectory, SourceEntry } from '../source/source.ts';
import { ByteBudget } from './byte-budget.ts';
import type { ContentStore } from './content-store.ts';
import { parentNodes } from './parent.ts';
import type { Tracker } from './progress.ts';
import { isUnchangedDirectory, isUnchangedFile, SortedNodes } from './unchanged.ts';
import type { ChangeRules } from './unchanged.ts';

/** A stored tree; `added` is its length in bytes if it is new, 0 if it was known. */
export interface StoredTree {
  readonly id: Id;
  readonly added: number;
  readonly entries: number;
}

/** The text of a node, now or later; undefined for an entry that is left out. */
type Place = string | Promise<string | undefined>;

type FileEntry = Extract<SourceEntry, { kind: 'file' }>;
type DirectoryEntry = Extract<SourceEntry, { kind: 'directory' }>;

/** Entries the walk may take before others get a turn. */
const ENTRIES_A_TURN = 256;
/** Bytes of trees that wait to be sealed and stored before the walk waits for them. */
const TREE_BYTES = 16 << 20;

export class TreeArchiver {
  readonly #indexed: IndexedRepository;
  readonly #upload: Upload;
  readonly #store: ContentStore;
  readonly #tracker: Tracker;
  readonly #rules: ChangeRules;
  readonly #trees = new ByteBudget(TREE_BYTES);
  #sinceTurn = 0;

  constructor(indexed: IndexedRepository, upload: Upload, store: ContentStore, tracker: Tracker, rules: ChangeRules) {
    this.#indexed = indexed;
    this.#upload = upload;
    this.#store = store;
    this.#tracker = tracker;
    this.#rules = rules;
  }

  /** Stores a directory and everything below it. `parent` is the tree it is compared with. */
  async archive(root: SourceDirectory, parent: Id | undefined): Promise<StoredTree> {
    const { stored } = await this.#visit(root, parent);
    this.#store.flush();
    return stored;
  }

  /** Walks a directory to its end. Its tree is stored later, wherefore the promise comes wrapped. */
  async #visit(directory: SourceDirectory, parent: Id | undefined): Promise<{ stored: Promise<StoredTree> }> {
    const previousNodes = await parentNodes(this.#indexed, parent, this.#tracker, this.#upload.signal);
    const parents = new SortedNodes(previousNodes, compareNames);
    const places: Place[] = [];
    for (const entry of directory.entries()) {
      if (this.#sinceTurn++ >= ENTRIES_A_TURN) await this.#yield();
      const previous = parents.find(entry.node.name);
      if (entry.kind === 'file') {
        const known = this.#unchangedFile(entry, previous);
        places.push(known ?? later(this.#storeFile(entry, previous)));
        if (known === undefined) await this.#store.room();
      } else if (entry.kind === 'directory') {
        places.push(...(await this.#directory(entry, previous)));
      } else {
        places.push(encodeNode(entry.node));
        this.#tracker.done(entry.path, 'other', previous === undefined ? 'new' : 'unchanged', 0);
      }
    }
    return { stored: later(this.#storeTree(places)) };
  }

  async #yield(): Promise<void> {
    this.#sinceTurn = 0;
    await nextTurn();
    throwIfAborted(this.#upload.signal);
  }

  /** The node of a file whose content the parent snapshot has, or undefined when it must be read. */
  #unchangedFile(entry: FileEntry, previous: Node | undefined): string | undefined {
    const { node } = entry;
    if (!isUnchangedFile(previous, node, this.#rules) || previous.content === null) return undefined;
    if (!previous.content.every((id) => this.#indexed.has('data', id))) {
      this.#tracker.problem(`content of ${entry.path} in the parent snapshot is missing; the file was read again`);
      return undefined;
    }
    this.#tracker.done(entry.path, 'file', 'unchanged', Number(node.size ?? 0));
    return encodeNode({ ...node, content: previous.content });
  }

  async #storeFile(entry: FileEntry, previous: Node | undefined): Promise<string | undefined> {
    const { node, path, realPath } = entry;
    const size = Number(node.size ?? 0);
    const since = performance.now();
    this.#tracker.started(path);
    const outcome = await this.#store.storeFile(realPath, size, (bytes) => this.#tracker.read(path, bytes));
    if ('failed' in outcome) {
      this.#tracker.failed(realPath, outcome.failed, path);
      return undefined;
    }
    if (outcome.size !== size) {
      this.#tracker.problem(
        `${realPath} changed while it was read: ${size} bytes at first, ${outcome.size} in the end`,
      );
    }
    const action = previous === undefined ? 'new' : 'changed';
    const sizes = { dataSize: outcome.added, dataSizeInRepo: outcome.stored, durationMs: performance.now() - since };
    this.#tracker.done(path, 'file', action, outcome.size, sizes);
    return encodeNode({ ...node, size: outcome.size, content: outcome.ids });
  }

  /** Walks a subdirectory. Its place is filled later, wherefore it comes in an array; none if it cannot be read. */
  async #directory(entry: DirectoryEntry, previous: Node | undefined): Promise<[Place] | []> {
    let directory: SourceDirectory;
    try {
      directory = entry.open();
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      this.#tracker.failed(entry.realPath, error, entry.path);
      return [];
    }
    if (this.#trees.isSpent) await this.#trees.take(0);
    const since = performance.now();
    const { stored } = await this.#visit(directory, previous?.subtree);
    const place = later(
      stored.then((tree) => {
        const node: Node = { ...entry.node, subtree: tree.id };
        // A file that became a directory counts as changed, for restic too.
        const action = previous === undefined ? 'new' : isUnchangedDirectory(previous, node) ? 'unchanged' : 'changed';
        this.#tracker.done(entry.path, 'dir', action, 0, {
          metadataSize: tree.added,
          durationMs: performance.now() - since,
        });
        return encodeNode(node);
      }),
    );
    return [place];
  }

  async #storeTree(places: readonly Place[]): Promise<StoredTree> {
    const nodes: string[] = [];
    for (const place of places) {
      const text = typeof place === 'string' ? place : await place;
      if (text !== undefined) nodes.push(text);
    }
    const bytes = joinTree(nodes);
    await this.#trees.take(bytes.length);
    try {
      const { id, isNew } = await this.#upload.save('tree', bytes);
      return { id, added: isNew ? bytes.length : 0, entries: nodes.length };
    } finally {
      this.#trees.give(bytes.length);
    }
  }
}

/** A promise that somebody awaits in time: its failure reaches the directory above, or the caller of `archive`. */
function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
