/** What damage is, and tools that do it. */
import { findNode, listSnapshots } from 'restic-engine';
import type { Backend, CheckProblem, FileType, Id, Repair, Repository } from 'restic-engine';
import { createBlobCodec, encodeIndex, encodePackHeader, encodeTree, sha256 } from '@restic-engine/repo-format';
import type { BlobType, Node, PackEntry, SealedBlob } from '@restic-engine/repo-format';
import { openStore, saveSnapshot, saveTree } from '../support/damage.ts';
import { all } from '../support/repository.ts';

export interface Damage {
  readonly title: string;
  /** The kinds of errors and hints that the check must name, and no others. */
  readonly errors: readonly CheckProblem['kind'][];
  readonly hints?: readonly CheckProblem['kind'][];
  /** It is seen only when packs are read. */
  readonly inData?: boolean;
  /** What the check suggests when it has read all data, in this order. */
  readonly repairs: readonly Repair[];
  /** What no repair brings back: a day and a path, or `*` for all days, or for all that is below a folder. */
  readonly lost?: readonly string[];
  /** It cannot repair this (`helpless`), or tries to read what is not there for a minute and more (`slow`). */
  readonly restic?: 'helpless' | 'slow';
  /** The history is the one that `makeHistory` makes. */
  make(store: Backend): Promise<void>;
}

/** The first name of a type. */
export async function first(store: Backend, type: FileType): Promise<string> {
  const names = (await all(store.list(type))).map(({ name }) => name).toSorted();
  return names[0]!;
}

export type Edit = (bytes: Buffer) => Uint8Array;

export async function change(store: Backend, type: FileType, name: string, edit: Edit): Promise<void> {
  const bytes = Buffer.from(await store.load({ type, name }));
  await store.save({ type, name }, [edit(bytes)]);
}

export const flipAt =
  (at: number): Edit =>
  (bytes) => {
    bytes[(at + bytes.length) % bytes.length]! ^= 1;
    return bytes;
  };

export const cutTo =
  (length: number): Edit =>
  (bytes) =>
    bytes.subarray(0, length);

export const append: Edit = (bytes) => Buffer.concat([bytes, Buffer.from('something that was never written')]);

/** Gives a file another name, which is not the hash of its content. */
export async function rename(store: Backend, type: FileType, name: string): Promise<void> {
  await store.save({ type, name: 'cd'.repeat(32) }, [await store.load({ type, name })]);
  await store.remove({ type, name });
}

/** The snapshot of a day. */
export async function snapshotOf(store: Backend, day: number): Promise<{ readonly id: Id; readonly tree: Id }> {
  const snapshots = await all(listSnapshots(await openStore(store)));
  return snapshots.find(({ tags }) => tags?.[0] === String(day))!;
}

/** A blob, and where it lies. */
export type Place = PackEntry & { readonly pack: Id };

/** The first part of a file, or the tree of a folder, in the snapshot of a day. */
export async function placeOf(store: Backend, day: number, path: string): Promise<Place> {
  const { tree } = await snapshotOf(store, day);
  const indexed = await (await openStore(store)).loadIndex();
  if (path === '/') return indexed.locate('tree', tree)!;
  const { type, subtree, content } = await findNode(indexed, tree, path);
  return type === 'dir' ? indexed.locate('tree', subtree!)! : indexed.locate('data', content![0]!)!;
}

/** Changes the pack in which something lies. */
export async function changePackOf(store: Backend, day: number, path: string, edit: Edit): Promise<void> {
  await change(store, 'data', (await placeOf(store, day, path)).pack, edit);
}

/** Flips a bit of something. */
export async function flip(store: Backend, day: number, path: string): Promise<void> {
  const { pack, offset } = await placeOf(store, day, path);
  await change(store, 'data', pack, flipAt(offset + 20));
}

export interface IndexedBlob {
  id: Id;
  type: BlobType;
  offset: number;
  length: number;
  uncompressed_length?: number;
}

export interface IndexedPack {
  id: Id;
  blobs: IndexedBlob[];
}

interface IndexJson {
  packs: IndexedPack[];
}

