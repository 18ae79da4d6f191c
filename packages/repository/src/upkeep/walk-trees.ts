/** Every tree that snapshots reach, each once, whatever the number of snapshots that share it. */
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Call, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '../indexed.ts';

export interface TreeVisitor {
  /** A tree has been read. */
  nodes(tree: Id, nodes: readonly Node[]): void;
  /** A tree is in no index, or cannot be read. What is thrown here ends the walk. */
  broken(tree: Id, error: EngineError): void;
}

/**
 * Visits the trees below `roots` in any order. `reached`, with a place for each number of the blob table, has 1 in the
 * places of the trees that were visited; those marked before are not visited again.
 */
export async function walkTrees(
  indexed: IndexedRepository,
  roots: Iterable<Id>,
  reached: Uint8Array,
  visitor: TreeVisitor,
  { signal }: Call = {},
): Promise<void> {
  const { table, repository } = indexed;
  const places = repository.backend.traits.connections;
  const waiting: Id[] = [];
  const unknown = new Set<Id>();
  const running = new Set<Promise<void>>();
  const push = (tree: Id): void => {
    const number = table.numberOf('tree', tree);
    if (number < 0) {
      if (unknown.has(tree)) return;
      unknown.add(tree);
      visitor.broken(tree, new EngineError('not-found', `tree ${tree} is in no index`, { type: 'tree', id: tree }));
    } else if (reached[number] === 0) {
      reached[number] = 1;
      waiting.push(tree);
    }
  };
  const visit = async (tree: Id): Promise<void> => {
    const nodes = await loadNodes(indexed, tree, visitor, signal);
    if (nodes === undefined) return;
    visitor.nodes(tree, nodes);
    for (const { type, subtree } of nodes) if (type === 'dir' && subtree !== undefined) push(subtree);
  };
  for (const root of roots) push(root);
  try {
    while (waiting.length > 0 || running.size > 0) {
      throwIfAborted(signal);
      // The newest first: few trees wait then, however wide the directories are.
      for (let tree = running.size < places && waiting.pop(); tree; tree = running.size < places && waiting.pop()) {
        const visiting: Promise<void> = visit(tree).finally(() => running.delete(visiting));
        running.add(visiting);
      }
      await Promise.race(running);
    }
  } finally {
    await Promise.allSettled(running);
  }
}

async function loadNodes(
  indexed: IndexedRepository,
  tree: Id,
  visitor: TreeVisitor,
  signal: AbortSignal | undefined,
): Promise<readonly Node[] | undefined> {
  try {
    return await indexed.loadTree(tree, { signal });
  } catch (error) {
    if (!EngineError.is(error) || error.code === 'aborted') throw error;
    visitor.broken(tree, error);
    return undefined;
  }
}
