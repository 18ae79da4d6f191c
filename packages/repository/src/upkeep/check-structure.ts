/** Does everything that snapshots name exist? */
import { decodeSnapshot, EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Call, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '../indexed.ts';
import type { Repository } from '../repository.ts';
import { inParallel } from './in-parallel.ts';
import { failureOf, sentenceOf } from './problems.ts';
import type { CheckProblem } from './problems.ts';
import { walkTrees } from './walk-trees.ts';

export type Report = (problem: CheckProblem) => void;

/** The root trees of snapshots. One that cannot be read is told to `onBroken`, or rejects when it throws. */
export async function rootsOf(
  repository: Repository,
  snapshots: readonly Id[],
  onBroken: (snapshot: Id, error: unknown) => void,
  { signal }: Call,
): Promise<Id[]> {
  const roots: Id[] = [];
  const places = repository.backend.traits.connections;
  await inParallel(snapshots, { places, signal }, async (snapshot) => {
    try {
      roots.push(decodeSnapshot(await repository.loadFile('snapshot', snapshot, { signal })).tree);
    } catch (error) {
      throwIfAborted(signal);
      onBroken(snapshot, error);
    }
  });
  return roots;
}

export interface StructureOptions extends Call {
  readonly onTree?: ((treesDone: number) => void) | undefined;
}

/**
 * Reads every tree below `roots` and reports what is missing or makes no sense. Resolves with 1 for every number of the
 * blob table whose blob is needed, 0 for the others.
 */
export async function checkStructure(
  indexed: IndexedRepository,
  roots: readonly Id[],
  report: Report,
  { signal, onTree }: StructureOptions = {},
): Promise<Uint8Array> {
  const reached = new Uint8Array(indexed.table.size);
  let treesDone = 0;
  const broken: { readonly tree: Id; readonly error: EngineError }[] = [];
  const visitor = {
    nodes(tree: Id, nodes: readonly Node[]): void {
      for (const node of nodes) checkNode(indexed, tree, node, reached, report);
      onTree?.(++treesDone);
    },
    broken(tree: Id, error: EngineError): void {
      broken.push({ tree, error });
    },
  };
  await walkTrees(indexed, roots, reached, visitor, { signal });
  for (const { tree, error } of broken) {
    const message = `tree ${tree}: ${sentenceOf(error)}`;
    const pack = error.code === 'corrupt' ? await damagedPack(indexed, tree, { signal }) : undefined;
    report({ kind: 'tree-broken', message, tree, ...(pack !== undefined && { pack }), ...failureOf(error) });
  }
  return reached;
}

/** The pack whose bytes are why a tree is corrupt; undefined when they are what was once stored. */
async function damagedPack(indexed: IndexedRepository, tree: Id, call: Call): Promise<Id | undefined> {
  try {
    await indexed.loadBlob('tree', tree, call);
    return undefined;
  } catch (error) {
    throwIfAborted(call.signal);
    return EngineError.is(error, 'corrupt') ? indexed.locate('tree', tree)?.pack : undefined;
  }
}

function checkNode({ table }: IndexedRepository, tree: Id, node: Node, reached: Uint8Array, report: Report): void {
  const name = JSON.stringify(node.name.toWellFormed());
  const broken = (what: string): void => {
    report({ kind: 'node-broken', message: `tree ${tree}: ${what}`, tree });
  };
  if (node.name === '') broken('node with empty name');
  if (node.type === 'irregular') broken(`node ${name} with invalid type "irregular"`);
  if (node.type === 'dir' && node.subtree === undefined) broken(`dir node ${name} has no subtree`);
  if (node.type !== 'file') return;
  if (node.content === null) broken(`file ${name} has nil content`);
  for (const blob of node.content ?? []) {
    const number = table.numberOf('data', blob);
    if (number >= 0) reached[number] = 1;
    else
      report({
        kind: 'blob-missing',
        message: `tree ${tree}: file ${name} blob ${blob} not found in index`,
        tree,
        blob,
      });
  }
}
