/** What archives of every format have in common: their entries and the names of those. */
import { EngineError, pathToBytes, throwIfAborted } from '@restic-engine/repo-format';
import type { Call, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { isPlainName } from '../restore/names.ts';
import { walk } from '../walk.ts';

/** How to pack an archive. */
export interface PackOptions extends Call {
  /** What names in the archive begin with, without slashes at its ends. @default '' */
  readonly prefix?: string | undefined;
}

/** A node, and what it is called in an archive. */
export interface ArchiveEntry {
  /** Bytes of the path from the top of the archive on; that of a directory ends with `/`. */
  readonly name: Uint8Array<ArrayBuffer>;
  readonly node: Node;
}

/**
 * The files, directories and symbolic links below a tree, in the order of `walk`. Whoever unpacks an archive believes its names, so one that would lead
 * out of its directory ends the walk with `corrupt`.
 */
export async function* walkForArchive(
  repository: IndexedRepository,
  tree: Id,
  { signal, prefix = '' }: PackOptions,
): AsyncGenerator<ArchiveEntry> {
  const before = prefix === '' ? '' : `${prefix}/`;
  for await (const { path, node } of walk(repository, tree, { signal })) {
    throwIfAborted(signal);
    if (node.type !== 'file' && node.type !== 'dir' && node.type !== 'symlink') continue;
    if (!isPlainName(node.name, 'linux')) {
      throw new EngineError('corrupt', `not a name for an entry of a directory: ${JSON.stringify(node.name)}`, {
        path: path.toWellFormed(),
      });
    }
    yield { name: pathToBytes(before + path.slice(1) + (node.type === 'dir' ? '/' : '')), node };
  }
}
