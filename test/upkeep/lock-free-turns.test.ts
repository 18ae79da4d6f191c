import { initRepository, listSnapshots, memoryBackend, prune, readFile, walk, withFaults, wrap } from 'restic-engine';
import type { Backend, Id, Node, Repository } from 'restic-engine';
import { encodeLock, encodeSnapshot, encodeTree } from '@restic-engine/repo-format';
import { returnNeeded, withUpload } from '@restic-engine/repository';
import { expect, it } from 'vitest';
import { CHEAPEST, openStore, readEverything } from '../support/damage.ts';
import { pick, randomFrom } from '../support/random.ts';
import type { Random } from '../support/random.ts';
import { all, bytesOf } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { checkAll } from './repository.ts';
import { Turns } from './turns.ts';
import { LOCK_FREE } from './waiting.ts';

// Lock-free prunes beside backups, every call to the store in an order that chance chooses. No blob is ever lost, and
// what could be read can be read at every moment.

/** Few, so that what was forgotten comes back all the time. */
const CONTENTS = Array.from({ length: 6 }, (_, i) => Buffer.from(`content ${i} `.repeat(20 + i)));

/** Ours look for marks at their end; restic's do not. */
type Kind = 'ours' | 'theirs';

interface World {
  readonly store: Backend;
  readonly random: Random;
  readonly turns: Turns;
  readonly kinds: readonly Kind[];
  readonly counts: Record<string, number>;
  readonly failures: unknown[];
  backups: number;
  /** Hosts of the snapshots whose backups are over. */
  readonly ended: Set<string>;
}

async function makeWorld(seed: number, kinds: readonly Kind[]): Promise<World> {
  const store = memoryBackend();
  await initRepository({ backend: store, password: PASSWORD, kdf: CHEAPEST });
  const random = randomFrom(seed);
  const counts = { gaps: 0 };
  return { store, random, turns: new Turns(random), kinds, counts, failures: [], backups: 0, ended: new Set() };
}

function fileNode(name: string, blobs: readonly Id[]): Node {
  const time = '2024-01-01T00:00:00Z';
  const times = { mtime: time, atime: time, ctime: time };
  return { name, type: 'file', mode: 0o644, ...times, uid: 0, gid: 0, content: blobs };
}

/** What a backup does, step by step: lock, index, packs and their index, snapshot, unlock. */
async function backUp(world: World, kind: Kind): Promise<void> {
  const { random } = world;
  const pid = 100_000 + world.backups++;
  const chosen = CONTENTS.filter(() => random.int(2) === 0);
  await world.turns.start(async (wrapper, pass) => {
    const repository = await openStore(wrap(world.store, wrapper));
    const idle = async (): Promise<void> => {
      for (let left = random.int(120); left > 0; left--) await pass();
    };
    const run = kind === 'ours' ? { run: String(pid) } : {};
    const facts = { time: new Date().toISOString(), exclusive: false, hostname: 'elsewhere', username: 'u', pid };
    const lock = await repository.saveFile('lock', encodeLock({ ...facts, ...run }));
    const indexed = await repository.loadIndex();
    await idle();
    const root = await withUpload(indexed, {}, async (upload) => {
      const ids: Id[] = [];
      for (const content of chosen) ids.push((await upload.save('data', content)).id);
      const nodes = ids.map((id, at) => fileNode(`f${at}`, [id]));
      return (await upload.save('tree', encodeTree(nodes))).id;
    });
    await idle();
    const snapshot = { time: '2024-01-01T00:00:00Z', tree: root, paths: ['/'], hostname: String(pid) };
    await repository.saveFile('snapshot', encodeSnapshot(snapshot));
    if (kind === 'ours') await returnNeeded(indexed, [root], {});
    await repository.removeFile('lock', lock);
    world.ended.add(String(pid));
  });
}

/** The snapshots that can be read as a whole. */
async function readableSnapshots(repository: Repository): Promise<Set<Id>> {
  const readable = new Set<Id>();
  const indexed = await repository.loadIndex();
  for (const { id, tree } of await all(listSnapshots(repository))) {
    try {
      for await (const { node } of walk(indexed, tree)) {
        if (node.type === 'file') await bytesOf(readFile(indexed, node));
      }
      readable.add(id);
    } catch {
      // Not now: a prune that took something out of the index that a backup counted on.
    }
  }
  return readable;
}

