/** What can be wrong with index files, and with what they say. */
import { openStore } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { append, change, changeIndexOf, cutTo, first, flipAt, placeOf, rename } from './damaging.ts';
import type { Damage } from './damaging.ts';

const TODAY = '/a/b/today';
const PACKS = ['repair-packs', 'repair-snapshots'] as const;

export const INDEX_DAMAGES: readonly Damage[] = [
  {
    title: 'no index files',
    errors: ['tree-broken'],
    hints: ['pack-orphaned'],
    repairs: ['repair-index', 'repair-snapshots'],
    make: async (store) => {
      for (const { name } of await all(store.list('index'))) await store.remove({ type: 'index', name });
    },
  },
  {
    title: 'a missing index file',
    errors: ['tree-broken'],
    hints: ['pack-orphaned'],
    repairs: ['repair-index', 'repair-snapshots'],
    make: async (store) => {
      const { pack } = await placeOf(store, 3, '/');
      await changeIndexOf(store, pack, (_, packs) => packs.splice(0));
    },
  },
  {
    title: 'two index files that name the same packs',
    errors: [],
    hints: ['pack-duplicate'],
    repairs: [],
    make: async (store) => {
      const repository = await openStore(store);
      await repository.saveFile('index', await repository.loadFile('index', await first(store, 'index')));
    },
  },
  {
    title: 'a broken index file',
    errors: ['index-broken'],
    repairs: ['repair-index'],
    make: async (store) => change(store, 'index', await first(store, 'index'), flipAt(50)),
  },
  {
    title: 'a truncated index file',
    errors: ['index-broken'],
    repairs: ['repair-index'],
    make: async (store) => change(store, 'index', await first(store, 'index'), cutTo(70)),
  },
  {
    title: 'an empty index file',
    errors: ['index-broken'],
    repairs: ['repair-index'],
    make: async (store) => change(store, 'index', await first(store, 'index'), cutTo(0)),
  },
  {
    title: 'garbage behind an index file',
    errors: ['index-broken'],
    repairs: ['repair-index'],
    make: async (store) => change(store, 'index', await first(store, 'index'), append),
  },
  {
    title: 'an index file by another name',
    errors: ['index-broken'],
    repairs: ['repair-index'],
    make: async (store) => rename(store, 'index', await first(store, 'index')),
  },
  {
    title: 'an index with wrong offsets',
    errors: ['pack-damaged'],
    inData: true,
    repairs: PACKS,
    make: async (store) =>
      changeIndexOf(store, (await placeOf(store, 3, TODAY)).pack, ({ blobs }) => {
        const [a, b] = [blobs[0]!, blobs[1]!];
        [a.offset, b.offset] = [b.length, 0];
      }),
  },
  {
    title: 'an index with wrong lengths',
    restic: 'helpless',
    errors: ['pack-size', 'pack-damaged'],
    repairs: PACKS,
    make: async (store) =>
      changeIndexOf(store, (await placeOf(store, 3, TODAY)).pack, ({ blobs }) => void (blobs[0]!.length += 1)),
  },
  {
    title: 'an index with wrong lengths of what is compressed',
    errors: ['pack-damaged'],
    inData: true,
    repairs: PACKS,
    make: async (store) =>
      changeIndexOf(store, (await placeOf(store, 3, TODAY)).pack, ({ blobs }) => {
        for (const blob of blobs) blob.uncompressed_length = 5;
      }),
  },
  {
    title: "an index in which two packs are in each other's place",
    errors: ['pack-size', 'pack-damaged', 'tree-broken'],
    repairs: PACKS,
    make: async (store) =>
      changeIndexOf(store, (await placeOf(store, 3, TODAY)).pack, (entry, packs) => {
        const other = packs.find(({ blobs }) => blobs[0]!.type === 'tree')!;
        [entry.id, other.id] = [other.id, entry.id];
      }),
  },
  {
    title: 'an index without a blob of data',
    restic: 'slow',
    errors: ['pack-size', 'pack-damaged', 'blob-missing'],
    repairs: PACKS,
    make: async (store) => {
      const { pack, id } = await placeOf(store, 3, TODAY);
      await changeIndexOf(store, pack, (entry) => {
        entry.blobs = entry.blobs.filter((blob) => blob.id !== id);
      });
    },
  },
  {
    title: 'an index without a tree',
    restic: 'slow',
    errors: ['pack-size', 'pack-damaged', 'tree-broken'],
    repairs: PACKS,
    make: async (store) => {
      const { pack, id } = await placeOf(store, 3, '/a');
      await changeIndexOf(store, pack, (entry) => {
        entry.blobs = entry.blobs.filter((blob) => blob.id !== id);
      });
    },
  },
  {
    title: 'an index with a blob that is not there',
    errors: ['pack-size', 'pack-damaged'],
    repairs: PACKS,
    make: async (store) =>
      changeIndexOf(store, (await placeOf(store, 3, TODAY)).pack, ({ blobs }) => {
        blobs.push({ id: 'ab'.repeat(32), type: 'data', offset: 10 ** 6, length: 100 });
      }),
  },
];
