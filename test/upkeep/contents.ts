/** What can be read of a repository, file by file. */
import { EngineError, listSnapshots, readFile, walk } from 'restic-engine';
import type { Backend, IndexedRepository, Node } from 'restic-engine';
import { openStore } from '../support/damage.ts';
import { bytesOf } from '../support/repository.ts';

/** `day /path` of a file → its content in base64, of anything else → its type. Of what was recovered, the day is `?`. */
export type Contents = ReadonlyMap<string, string>;

/** Everything that can be read in all snapshots, however much cannot. */
export async function contentsOf(store: Backend): Promise<Contents> {
  const repository = await openStore(store);
  const indexed = await repository.loadIndex();
  const found = new Map<string, string>();
  for await (const { tree, tags = [] } of listSnapshots(repository, { onBroken: () => undefined })) {
    const isRecovered = tags.includes('recovered');
    const day = isRecovered ? '?' : (tags[0] ?? '-');
    try {
      for await (const { path, node } of walk(indexed, tree)) {
        // A recovered snapshot has a folder for each tree that was found.
        const name = isRecovered ? path.replace(/^\/\w+/, '') : path;
        const content = await contentOf(indexed, node);
        if (content !== undefined && name !== '') found.set(`${day} ${name}`, content);
      }
    } catch (error) {
      // What cannot be walked through cannot be saved either.
      if (!EngineError.is(error)) throw error;
    }
  }
  return found;
}

/** Undefined for what cannot be read. */
async function contentOf(indexed: IndexedRepository, node: Node): Promise<string | undefined> {
  if (node.type === 'irregular') return undefined;
  if (node.type !== 'file') return node.type;
  const bytes = await bytesOf(readFile(indexed, node)).catch(() => undefined);
  return bytes?.toString('base64');
}
