/** What can be wrong with a repository, what a check calls it, and how it comes about. */
import type { Backend, FileType, CheckProblem, Repository } from 'restic-engine';
import { createBlobCodec, encodeIndex, encodePackHeader, encodeTree, sha256 } from '@restic-engine/repo-format';
import type { Node, PackEntry, SealedBlob } from '@restic-engine/repo-format';
import { openStore, saveSnapshot, saveTree } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { packsByType } from './repository.ts';

export interface Damage {
  readonly title: string;
  /** The kinds of errors and hints that the check must name, and no others. */
  readonly errors: readonly CheckProblem['kind'][];
  readonly hints: readonly CheckProblem['kind'][];
  /** It is seen only when packs are read. */
  readonly inData?: boolean;
  make(store: Backend): Promise<void>;
}

async function first(store: Backend, type: FileType): Promise<string> {
  const names = (await all(store.list(type))).map(({ name }) => name).toSorted();
  return names[0]!;
}

async function change(
  store: Backend,
  type: FileType,
  name: string,
  edit: (bytes: Buffer) => Uint8Array,
): Promise<void> {
  const bytes = Buffer.from(await store.load({ type, name }));
  await store.save({ type, name }, [edit(bytes)]);
}

const flipAt = (at: number) => (bytes: Buffer) => {
  bytes[(at + bytes.length) % bytes.length]! ^= 1;
  return bytes;
};

const NODE: Omit<Node, 'name' | 'type' | 'content'> = {
  mode: 0o644,
  mtime: '2030-01-01T00:00:00Z',
  atime: '2030-01-01T00:00:00Z',
  ctime: '2030-01-01T00:00:00Z',
  uid: 0,
  gid: 0,
};

async function saveNodes(repository: Repository, nodes: readonly Node[]): Promise<void> {
  await saveSnapshot(repository, await saveTree(repository, encodeTree(nodes)));
}

/** The content and the tree of one file, sealed as repositories of `version` have them. */
function sealFile(repository: Repository, version: 1 | 2): { content: SealedBlob; tree: SealedBlob } {
  const codec = createBlobCodec({ sealer: repository.sealer, version, compression: 'auto', verify: true });
  const content = codec.seal('data', Buffer.from('mixed'));
  const file: Node = { ...NODE, name: 'file', type: 'file', size: 5, content: [content.id] };
  return { content, tree: codec.seal('tree', encodeTree([file])) };
}

async function savePack(repository: Repository, sealed: readonly SealedBlob[]): Promise<void> {
  let offset = 0;
  const blobs = sealed.map(({ id, type, bytes, uncompressedLength }): PackEntry => {
    const entry = { id, type, offset, length: bytes.length, uncompressedLength };
    offset += bytes.length;
    return entry;
  });
  const pack = Buffer.concat([...sealed.map(({ bytes }) => bytes), encodePackHeader(blobs, repository.sealer)]);
  const id = sha256(pack);
  await repository.backend.save({ type: 'data', name: id }, [pack]);
  await repository.saveFile('index', encodeIndex([{ id, blobs }]));
}

/** A snapshot whose only tree and only file lie in one pack, as old versions of restic wrote them. */
async function saveMixedPack(store: Backend): Promise<void> {
  const repository = await openStore(store);
  const { content, tree } = sealFile(repository, 2);
  await savePack(repository, [content, tree]);
  await saveSnapshot(repository, tree.id);
}

/** A snapshot as it is after a repository of version 1 was upgraded: nothing of it is compressed. */
async function saveUncompressed(store: Backend): Promise<void> {
  const repository = await openStore(store);
  const { content, tree } = sealFile(repository, 1);
  await savePack(repository, [content]);
  await savePack(repository, [tree]);
  await saveSnapshot(repository, tree.id);
}

