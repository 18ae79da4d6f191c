/** What can be wrong with packs. */
import { append, change, changePackOf, cutTo, flip, flipAt, placeOf, rename, savePack, sealedIn } from './damaging.ts';
import type { Damage } from './damaging.ts';

const TODAY = '/a/b/today';
const IN_DAY_3 = ['3 /a/b/today', '3 /a/text 3'] as const;
const PACKS = ['repair-packs', 'repair-snapshots'] as const;

export const PACK_DAMAGES: readonly Damage[] = [
  {
    title: 'a missing pack of data',
    errors: ['pack-missing'],
    repairs: ['repair-index', 'repair-snapshots'],
    lost: IN_DAY_3,
    make: async (store) => store.remove({ type: 'data', name: (await placeOf(store, 3, TODAY)).pack }),
  },
  {
    title: 'a missing pack of trees',
    errors: ['pack-missing', 'tree-broken'],
    repairs: ['repair-index', 'repair-snapshots'],
    lost: ['3 *'],
    make: async (store) => store.remove({ type: 'data', name: (await placeOf(store, 3, '/')).pack }),
  },
  {
    title: 'a truncated pack',
    errors: ['pack-size', 'pack-damaged'],
    repairs: PACKS,
    make: async (store) => changePackOf(store, 3, TODAY, (bytes) => bytes.subarray(0, -1)),
  },
  {
    title: 'a pack of which little is left',
    errors: ['pack-size', 'pack-damaged'],
    repairs: PACKS,
    lost: IN_DAY_3,
    make: async (store) => changePackOf(store, 3, TODAY, cutTo(20)),
  },
  {
    title: 'a pack of trees of which little is left',
    errors: ['pack-size', 'pack-damaged', 'tree-broken'],
    repairs: PACKS,
    lost: ['3 *'],
    make: async (store) => changePackOf(store, 3, '/', cutTo(100)),
  },
  {
    title: 'an empty pack',
    errors: ['pack-size', 'pack-damaged'],
    repairs: PACKS,
    lost: IN_DAY_3,
    make: async (store) => changePackOf(store, 3, TODAY, cutTo(0)),
  },
  {
    title: 'garbage behind a pack',
    errors: ['pack-size', 'pack-damaged'],
    repairs: PACKS,
    make: async (store) => changePackOf(store, 3, TODAY, append),
  },
  {
    title: 'garbage behind a pack of trees',
    errors: ['pack-size', 'pack-damaged'],
    repairs: PACKS,
    make: async (store) => changePackOf(store, 3, '/', append),
  },
  {
    title: 'a flipped bit in a blob',
    errors: ['pack-damaged'],
    inData: true,
    repairs: PACKS,
    lost: ['3 /a/b/today'],
    make: async (store) => flip(store, 3, TODAY),
  },
  {
    title: 'a flipped bit in a blob that all snapshots share',
    errors: ['pack-damaged'],
    inData: true,
    repairs: PACKS,
    lost: ['* /kept'],
    make: async (store) => flip(store, 0, '/kept'),
  },
  {
    title: 'a flipped bit in a tree',
    errors: ['pack-damaged', 'tree-broken'],
    repairs: PACKS,
    lost: ['3 /a/*'],
    make: async (store) => flip(store, 3, '/a'),
  },
  {
    title: 'a flipped bit in the tree of a snapshot',
    errors: ['pack-damaged', 'tree-broken'],
    repairs: PACKS,
    lost: ['3 *'],
    make: async (store) => flip(store, 3, '/'),
  },
  ...([TODAY, '/'] as const).flatMap((path): Damage[] => {
    const what = path === '/' ? 'trees' : 'data';
    return [
      {
        title: `a flipped bit in the header of a pack of ${what}`,
        errors: ['pack-damaged'],
        inData: true,
        repairs: PACKS,
        make: async (store) => changePackOf(store, 3, path, flipAt(-10)),
      },
      {
        title: `a flipped bit in the length of the header of a pack of ${what}`,
        errors: ['pack-damaged'],
        inData: true,
        repairs: PACKS,
        make: async (store) => changePackOf(store, 3, path, flipAt(-4)),
      },
      {
        title: `a header of gigabytes in a pack of ${what}`,
        errors: ['pack-damaged'],
        inData: true,
        repairs: PACKS,
        make: async (store) => changePackOf(store, 3, path, (bytes) => bytes.fill(0xff, bytes.length - 4)),
      },
    ];
  }),
  {
    title: 'a pack by another name',
    restic: 'helpless',
    errors: ['pack-missing'],
    hints: ['pack-orphaned'],
    repairs: ['repair-index', 'repair-snapshots'],
    make: async (store) => rename(store, 'data', (await placeOf(store, 3, TODAY)).pack),
  },
  {
    title: "two packs in each other's place",
    errors: ['pack-damaged'],
    inData: true,
    repairs: PACKS,
    make: async (store) => {
      const places = [await placeOf(store, 2, TODAY), await placeOf(store, 3, TODAY)] as const;
      const [a, b] = await Promise.all(places.map(({ pack }) => store.load({ type: 'data', name: pack })));
      await store.save({ type: 'data', name: places[0].pack }, [b!]);
      await store.save({ type: 'data', name: places[1].pack }, [a!]);
    },
  },
  {
    title: 'a pack that nobody knows',
    errors: [],
    hints: ['pack-orphaned'],
    repairs: [],
    make: async (store) => store.save({ type: 'data', name: 'ef'.repeat(32) }, [Buffer.alloc(400)]),
  },
  {
    title: 'blobs that are stored twice',
    errors: [],
    repairs: [],
    make: async (store) => savePack(store, (await sealedIn(store, (await placeOf(store, 3, TODAY)).pack)).toReversed()),
  },
  {
    title: 'damage to one of two copies',
    errors: ['pack-damaged'],
    inData: true,
    repairs: PACKS,
    make: async (store) => {
      const { pack } = await placeOf(store, 3, TODAY);
      await savePack(store, (await sealedIn(store, pack)).toReversed());
      await change(store, 'data', pack, (bytes) => bytes.fill(7, 0, 200).fill(7, bytes.length - 500));
    },
  },
  {
    title: 'a missing pack whose blobs are stored twice',
    errors: ['pack-missing'],
    repairs: ['repair-index', 'repair-snapshots'],
    make: async (store) => {
      const { pack } = await placeOf(store, 3, '/');
      await savePack(store, (await sealedIn(store, pack)).toReversed());
      await store.remove({ type: 'data', name: pack });
    },
  },
];
