/** Half of a repository's data becomes unused, in every pack: what a prune that repacks is measured on. */
import { decodeSnapshot, encodeSnapshot, encodeTree } from '@restic-engine/repo-format';
import type { Id, Node } from '@restic-engine/repo-format';
import { withUpload } from '@restic-engine/repository';
import type { IndexedRepository, Upload } from '@restic-engine/repository';
import { localBackend, openRepository } from 'restic-engine';
import { PASSWORD } from './programs.ts';

/** Replaces every snapshot of a repository by one whose files lack every other blob. */
export async function halve(folder: string): Promise<void> {
  const repository = await openRepository({ backend: localBackend(folder), password: PASSWORD });
  try {
    const indexed = await repository.loadIndex();
    const snapshots: Id[] = [];
    for await (const { name } of repository.list('snapshot')) snapshots.push(name);
    const half = new Half(indexed);
    for (const name of snapshots) {
      const snapshot = decodeSnapshot(await repository.loadFile('snapshot', name));
      const tree = await withUpload(indexed, {}, (upload) => half.tree(snapshot.tree, upload));
      await repository.saveFile('snapshot', encodeSnapshot({ ...snapshot, tree }));
      await repository.removeFile('snapshot', name);
    }
  } finally {
    await repository[Symbol.asyncDispose]();
  }
}

class Half {
  readonly #indexed: IndexedRepository;
  /** Whether the next blob stays; a blob that was seen before fares as it did then. */
  readonly #stays = new Map<Id, boolean>();

  constructor(indexed: IndexedRepository) {
    this.#indexed = indexed;
  }

  async tree(id: Id, upload: Upload): Promise<Id> {
    const nodes: Node[] = [];
    for (const node of await this.#indexed.loadTree(id)) {
      if (node.subtree !== undefined) nodes.push({ ...node, subtree: await this.tree(node.subtree, upload) });
      else nodes.push(node.content === null ? node : this.#file(node, node.content));
    }
    return (await upload.save('tree', encodeTree(nodes))).id;
  }

  #file(node: Node, blobs: readonly Id[]): Node {
    const content = blobs.filter((id) => this.#keep(id));
    const size = content.reduce((sum, id) => sum + (this.#indexed.plainLength('data', id) ?? 0), 0);
    return { ...node, content, size };
  }

  #keep(id: Id): boolean {
    const known = this.#stays.get(id);
    if (known !== undefined) return known;
    const stays = this.#stays.size % 2 === 0;
    this.#stays.set(id, stays);
    return stays;
  }
}