export const DAMAGES: readonly Damage[] = [
  {
    title: 'a missing pack of data',
    errors: ['pack-missing'],
    hints: [],
    make: async (store) => store.remove({ type: 'data', name: (await packsByType(store)).data[0]! }),
  },
  {
    title: 'a missing pack of trees',
    errors: ['pack-missing', 'tree-broken'],
    hints: [],
    make: async (store) => store.remove({ type: 'data', name: (await packsByType(store)).tree[0]! }),
  },
  {
    title: 'a truncated pack',
    errors: ['pack-size', 'pack-damaged'],
    hints: [],
    make: async (store) => change(store, 'data', (await packsByType(store)).data[0]!, (bytes) => bytes.subarray(0, -1)),
  },
  {
    title: 'a flipped bit in a blob',
    errors: ['pack-damaged'],
    hints: [],
    inData: true,
    make: async (store) => change(store, 'data', (await packsByType(store)).data[0]!, flipAt(100)),
  },
  {
    title: 'a flipped bit in the header of a pack',
    errors: ['pack-damaged'],
    hints: [],
    inData: true,
    make: async (store) => change(store, 'data', (await packsByType(store)).tree[0]!, flipAt(-10)),
  },
  {
    title: 'no index files',
    errors: ['tree-broken'],
    hints: ['pack-orphaned'],
    make: async (store) => {
      for (const { name } of await all(store.list('index'))) await store.remove({ type: 'index', name });
    },
  },
  {
    title: 'two index files that name the same packs',
    errors: [],
    hints: ['pack-duplicate'],
    make: async (store) => {
      const repository = await openStore(store);
      await repository.saveFile('index', await repository.loadFile('index', await first(store, 'index')));
    },
  },
  {
    title: 'a broken index file',
    errors: ['index-broken'],
    hints: [],
    make: async (store) => change(store, 'index', await first(store, 'index'), flipAt(50)),
  },
  {
    title: 'a broken snapshot',
    errors: ['snapshot-broken'],
    hints: [],
    make: async (store) => change(store, 'snapshot', await first(store, 'snapshot'), flipAt(50)),
  },
  {
    title: 'a snapshot of a tree that does not exist',
    errors: ['tree-broken'],
    hints: [],
    make: async (store) => void (await saveSnapshot(await openStore(store), 'ab'.repeat(32))),
  },
  {
    title: 'a directory without a tree',
    errors: ['node-broken'],
    hints: [],
    make: async (store) => saveNodes(await openStore(store), [{ ...NODE, name: 'dir', type: 'dir', content: null }]),
  },
  {
    title: 'a file without content',
    errors: ['node-broken'],
    hints: [],
    make: async (store) => saveNodes(await openStore(store), [{ ...NODE, name: 'file', type: 'file', content: null }]),
  },
  {
    title: 'a tree that is no tree',
    errors: ['tree-broken'],
    hints: [],
    make: async (store) => {
      const repository = await openStore(store);
      await saveSnapshot(repository, await saveTree(repository, Buffer.from('{"nodes":7}')));
    },
  },
  {
    title: 'a file whose content is unknown',
    errors: ['blob-missing'],
    hints: [],
    make: async (store) =>
      saveNodes(await openStore(store), [{ ...NODE, name: 'file', type: 'file', size: 1, content: ['cd'.repeat(32)] }]),
  },
  {
    title: 'a pack that nobody knows',
    errors: [],
    hints: ['pack-orphaned'],
    make: async (store) => store.save({ type: 'data', name: 'ef'.repeat(32) }, [Buffer.alloc(400)]),
  },
  {
    title: 'a pack of which half is left',
    errors: ['pack-size', 'pack-damaged'],
    hints: [],
    make: async (store) =>
      change(store, 'data', (await packsByType(store)).data[0]!, (bytes) => bytes.subarray(0, bytes.length / 2)),
  },
  {
    title: 'a pack of trees of which little is left',
    errors: ['pack-size', 'pack-damaged', 'tree-broken'],
    hints: [],
    make: async (store) =>
      change(store, 'data', (await packsByType(store)).tree[0]!, (bytes) => bytes.subarray(0, 600)),
  },
  {
    title: 'an entry of an irregular type',
    errors: ['node-broken'],
    hints: [],
    make: async (store) =>
      saveNodes(await openStore(store), [
        { ...NODE, name: 'file', type: 'file', content: [] },
        { ...NODE, name: 'odd', type: 'irregular', content: null },
      ]),
  },
  {
    title: 'an entry without a type',
    errors: ['tree-broken'],
    hints: [],
    make: async (store) => {
      const repository = await openStore(store);
      const nodes = ['a', 'b'].map((name): Node => ({ ...NODE, name, type: 'file', content: [] }));
      const json = Buffer.from(encodeTree(nodes)).toString().replace('"type":"file"', '"type":""');
      await saveSnapshot(repository, await saveTree(repository, Buffer.from(json)));
    },
  },
  {
    title: 'a file that says a wrong size',
    errors: [],
    hints: [],
    make: async (store) =>
      saveNodes(await openStore(store), [{ ...NODE, name: 'file', type: 'file', size: 3, content: [] }]),
  },
  { title: 'data of version 1', errors: [], hints: [], make: saveUncompressed },
  { title: 'a pack of trees and data', errors: [], hints: ['pack-mixed'], make: saveMixedPack },
];