/** What was readable before stays so, whatever a prune stores or removes; afterwards all that was there is readable. */
async function pruneWatched(world: World): Promise<void> {
  const { store, turns, counts, ended } = world;
  const bare = await openStore(store);
  const snapshots = await all(listSnapshots(bare));
  const there = snapshots.map(({ id }) => id);
  const before = await readableSnapshots(bare);
  // A backup that has stored its snapshot a moment ago has yet to look for marks.
  const gaps = snapshots.filter(({ id, hostname }) => ended.has(hostname ?? '') && !before.has(id));
  counts['gaps'] = (counts['gaps'] ?? 0) + gaps.length;
  let removals = 0;
  const count = withFaults({
    onCall: ({ method, type }) => (removals += Number(method === 'remove' && type !== 'lock')),
  });
  let isOver = false;
  const pruning = turns.start(async (wrapper) => {
    const repository = await openStore(wrap(store, count, wrapper));
    return prune(repository, LOCK_FREE);
  });
  const settled = pruning.finally(() => (isOver = true));
  settled.catch(() => undefined);
  let looked = 0;
  await turns.run(
    () => isOver,
    async () => {
      if (turns.size < 4 && world.random.int(15) === 0) startBackup(world);
      if (looked === removals) return;
      looked = removals;
      const now = await readableSnapshots(bare);
      for (const id of before) expect(now, `snapshot ${id} after ${removals} removals`).toContain(id);
    },
  );
  const { lockFree } = await settled;
  for (const [name, number] of Object.entries(lockFree!)) counts[name] = (counts[name] ?? 0) + number;
  const after = await readableSnapshots(bare);
  for (const id of there) expect(after, `snapshot ${id}`).toContain(id);
}

function startBackup(world: World): void {
  backUp(world, pick(world.random, world.kinds)).catch((error: unknown) => world.failures.push(error));
}

/** Prunes beside backups that come and go; where none is under way, snapshots are forgotten. */
async function live(world: World, rounds: number): Promise<void> {
  const { random, turns, store, failures } = world;
  for (let round = 0; round < rounds; round++) {
    while (turns.size < random.int(3)) startBackup(world);
    await pruneWatched(world);
    if (random.int(2) === 0) {
      await turns.run(() => turns.size === 0);
      for (const { name } of await all(store.list('snapshot'))) {
        if (random.int(3) > 0) await store.remove({ type: 'snapshot', name });
      }
    }
    expect(failures).toEqual([]);
  }
  await turns.run(() => turns.size === 0);
  expect(failures).toEqual([]);
}

const SEEDS = Array.from({ length: 12 }, (_, i) => i + 1);

async function liveAll(kinds: readonly Kind[], judge: (world: World) => Promise<void>): Promise<World['counts']> {
  const sum: World['counts'] = {};
  await Promise.all(
    SEEDS.map(async (seed) => {
      const world = await makeWorld(seed, kinds);
      await live(world, 8);
      await judge(world);
      for (const [name, number] of Object.entries(world.counts)) sum[name] = (sum[name] ?? 0) + number;
    }),
  );
  return sum;
}

it('loses nothing beside backups of any kind, and cleans up in the end', async () => {
  const counts = await liveAll(['ours', 'theirs'], async (world) => {
    // Another one returns what the last backups counted on, the next two mark and delete all the rest. In one of a
    // thousand orders packs still waited then; that they go at all is what counts.
    for (let i = 0; i < 5; i++) await prune(await openStore(world.store), LOCK_FREE);
    await readEverything(world.store);
    expect(await checkAll(world.store)).toMatchObject({ errors: [], hints: [] });
    const { stats } = await prune(await openStore(world.store), { dryRun: true, maxUnused: 0 });
    expect(stats.bytes).toMatchObject({ unused: 0, duplicate: 0, unreferenced: 0 });
  });
  for (const name of ['marked', 'deleted', 'returned', 'postponed']) {
    expect(counts[name], JSON.stringify(counts)).toBeGreaterThan(0);
  }
}, 120_000);

it('leaves no gap beside backups that look for marks', async () => {
  const counts = await liveAll(['ours'], async ({ store }) => void (await readEverything(store)));
  expect(counts['gaps']).toBe(0);
  for (const name of ['marked', 'deleted']) expect(counts[name], name).toBeGreaterThan(0);
}, 120_000);
