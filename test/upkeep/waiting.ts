/** Repositories in which packs wait for their deletion by a lock-free prune. */
import { backup, listSnapshots, objects, prune, withFaults, wrap } from 'restic-engine';
import type { Backend, Repository } from 'restic-engine';
import type { FaultCall } from '@restic-engine/backends';
import { decodeIndex, encodeLock, encodeMarks } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { filesOf, openStore, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { all } from '../support/repository.ts';
import { forgetDays, makeHistory } from './repository.ts';

/** Marks all that is not needed, and deletes as soon as it is safe. */
export const LOCK_FREE = { lockFree: true, keepDeleteMs: 0, maxUnused: 0 } as const;

/** A store with something that happens before the first of certain calls. */
export function withEvent(store: Backend, when: (call: FaultCall) => boolean, event: () => Promise<unknown>): Backend {
  const faults = [{ when, nth: 1, effect: { kind: 'delay', ms: 1 } }] as const;
  return wrap(store, withFaults({ faults, time: { sleep: async () => void (await event()) } }));
}

/** A lock as restic writes one, of a process elsewhere; resolves with its file. */
export async function lockAs(store: Backend, pid: number, time: string = new Date().toISOString()): Promise<Id> {
  const lock = { time, exclusive: false, hostname: 'elsewhere', username: 'somebody', pid };
  return (await openStore(store)).saveFile('lock', encodeLock(lock));
}

/** Packs that index files name, as usual or as waiting for their deletion. */
export async function packsNamed(repository: Repository): Promise<{ named: Set<Id>; marked: Set<Id> }> {
  const found = { named: new Set<Id>(), marked: new Set<Id>() };
  for (const { name } of await all(repository.list('index'))) {
    decodeIndex(await repository.loadFile('index', name), 2, {
      pack: (id) => void found.named.add(id),
      blob: () => undefined,
      marks: ({ packs }) => packs.forEach(({ id }) => found.marked.add(id)),
    });
  }
  return found;
}

/** The files of a store that holds `files` and has gone through `work`. */
export async function after(
  files: readonly StoredFile[],
  work: (store: Backend) => Promise<unknown>,
): Promise<StoredFile[]> {
  const store = await storeOf(files);
  await work(store);
  return filesOf(store);
}

export interface Waiting {
  /** A run on these deletes, returns, confirms and marks. */
  readonly files: readonly StoredFile[];
  /** The same snapshots, where no prune has ever been. */
  readonly untouched: readonly StoredFile[];
  /** A snapshot that needs what is only marked. */
  readonly late: StoredFile;
}

/** Days 0 and 2 are forgotten and marked; 3 was, too, but is back; 1 and 7 are forgotten since; packs were left behind. */
export async function makeWaiting(): Promise<Waiting> {
  const whole = await after(await makeHistory(), async (store) => {
    const repository = await openStore(store);
    const random = randomFrom(4);
    const [p, q] = [random.bytes(9000), random.bytes(9000)].map((content, i) => ({ path: `${i}`, content }));
    await backup(repository, { source: objects([p!, q!]), tags: ['7'] });
    await backup(repository, { source: objects([p!]), tags: ['8'] });
  });
  const [third] = (await all(listSnapshots(await openStore(await storeOf(whole))))).filter(
    ({ tags }) => tags?.[0] === '3',
  );
  const late = whole.find(({ name }) => name === third!.id)!;
  const untouched = await after(whole, async (store) => forgetDays(await openStore(store), [0, 1, 2, 7]));
  const files = await after(whole, async (store) => {
    const repository = await openStore(store);
    await forgetDays(repository, [0, 2, 3]);
    await prune(repository, LOCK_FREE);
    await store.save({ type: 'snapshot', name: late.name }, [late.bytes]);
    await forgetDays(repository, [1, 7]);
    await store.save({ type: 'data', name: 'ab'.repeat(32) }, [new Uint8Array(500)]);
    await store.save({ type: 'data', name: 'cd'.repeat(32) }, [new Uint8Array(500)]);
    const packs = [{ id: 'cd'.repeat(32), time: '2024-01-01T00:00:00Z', blobs: [] }];
    await repository.saveFile('index', encodeMarks({ packs }));
  });
  return { files, untouched, late };
}
