/** Searching a tree for names, or for the blobs it is made of. */
import { compareTimestamps, shortId } from '@restic-engine/repo-format';
import type { BlobType, Call, Id, Node, Timestamp } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { compilePatterns } from './filter/pattern.ts';
import type { PatternList } from './filter/pattern.ts';
import { subtreeOf, walk } from './walk.ts';
import type { WalkedNode } from './walk.ts';

export interface SearchOptions extends Call {
  /** A node is found if its path matches one of these; see `compilePatterns`. A leading `!` has no meaning. */
  readonly patterns: readonly string[];
  /** @default false */
  readonly ignoreCase?: boolean | undefined;
  /** Not modified before this. */
  readonly oldest?: Timestamp | undefined;
  /** Not modified after this. */
  readonly newest?: Timestamp | undefined;
}

/** Every node below a tree that matches, in the order of `walk`. Rejects with `bad-request` for a malformed pattern. */
export async function* searchNodes(
  repository: IndexedRepository,
  tree: Id,
  options: SearchOptions,
): AsyncGenerator<WalkedNode> {
  const { oldest, newest, signal, ignoreCase = false } = options;
  const list: PatternList = compilePatterns(
    options.patterns.map((pattern) => pattern.replace(/^!/, '')),
    { ignoreCase },
  );
  const enter = ({ path }: WalkedNode): boolean => list.match(path).childMayMatch;
  for await (const entry of walk(repository, tree, { signal, enter })) {
    if (!list.matches(entry.path)) continue;
    if (oldest !== undefined && compareTimestamps(entry.node.mtime, oldest) < 0) continue;
    if (newest !== undefined && compareTimestamps(entry.node.mtime, newest) > 0) continue;
    yield entry;
  }
}

export interface SearchBlobsOptions extends Call {
  /** Data blobs to look for: ids or their first eight digits. */
  readonly data?: Iterable<string> | undefined;
  /** Trees to look for, likewise. */
  readonly trees?: Iterable<string> | undefined;
}

/** A place where a blob is used. */
export interface FoundBlob {
  readonly type: BlobType;
  readonly id: Id;
  /** Of the file or directory, with a leading `/`; `/` for the tree itself. */
  readonly path: string;
  /** The tree that holds the file; undefined for directories. */
  readonly parentTree: Id | undefined;
}

/** Every place below a tree, and the tree itself, where one of the blobs is used. */
export async function* searchBlobs(
  repository: IndexedRepository,
  tree: Id,
  options: SearchBlobsOptions,
): AsyncGenerator<FoundBlob> {
  const { signal } = options;
  const data = new Set(options.data);
  const trees = new Set(options.trees);
  const isIn = (wanted: ReadonlySet<string>, id: Id): boolean => wanted.has(id) || wanted.has(shortId(id));
  if (isIn(trees, tree)) yield { type: 'tree', id: tree, path: '/', parentTree: undefined };
  // The directories on the way to the present node.
  const parents = [{ path: '', tree }];
  for await (const { path, node } of walk(repository, tree, { signal })) {
    const parent = path.slice(0, path.lastIndexOf('/'));
    while (parents.length > 0 && parents.at(-1)?.path !== parent) parents.pop();
    const parentTree = parents.at(-1)?.tree;
    if (node.type === 'dir') {
      const id = subtreeOf(node, path);
      parents.push({ path, tree: id });
      if (isIn(trees, id)) yield { type: 'tree', id, path, parentTree: undefined };
    }
    for (const id of contentOf(node)) if (isIn(data, id)) yield { type: 'data', id, path, parentTree };
  }
}

function contentOf({ type, content }: Node): readonly Id[] {
  return type === 'file' ? (content ?? []) : [];
}
