/** Packs that wait for their deletion and are needed after all. */
import { encodeIndex, EngineError } from '@restic-engine/repo-format';
import type { Call, Id, IndexMarks, Node } from '@restic-engine/repo-format';
import { BlobTable } from '../../index/blob-table.ts';
import { surveyIndexFiles } from '../../index/load-index.ts';
import type { IndexedRepository } from '../../indexed.ts';
import { Indexer } from '../../store/indexer.ts';
import { walkTrees } from '../walk-trees.ts';

/**
 * Packs among those that wait which have, together, all blobs that are needed and that no other pack has. `reached` has
 * 1 for the numbers of needed blobs.
 */
export function packsToReturn(
  table: BlobTable,
  reached: Uint8Array,
  isWaiting: (pack: Id) => boolean,
  isElse: (pack: Id) => boolean,
): Set<Id> {
  const missing = reached.slice();
  for (const { type, id, pack } of table.entries()) if (isElse(pack)) missing[table.numberOf(type, id)] = 0;
  const packs = new Set<Id>();
  if (!missing.includes(1)) return packs;
  for (const { pack, blobs } of table.byPack(isWaiting)) {
    const numbers = blobs.map(({ type, id }) => table.numberOf(type, id));
    if (!numbers.some((number) => missing[number] === 1)) continue;
    packs.add(pack);
    for (const number of numbers) missing[number] = 0;
  }
  return packs;
}

/** Puts packs into the index again, as `table` has them. Their marks stay and mean nothing any more. */
export async function returnPacks(
  { repository, table }: IndexedRepository,
  packs: ReadonlySet<Id>,
  call: Call,
): Promise<void> {
  if (packs.size === 0) return;
  const indexer = new Indexer(
    async (entries) => void (await repository.saveFile('index', encodeIndex(entries), call)),
    () => 0,
  );
  for (const { pack, blobs } of table.byPack((id) => packs.has(id))) await indexer.add({ id: pack, blobs });
  await indexer.flush();
}

/**
 * For those who have stored snapshots with these root trees and hold their lock still: packs that `indexed` has and that
 * a prune took out of the index meanwhile go back into it if the snapshots need them. Resolves with their number. Where
 * nothing was marked since, this costs a listing.
 */
export async function returnNeeded(indexed: IndexedRepository, roots: readonly Id[], call: Call): Promise<number> {
  const { repository, table, indexFiles } = indexed;
  const marked = new Set<Id>();
  const added = new BlobTable();
  const onMarks = (_: Id, { packs }: IndexMarks): void => {
    for (const { id } of packs) if (table.hasPack(id)) marked.add(id);
  };
  const { broken } = await surveyIndexFiles(repository, added, {
    signal: call.signal,
    skip: (id) => indexFiles.has(id),
    onMarks,
  });
  if (broken[0] !== undefined) throw broken[0].error;
  if (marked.size === 0) return 0;
  const reached = new Uint8Array(table.size);
  await walkTrees(indexed, roots, reached, new NeededBlobs(table, reached), call);
  for (const { type, id } of added.entries()) {
    const number = table.numberOf(type, id);
    if (number >= 0) reached[number] = 0;
  }
  const isMarked = (pack: Id): boolean => marked.has(pack);
  const packs = packsToReturn(table, reached, isMarked, (pack) => !marked.has(pack));
  await returnPacks(indexed, packs, call);
  return packs.size;
}

/** Marks what files need. */
class NeededBlobs {
  readonly #table: BlobTable;
  readonly #reached: Uint8Array;

  constructor(table: BlobTable, reached: Uint8Array) {
    this.#table = table;
    this.#reached = reached;
  }

  nodes(_: Id, nodes: readonly Node[]): void {
    for (const { content } of nodes) {
      for (const blob of content ?? []) {
        const number = this.#table.numberOf('data', blob);
        if (number >= 0) this.#reached[number] = 1;
      }
    }
  }

  broken(_: Id, error: EngineError): never {
    throw error;
  }
}
