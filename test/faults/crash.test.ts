import { join } from 'node:path';
import {
  backup,
  EngineError,
  initRepository,
  listSnapshots,
  localBackend,
  memoryBackend,
  objects,
  openRepository,
  readFile,
  walk,
  withFaults,
  wrap,
} from 'restic-engine';
import type { Backend, FileType, Repository } from 'restic-engine';
import type { FaultPlan } from '@restic-engine/backends';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { randomFrom } from '../support/random.ts';
import { all, bytesOf, CHEAP } from '../support/repository.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// A process may die between any two things it does. Whatever it leaves behind is a repository in which every snapshot
// is whole, and the next backup finds its way.

const random = randomFrom(42);
/** More than fits in one pack of the smallest size. */
const LARGE = random.bytes(5 << 20);
const CHANGED = random.bytes(100_000);

/** What the first, second and third backup hold: path → content. */
const STATES: readonly (readonly (readonly [string, string | Buffer])[])[] = [
  [
    ['large', LARGE],
    ['a/b/c', 'deep'],
    ['a/same', 'same'],
    ['text', 'first'],
  ],
  [
    ['large', LARGE],
    ['changed', CHANGED],
    ['a/same', 'same'],
    ['text', 'second'],
  ],
  [
    ['large', LARGE],
    ['changed', CHANGED],
    ['a/same', 'same'],
    ['text', 'third'],
  ],
];

const isEngineError = (error: unknown): true => {
  if (EngineError.is(error)) return true;
  throw error;
};

function open(backend: Backend): Promise<Repository> {
  return openRepository({ backend, password: PASSWORD, workers: 0, packSize: 4 << 20 });
}

async function makeSnapshot(repository: Repository, state: number): Promise<void> {
  const entries = STATES[state]!.map(([path, content]) => ({ path, content }));
  const { errors } = await backup(repository, { source: objects(entries), tags: [String(state)] });
  expect(errors).toEqual([]);
}

/** init, backup, backup; every step may be the last. Resolves with the number of backups that said they were done. */
async function live(backend: Backend): Promise<number> {
  let done = 0;
  try {
    await initRepository({ backend, password: PASSWORD, kdf: CHEAP });
    const repository = await open(backend);
    for (; done < 2; done++) await makeSnapshot(repository, done);
  } catch (error) {
    isEngineError(error);
  }
  return done;
}

/** Reads every file of every snapshot; resolves with the states that were found. */
async function readAll(repository: Repository): Promise<number[]> {
  const snapshots = await all(listSnapshots(repository));
  const indexed = await repository.loadIndex();
  const states: number[] = [];
  for (const { tree, tags } of snapshots) {
    const state = Number(tags?.[0]);
    const found = new Map<string, Buffer>();
    for await (const { path, node } of walk(indexed, tree)) {
      if (node.type === 'file') found.set(path, await bytesOf(readFile(indexed, node)));
    }
    expect(found.size).toBe(STATES[state]!.length);
    for (const [path, content] of STATES[state]!)
      expect(found.get(`/${path}`)?.equals(Buffer.from(content)), path).toBe(true);
    states.push(state);
  }
  return states.toSorted((a, b) => a - b);
}

/** Every pack that an index names is there. */
async function expectNoLostPacks(repository: Repository): Promise<void> {
  const packs = new Set((await all(repository.list('data'))).map(({ name }) => name));
  for (const { name } of await all(repository.list('index'))) {
    const { packs: named } = JSON.parse(Buffer.from(await repository.loadFile('index', name)).toString()) as {
      packs: { id: string }[];
    };
    for (const { id } of named) expect(packs, `index ${name}`).toContain(id);
  }
}

/** What a program that starts after the crash sees and does. */
async function expectRecovery(store: Backend, done: number): Promise<void> {
  let repository: Repository;
  try {
    repository = await open(store);
  } catch (error) {
    // Not even made: and nobody was told otherwise.
    expect(error).toMatchObject({ code: 'no-repository' });
    expect(done).toBe(0);
    expect(await all(store.list('snapshot'))).toEqual([]);
    return;
  }
  await expectNoLostPacks(repository);
  const before = await readAll(repository);
  // What was done is there; what was not may be, whole.
  expect(before.length).toBeGreaterThanOrEqual(done);
  expect(before).toEqual([0, 1].slice(0, before.length));
  await makeSnapshot(repository, 2);
  expect(await readAll(repository)).toEqual([...before, 2]);
  await expectNoLostPacks(repository);
}

/** Calls that a life without a crash makes. */
async function countCalls(): Promise<number> {
  let calls = 0;
  const backend = wrap(memoryBackend(), withFaults({ onCall: () => (calls += 1) }));
  expect(await live(backend)).toBe(2);
  return calls;
}

/** Dies instead of the call after the first `calls`, or when that call has been carried out but nobody knows. */
function deathAt(calls: number, when: 'before' | 'after'): FaultPlan {
  const crash = { after: when === 'before' ? calls : calls + 1 };
  return when === 'before' ? { crash } : { crash, faults: [{ nth: calls + 1, effect: { kind: 'fail-after' } }] };
}

/** Runs `work` for every number, several at once: most of the time is spent waiting for locks to settle. */
async function forAll(numbers: readonly number[], work: (number: number) => Promise<void>): Promise<void> {
  const queue = [...numbers];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) await work(next);
  };
  await Promise.all(Array.from({ length: 12 }, worker));
}

async function copyTo(store: Backend, path: string): Promise<void> {
  const folder = localBackend(path);
  await folder.create();
  const types: readonly FileType[] = ['key', 'snapshot', 'index', 'data'];
  for (const type of types) {
    for (const { name } of await all(store.list(type)))
      await folder.save({ type, name }, [await store.load({ type, name })]);
  }
  const config = { type: 'config', name: '' } as const;
  await folder.save(config, [await store.load(config)]);
}

const upTo = (length: number): number[] => Array.from({ length }, (_, i) => i);

describe('a process that dies', () => {
  it.each(['before', 'after'] as const)(
    '%s any call to its store leaves whole snapshots only',
    async (when) => {
      const calls = await countCalls();
      expect(calls).toBeGreaterThan(30);
      const outcomes = new Set<number>();
      await forAll(upTo(calls), async (at) => {
        const store = memoryBackend();
        const done = await live(wrap(store, withFaults(deathAt(at, when))));
        outcomes.add(done);
        await expectRecovery(store, done);
      });
      // The crashes came in every phase of its life.
      expect(outcomes.has(0) && outcomes.has(1)).toBe(true);
    },
    120_000,
  );
});

await describeWithPeer('restic', 'what a dead process leaves', (peer) => {
  it('is sound to restic', async () => {
    const calls = await countCalls();
    using folder = makeTempDir();
    for (const at of upTo(6).map((i) => Math.floor(calls * (0.3 + i * 0.12)))) {
      const store = memoryBackend();
      await live(wrap(store, withFaults(deathAt(at, at % 2 === 0 ? 'before' : 'after'))));
      const repo = join(folder.path, String(at));
      await copyTo(store, repo);
      expect(await resticAt(peer, { repo }).ok(['check', '--read-data'])).toContain('no errors were found');
    }
  });
});