/** Writes the index file that names a pack anew, after `edit` has changed what it says. */
export async function changeIndexOf(
  store: Backend,
  pack: Id,
  edit: (entry: IndexedPack, all: IndexedPack[]) => void,
): Promise<void> {
  const repository = await openStore(store);
  for (const { name } of await all(repository.list('index'))) {
    const index = JSON.parse(Buffer.from(await repository.loadFile('index', name)).toString()) as IndexJson;
    const entry = index.packs.find(({ id }) => id === pack);
    if (entry === undefined) continue;
    await repository.removeFile('index', name);
    edit(entry, index.packs);
    await repository.saveFile('index', Buffer.from(JSON.stringify(index)));
  }
}

/** The blobs of a pack as they are stored. */
export async function sealedIn(store: Backend, pack: Id): Promise<SealedBlob[]> {
  const bytes = await store.load({ type: 'data', name: pack });
  const indexed = await (await openStore(store)).loadIndex();
  return [...indexed.table.byPack((id) => id === pack)].flatMap(({ blobs }) =>
    blobs.map(({ id, type, offset, length, uncompressedLength }) => {
      return { id, type, bytes: bytes.slice(offset, offset + length), uncompressedLength };
    }),
  );
}

/** Stores sealed blobs in a pack with an index of its own. */
export async function savePack(store: Backend, sealed: readonly SealedBlob[]): Promise<void> {
  const repository = await openStore(store);
  let offset = 0;
  const blobs = sealed.map(({ id, type, bytes, uncompressedLength }): PackEntry => {
    const entry = { id, type, offset, length: bytes.length, uncompressedLength };
    offset += bytes.length;
    return entry;
  });
  const pack = Buffer.concat([...sealed.map(({ bytes }) => bytes), encodePackHeader(blobs, repository.sealer)]);
  const id = sha256(pack);
  await store.save({ type: 'data', name: id }, [pack]);
  await repository.saveFile('index', encodeIndex([{ id, blobs }]));
}

/** Lets a repository be sound, but for one blob that is nowhere. */
export async function loseBlob(store: Backend, day: number, path: string): Promise<void> {
  const { pack, id } = await placeOf(store, day, path);
  const others = (await sealedIn(store, pack)).filter((blob) => blob.id !== id);
  await store.remove({ type: 'data', name: pack });
  await changeIndexOf(store, pack, (entry, packs) => packs.splice(packs.indexOf(entry), 1));
  await savePack(store, others);
}

export const NODE: Omit<Node, 'name' | 'type' | 'content'> = {
  mode: 0o644,
  mtime: '2030-01-01T00:00:00Z',
  atime: '2030-01-01T00:00:00Z',
  ctime: '2030-01-01T00:00:00Z',
  uid: 0,
  gid: 0,
};

/** A snapshot of these nodes. */
export async function saveNodes(store: Backend, nodes: readonly Node[]): Promise<void> {
  await saveTreeBytes(store, encodeTree(nodes));
}

/** A snapshot of any bytes as its tree. */
export async function saveTreeBytes(store: Backend, bytes: Uint8Array): Promise<void> {
  const repository = await openStore(store);
  await saveSnapshot(repository, await saveTree(repository, bytes));
}

/** The content and the tree of one file, sealed as repositories of `version` have them. */
function sealFile(repository: Repository, version: 1 | 2): { content: SealedBlob; tree: SealedBlob } {
  const codec = createBlobCodec({ sealer: repository.sealer, version, compression: 'auto', verify: true });
  const content = codec.seal('data', Buffer.from('mixed'));
  const file: Node = { ...NODE, name: 'file', type: 'file', size: 5, content: [content.id] };
  return { content, tree: codec.seal('tree', encodeTree([file])) };
}

/** A snapshot whose only tree and only file lie in one pack, as old versions of restic wrote them. */
export async function saveMixedPack(store: Backend): Promise<void> {
  const repository = await openStore(store);
  const { content, tree } = sealFile(repository, 2);
  await savePack(store, [content, tree]);
  await saveSnapshot(repository, tree.id);
}

/** A snapshot as it is after a repository of version 1 was upgraded: nothing of it is compressed. */
export async function saveUncompressed(store: Backend): Promise<void> {
  const repository = await openStore(store);
  const { content, tree } = sealFile(repository, 1);
  await savePack(store, [content]);
  await savePack(store, [tree]);
  await saveSnapshot(repository, tree.id);
}
