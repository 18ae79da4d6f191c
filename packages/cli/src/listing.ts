/** Which nodes of a snapshot a listing has, and their order. */
import type { Id, IndexedRepository, Node } from 'restic-engine';
import type { Engine } from './open.ts';

export interface ListedNode {
  /** With a leading `/`. */
  readonly path: string;
  readonly node: Node;
}

export interface ListOptions {
  /** Only these folders and what is directly in them; empty: everything. */
  readonly folders: readonly string[];
  /** Also what is below the folders. */
  readonly recursive: boolean;
  /** Also the folders on the way to those. */
  readonly parents: boolean;
  readonly signal: AbortSignal;
}

/** The nodes below `tree` in the order of the trees, folders before what they contain. */
export async function* listNodes(
  engine: Engine,
  indexed: IndexedRepository,
  tree: Id,
  options: ListOptions,
): AsyncGenerator<ListedNode> {
  if (options.folders.length === 0) yield* engine.walk(indexed, tree, { signal: options.signal });
  else yield* listFolders(indexed, tree, '', options);
}

async function* listFolders(
  indexed: IndexedRepository,
  tree: Id,
  parent: string,
  options: ListOptions,
): AsyncGenerator<ListedNode> {
  const { folders, recursive, parents, signal } = options;
  for (const node of await indexed.loadTree(tree, { signal })) {
    const path = `${parent}/${node.name}`;
    const within = folders.some((folder) => isBelow(folder, path));
    const onTheWay = folders.some((folder) => isBelow(path, folder));
    if (within || (onTheWay && parents)) yield { path, node };
    if (node.subtree === undefined) continue;
    if (onTheWay || (within && recursive)) yield* listFolders(indexed, node.subtree, path, options);
  }
}

/** Is `path` the folder, or something in it? */
function isBelow(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder === '/' ? folder : `${folder}/`);
}

export const SORT_MODES = ['name', 'size', 'time', 'atime', 'ctime', 'extension'] as const;
export type SortMode = (typeof SORT_MODES)[number];

/** Sorted by `mode`, the largest and newest last, and among equals by path; `nodes` come in the order of the trees. */
export function sortNodes(
  engine: Engine,
  nodes: readonly ListedNode[],
  mode: SortMode,
  reverse: boolean,
): ListedNode[] {
  const compare = comparators(engine)[mode];
  // By name they are already sorted, folder by folder.
  const sorted =
    compare === undefined
      ? [...nodes]
      : nodes.toSorted((a, b) => compare(a.node, b.node) || engine.compareNames(a.path, b.path));
  return reverse ? sorted.toReversed() : sorted;
}

function comparators(engine: Engine): Record<SortMode, ((a: Node, b: Node) => number) | undefined> {
  return {
    name: undefined,
    size: (a, b) => Number(a.size ?? 0) - Number(b.size ?? 0),
    time: (a, b) => engine.compareTimestamps(a.mtime, b.mtime),
    atime: (a, b) => engine.compareTimestamps(a.atime, b.atime),
    ctime: (a, b) => engine.compareTimestamps(a.ctime, b.ctime),
    extension: (a, b) => engine.compareNames(extension(a.name), extension(b.name)),
  };
}

/** From the last dot on; '' without one. */
function extension(name: string): string {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? '' : name.slice(dot);
}
