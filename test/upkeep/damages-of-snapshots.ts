/** What can be wrong with snapshots and trees, and what is unusual but sound. */
import { encodeTree } from '@restic-engine/repo-format';
import type { Node } from '@restic-engine/repo-format';
import { openStore, saveSnapshot } from '../support/damage.ts';
import {
  append,
  change,
  cutTo,
  flipAt,
  loseBlob,
  NODE,
  rename,
  saveMixedPack,
  saveNodes,
  saveTreeBytes,
  saveUncompressed,
  snapshotOf,
} from './damaging.ts';
import type { Damage } from './damaging.ts';

const TODAY = '/a/b/today';

export const SNAPSHOT_DAMAGES: readonly Damage[] = [
  {
    title: 'a blob of data that is nowhere',
    errors: ['blob-missing'],
    repairs: ['repair-snapshots'],
    lost: ['3 /a/b/today'],
    make: async (store) => loseBlob(store, 3, TODAY),
  },
  {
    title: 'a tree that is nowhere',
    errors: ['tree-broken'],
    repairs: ['repair-snapshots'],
    lost: ['3 /a/b/today'],
    make: async (store) => loseBlob(store, 3, '/a/b'),
  },
  ...(
    [
      ['a broken snapshot', flipAt(50)],
      ['a truncated snapshot', cutTo(60)],
      ['an empty snapshot', cutTo(0)],
      ['garbage behind a snapshot', append],
    ] as const
  ).map(
    ([title, edit]): Damage => ({
      title,
      errors: ['snapshot-broken'],
      repairs: ['recover', 'repair-snapshots'],
      make: async (store) => change(store, 'snapshot', (await snapshotOf(store, 3)).id, edit),
    }),
  ),
  {
    title: 'a snapshot by another name',
    errors: ['snapshot-broken'],
    repairs: ['recover', 'repair-snapshots'],
    make: async (store) => rename(store, 'snapshot', (await snapshotOf(store, 3)).id),
  },
  {
    title: 'a snapshot of a tree that does not exist',
    errors: ['tree-broken'],
    repairs: ['repair-snapshots'],
    make: async (store) => void (await saveSnapshot(await openStore(store), 'ab'.repeat(32))),
  },
  {
    title: 'a directory without a tree',
    errors: ['node-broken'],
    repairs: ['repair-snapshots'],
    make: async (store) => saveNodes(store, [{ ...NODE, name: 'dir', type: 'dir', content: null }]),
  },
  {
    title: 'a file without content',
    errors: ['node-broken'],
    repairs: ['repair-snapshots'],
    make: async (store) => saveNodes(store, [{ ...NODE, name: 'file', type: 'file', content: null }]),
  },
  {
    title: 'a tree that is no tree',
    errors: ['tree-broken'],
    repairs: ['repair-snapshots'],
    make: async (store) => saveTreeBytes(store, Buffer.from('{"nodes":7}')),
  },
  {
    title: 'a file whose content is unknown',
    errors: ['blob-missing'],
    repairs: ['repair-snapshots'],
    make: async (store) =>
      saveNodes(store, [{ ...NODE, name: 'file', type: 'file', size: 1, content: ['cd'.repeat(32)] }]),
  },
  {
    title: 'an entry of an irregular type',
    errors: ['node-broken'],
    repairs: ['repair-snapshots'],
    make: async (store) =>
      saveNodes(store, [
        { ...NODE, name: 'file', type: 'file', content: [] },
        { ...NODE, name: 'odd', type: 'irregular', content: null },
      ]),
  },
  {
    title: 'an entry without a type',
    errors: ['tree-broken'],
    repairs: ['repair-snapshots'],
    make: async (store) => {
      const nodes = ['a', 'b'].map((name): Node => ({ ...NODE, name, type: 'file', content: [] }));
      const json = Buffer.from(encodeTree(nodes)).toString().replace('"type":"file"', '"type":""');
      await saveTreeBytes(store, Buffer.from(json));
    },
  },
  {
    title: 'a file that says a wrong size',
    errors: [],
    repairs: [],
    make: async (store) => saveNodes(store, [{ ...NODE, name: 'file', type: 'file', size: 3, content: [] }]),
  },
  { title: 'data of version 1', errors: [], repairs: [], make: saveUncompressed },
  { title: 'a pack of trees and data', errors: [], hints: ['pack-mixed'], repairs: [], make: saveMixedPack },
];
