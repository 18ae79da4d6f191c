/** What a check says of packs that wait for their deletion. */
import type { Id, IndexMarks } from '@restic-engine/repo-format';
import { BlobTable } from '../../index/blob-table.ts';
import type { CheckProblem } from '../problems.ts';

/** The packs that a lock-free prune, or rustic, has marked. */
export class WaitingPacks {
  readonly #table = new BlobTable();
  readonly #since = new Map<Id, string>();

  add({ packs }: IndexMarks): void {
    for (const { id, time = 'an unknown time', blobs } of packs) {
      this.#since.set(id, time);
      if (blobs.length === 0) continue;
      const number = this.#table.addPack(id);
      for (const blob of blobs) {
        this.#table.add(blob.type, blob.id, number, blob.offset, blob.length, blob.uncompressedLength);
      }
    }
  }

  /** About a pack that is stored and in no index. */
  describe(pack: Id): CheckProblem {
    const since = this.#since.get(pack);
    if (since === undefined) {
      return { kind: 'pack-orphaned', message: `pack ${pack}: not referenced in any index`, pack };
    }
    return { kind: 'pack-marked', message: `pack ${pack}: waits for its deletion since ${since}`, pack };
  }

  /** Says where something is that no index has, if it is in such a pack. */
  explain(problem: CheckProblem): CheckProblem {
    const { kind, message, tree, blob } = problem;
    const [type, id] = kind === 'blob-missing' ? (['data', blob] as const) : (['tree', tree] as const);
    if (id === undefined || (kind !== 'blob-missing' && kind !== 'tree-broken')) return problem;
    const pack = this.#table.locate(type, id)?.pack;
    if (pack === undefined) return problem;
    return {
      ...problem,
      message: `${message}; pack ${pack} has it and waits for its deletion: prune --lock-free, or repair index, brings it back`,
    };
  }
}
