import {
  check,
  copy,
  EngineError,
  initRepository,
  listSnapshots,
  memoryBackend,
  prune,
  recover,
  repairIndex,
  repairSnapshots,
} from 'restic-engine';
import type { Backend, CheckProblem, Repository } from 'restic-engine';
import { compress, createSealer, sha256 } from '@restic-engine/repo-format';
import { expect, it } from 'vitest';
import { CHEAPEST, makeSealed, openStore, saveSnapshot, saveTree } from '../support/damage.ts';
import { all } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';

// Files that are well sealed and absurd, under all that upkeep does: nothing but errors with codes, and repairs that
// leave a sound repository with all snapshots there were.

/** Deeper than any stack. */
const DEPTH = 1_000_000;
const DEEP = '['.repeat(DEPTH) + ']'.repeat(DEPTH);
const ID = 'ab'.repeat(32);

const saveText = (repository: Repository, type: 'snapshot' | 'index', text: string): Promise<unknown> =>
  repository.saveFile(type, Buffer.from(text));
const saveIndexOf = (repository: Repository, place: string): Promise<unknown> =>
  saveText(repository, 'index', `{"packs":[{"id":"${ID}","blobs":[{"id":"${ID}","type":"data",${place}}]}]}`);
const saveTreeOf = async (repository: Repository, text: string): Promise<unknown> =>
  saveSnapshot(repository, await saveTree(repository, Buffer.from(text)));

/** A file of a few kilobytes that is longer than anybody wants to have in memory. */
async function saveBomb(repository: Repository, type: 'snapshot' | 'index'): Promise<void> {
  const frame = compress(Buffer.alloc(300 << 20, ' '), 'auto');
  const bytes = createSealer(repository.masterKey).seal(Buffer.concat([Buffer.from([2]), frame]));
  await repository.backend.save({ type, name: sha256(bytes) }, [bytes]);
}

interface Absurdity {
  readonly title: string;
  /** What check calls it; nothing where it does no harm. */
  readonly kind?: CheckProblem['kind'];
  make(repository: Repository): Promise<unknown>;
}

const ABSURDITIES: readonly Absurdity[] = [
  { title: 'a deep snapshot', kind: 'snapshot-broken', make: (repository) => saveText(repository, 'snapshot', DEEP) },
  {
    title: 'a snapshot with something deep in it',
    kind: 'tree-broken',
    make: (repository) =>
      saveText(repository, 'snapshot', `{"time":"2024-01-01T00:00:00Z","tree":"${ID}","paths":["/"],"x":${DEEP}}`),
  },
  {
    title: 'a snapshot that explodes',
    kind: 'snapshot-broken',
    make: (repository) => saveBomb(repository, 'snapshot'),
  },
  { title: 'a deep index', kind: 'index-broken', make: (repository) => saveText(repository, 'index', DEEP) },
  {
    title: 'an index with something deep in it',
    make: (repository) => saveText(repository, 'index', `{"packs":[],"x":${DEEP}}`),
  },
  { title: 'an index that explodes', kind: 'index-broken', make: (repository) => saveBomb(repository, 'index') },
  ...[
    `"offset":0,"length":${2 ** 53}`,
    `"offset":${2 ** 53},"length":50`,
    '"offset":0,"length":1e300',
    '"offset":-5,"length":50',
  ].map(
    (place): Absurdity => ({
      title: `an index with ${place}`,
      kind: 'index-broken',
      make: (repository) => saveIndexOf(repository, place),
    }),
  ),
  {
    title: 'an index with the largest numbers there are',
    kind: 'pack-missing',
    make: (repository) => saveIndexOf(repository, '"offset":4294967295,"length":4294967295'),
  },
  { title: 'a deep tree', kind: 'tree-broken', make: (repository) => saveTreeOf(repository, DEEP) },
  {
    title: 'a tree with something deep in it',
    kind: 'node-broken',
    make: (repository) => saveTreeOf(repository, `{"nodes":[{"name":"a","type":"file","content":null,"x":${DEEP}}]}`),
  },
];

async function expectCode(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!EngineError.is(error)) throw error;
  });
}

async function snapshotsIn(store: Backend): Promise<number> {
  const found = await all(listSnapshots(await openStore(store), { onBroken: () => undefined }));
  return found.filter(({ time }) => time < '2030').length;
}

it.concurrent.each(ABSURDITIES)(
  '$title is found and repaired',
  async ({ kind, make }) => {
    const { repository, store } = await makeSealed();
    for (const { name } of await all(store.list('lock'))) await store.remove({ type: 'lock', name });
    const before = await snapshotsIn(store);
    await make(repository);
    const found = await check(await openStore(store), { readData: true, lock: false });
    if (kind === undefined) expect(found.errors).toEqual([]);
    else expect(found.errors.map((problem) => problem.kind)).toContain(kind);

    const target = memoryBackend();
    await initRepository({ backend: target, password: PASSWORD, kdf: CHEAPEST });
    const onBroken = (): void => undefined;
    await expectCode(copy(await openStore(store), await openStore(target), { onBroken, lockSource: false }));
    await expectCode(prune(await openStore(store), { maxUnused: 0 }));
    expect(await snapshotsIn(store)).toBeGreaterThanOrEqual(before);

    await repairIndex(await openStore(store));
    await recover(await openStore(store));
    await repairSnapshots(await openStore(store), { forget: true });
    expect(await check(await openStore(store), { readData: true, lock: false })).toMatchObject({ errors: [] });
    expect(await snapshotsIn(store)).toBeGreaterThanOrEqual(before);
  },
  60_000,
);
