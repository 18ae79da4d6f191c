import type { Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';

/** What packing asks of a repository: trees by their names, and blobs whose id is their first letter 64 times. */
export function repositoryOf(trees: Record<string, Node[]>, blobs: Record<string, Uint8Array> = {}): IndexedRepository {
  const blob = (id: string): Uint8Array | undefined => blobs[id.charAt(0)];
  const fake = {
    loadTree: (id: string) => Promise.resolve(trees[id] ?? []),
    plainLength: (_: string, id: string) => blob(id)?.length,
    loadBlob: (_: string, id: string) => Promise.resolve(blob(id)),
  };
  return fake as unknown as IndexedRepository;
}

/** A file of such blobs, each by its letter. */
export function fileOf(base: Omit<Node, 'name' | 'type'>, name: string, blobs: string): Node {
  return { ...base, name, type: 'file', content: [...blobs].map((letter) => letter.repeat(64)) };
}
