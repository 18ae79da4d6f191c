/** Looking into snapshots: walking trees, finding a node, reading a file. */
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Call, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';

/** A node, and where it is in the snapshot. */
export interface WalkedNode {
  /** With a leading `/`. */
  readonly path: string;
  readonly node: Node;
}

/** How far a walk goes. */
export interface WalkOptions extends Call {
  /** Go into this directory? @default into all */
  readonly enter?: ((entry: WalkedNode) => boolean) | undefined;
}

/** Every node below a tree, depth first, in byte order, a directory before what is in it. */
export async function* walk(
  repository: IndexedRepository,
  tree: Id,
  options: WalkOptions = {},
): AsyncGenerator<WalkedNode> {
  const { signal, enter = () => true } = options;
  // A stack of its own: how deep a tree goes is not for the tree to decide.
  const stack = [{ path: '', nodes: await repository.loadTree(tree, { signal }), next: 0 }];
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    throwIfAborted(signal);
    const node = top.nodes[top.next++];
    if (node === undefined) {
      stack.pop();
      continue;
    }
    const entry = { path: `${top.path}/${node.name}`, node };
    yield entry;
    if (node.type !== 'dir' || !enter(entry)) continue;
    stack.push({
      path: entry.path,
      nodes: await repository.loadTree(subtreeOf(node, entry.path), { signal }),
      next: 0,
    });
  }
}

/** The node at a path below a tree. Rejects with `not-found`, also when something on the way is no directory. */
export async function findNode(repository: IndexedRepository, tree: Id, path: string, call: Call = {}): Promise<Node> {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  let node: Node | undefined;
  let subtree: Id | undefined = tree;
  for (const name of names) {
    const nodes: readonly Node[] = subtree === undefined ? [] : await repository.loadTree(subtree, call);
    node = nodes.find((candidate) => candidate.name === name);
    if (node === undefined) break;
    subtree = node.type === 'dir' ? subtreeOf(node, path) : undefined;
  }
  if (node === undefined)
    throw new EngineError('not-found', `path ${path.toWellFormed()} is not in the snapshot`, { path });
  return node;
}

/** The tree at a path below a tree; the tree itself for the empty path. Rejects with `not-found`. */
export async function findTree(repository: IndexedRepository, tree: Id, path: string, call: Call = {}): Promise<Id> {
  if (path.split('/').every((name) => name === '' || name === '.')) return tree;
  const node = await findNode(repository, tree, path, call);
  if (node.type !== 'dir') throw new EngineError('not-found', `${path.toWellFormed()} is not a directory`, { path });
  return subtreeOf(node, path);
}

/** The tree of a directory. Throws `corrupt`. */
export function subtreeOf(node: Node, path: string): Id {
  if (node.subtree !== undefined) return node.subtree;
  throw new EngineError('corrupt', `directory ${path.toWellFormed()} has no tree`, { path });
}

/** Which part of a file to read. */
export interface ReadFileOptions extends Call {
  /** First byte. @default 0 */
  readonly offset?: number | undefined;
  /** Bytes. @default to the end */
  readonly length?: number | undefined;
}

/** What reading a content takes of a repository. */
export type BlobReader = Pick<IndexedRepository, 'plainLength' | 'loadBlob'>;

/**
 * The content of a file in a snapshot, or a part of it. Each blob is verified before its bytes come out; only the blobs
 * that are asked for are read, a few ahead. The stream fails with `bad-request` for what is no file, `not-found` and
 * `corrupt`. Chunks belong to the reader. Throws `RangeError` for a negative offset or length.
 */
export function readFile(
  repository: BlobReader,
  node: Node,
  options: ReadFileOptions = {},
): ReadableStream<Uint8Array> {
  checkRange(options);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const pieces = readPieces(repository, node, { ...options, signal });
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { value, done } = await pieces.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        // What was read ahead is of no use any more.
        stop.abort(error);
        throw error;
      }
    },
    async cancel(reason) {
      stop.abort(reason);
      await pieces.return();
    },
  });
}

function checkRange({ offset = 0, length = 0 }: ReadFileOptions): void {
  if (!(offset >= 0 && length >= 0)) throw new RangeError(`no part of a file: ${length} bytes from ${offset} on`);
}

const BLOBS_AHEAD = 4;

async function* readPieces(
  repository: BlobReader,
  node: Node,
  { offset = 0, length = Infinity, signal }: ReadFileOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (node.type !== 'file' || node.content === null) {
    throw new EngineError('bad-request', `${node.name.toWellFormed()} is not a file`, { type: node.type });
  }
  const wanted = selectBlobs(repository, node.content, offset, offset + length);
  const loading: Promise<Uint8Array>[] = [];
  let next = 0;
  const loadNext = (): void => {
    const part = wanted[next++];
    if (part === undefined) return;
    const piece = loadPart(repository, part, signal);
    // Met below, when its turn comes.
    piece.catch(() => undefined);
    loading.push(piece);
  };
  for (let i = 0; i < BLOBS_AHEAD; i++) loadNext();
  for (let first = loading.shift(); first !== undefined; first = loading.shift()) {
    loadNext();
    yield await first;
  }
}

async function loadPart(
  repository: BlobReader,
  { id, from, to }: BlobPart,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const bytes = await repository.loadBlob('data', id, { signal });
  return to - from === bytes.length ? bytes : bytes.slice(from, to);
}

interface BlobPart {
  readonly id: Id;
  readonly from: number;
  readonly to: number;
}

/** Bytes of a file, by its blobs. Throws `not-found` when one is in no index. */
export function contentLength(repository: BlobReader, { content }: Node): number {
  let length = 0;
  for (const id of content ?? []) length += lengthOf(repository, id);
  return length;
}

function lengthOf(repository: BlobReader, id: Id): number {
  const length = repository.plainLength('data', id);
  if (length === undefined) throw new EngineError('not-found', `data blob ${id} is in no index`, { type: 'data', id });
  return length;
}

/** The blobs that hold bytes `start` to `end` of a content, and which of their bytes. */
function selectBlobs(repository: BlobReader, content: readonly Id[], start: number, end: number): BlobPart[] {
  const parts: BlobPart[] = [];
  let position = 0;
  for (const id of content) {
    if (position >= end) break;
    const length = repository.plainLength('data', id);
    if (length === undefined)
      throw new EngineError('not-found', `data blob ${id} is in no index`, { type: 'data', id });
    const from = Math.max(start - position, 0);
    const to = Math.min(end - position, length);
    if (from < to) parts.push({ id, from, to });
    position += length;
  }
  return parts;
}
