import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { backup, EngineError, forget, listSnapshots, localBackend, objects, prune } from 'restic-engine';
import type { Id, Repository } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { CHEAPEST, readEverything } from '../support/damage.ts';
import { randomFrom } from '../support/random.ts';
import { all, initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { checkAll } from './repository.ts';
import { packsNamed } from './waiting.ts';

// Prunes beside three that back up all the time, one of them restic, in a real folder with real locks.

const ROUNDS = 50;
const FORGET_EVERY = 4;

/** Few enough that what was forgotten comes back all the time. */
const random = randomFrom(11);
const CONTENTS = Array.from({ length: 24 }, (_, i) => random.bytes(1000 + i * 100));

/** Some of the contents, at random for real: backups are to differ in each run. */
function chosen(): readonly (readonly [string, Buffer])[] {
  return CONTENTS.flatMap((content, i) => (Math.random() < 0.15 ? [[`file ${i}`, content] as const] : []));
}

/** What is chosen after the index was loaded, and maybe marked since. */
async function* slowly(): AsyncGenerator<{ path: string; content: Buffer }> {
  await pause(Math.random() * 800);
  for (const [path, content] of chosen()) yield { path, content };
  yield { path: 'always', content: Buffer.of(1) };
}

/** Packs that are in the index although they were marked: somebody brought them back, and no prune has seen it yet. */
async function returnedPacks(repository: Repository): Promise<Id[]> {
  const { named, marked } = await packsNamed(repository);
  return [...marked].filter((id) => named.has(id));
}

/** Does something again and again, but not while it is asked to pause. */
class Worker {
  readonly #work: () => Promise<void>;
  #pausing: Promise<void> | undefined;
  #isOver = false;
  #idle = Promise.withResolvers<void>();
  readonly done: Promise<void>;
  runs = 0;

  constructor(work: () => Promise<void>) {
    this.#work = work;
    this.done = this.#run();
    this.done.catch(() => undefined);
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      if (this.#pausing === undefined) {
        await this.#work();
        this.runs += 1;
      } else {
        this.#idle.resolve();
        await this.#pausing;
      }
    }
  }

  /** Does nothing from when this resolves until `until` does. */
  async pause(until: Promise<void>): Promise<void> {
    this.#idle = Promise.withResolvers<void>();
    this.#pausing = until.then(() => void (this.#pausing = undefined));
    await Promise.race([this.#idle.promise, this.done]);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.done;
  }
}

await describeWithPeer('restic', 'lock-free prunes', (peer) => {
  it('lose nothing beside three that back up, for fifty rounds', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await initAt(repo, { kdf: CHEAPEST });
    const restic = resticAt(peer, { repo, cwd: folder.path });
    let overtaken = 0;

    const ours = async (): Promise<void> => {
      await using repository = await openAt(repo, { workers: 0 });
      const { problems } = await backup(repository, { source: objects(slowly()) });
      expect(problems).toEqual([]);
    };
    const theirs = async (): Promise<void> => {
      rmSync(join(folder.path, 'data'), { recursive: true, force: true });
      mkdirSync(join(folder.path, 'data'));
      writeFileSync(join(folder.path, 'data', 'always'), '1');
      for (const [name, content] of chosen()) writeFileSync(join(folder.path, 'data', name), content);
      const { status, stderr } = await restic.run(['backup', 'data', '--force']);
      // It lists the index and then reads it: a file may have been replaced in between. Nothing is lost but the time.
      if (status !== 0 && /index.*(no such file|does not exist)/is.test(stderr)) overtaken += 1;
      else expect(status, stderr).toBe(0);
    };
    const workers = [new Worker(ours), new Worker(ours), new Worker(theirs)];

    const counts = { marked: 0, waiting: 0, deleted: 0, returned: 0, postponed: 0 };
    await using repository = await openAt(repo, { workers: 0 });
    const returned = new Set<Id>();
    const pruneOnce = async (): Promise<void> => {
      for (const pack of await returnedPacks(repository)) returned.add(pack);
      const { lockFree, problems } = await prune(repository, { lockFree: true, keepDeleteMs: 0, maxUnused: 0 });
      expect(problems).toEqual([]);
      for (const name of ['marked', 'deleted', 'returned', 'postponed'] as const) counts[name] += lockFree![name];
    };
    try {
      for (let round = 1; round <= ROUNDS; round++) {
        await pruneOnce();
        if (round % FORGET_EVERY > 0) continue;
        const resume = Promise.withResolvers<void>();
        await Promise.all(workers.map((worker) => worker.pause(resume.promise)));
        await forget(repository, { policy: { last: 1 }, groupBy: [] }).catch((error: unknown) => {
          if (!EngineError.is(error, 'locked')) throw error;
        });
        resume.resolve();
      }
    } finally {
      await Promise.all(workers.map((worker) => worker.stop()));
    }
    for (const { runs } of workers) expect(runs).toBeGreaterThan(ROUNDS / 5);
    expect(overtaken).toBeLessThan(workers[2]!.runs / 5);
    for (const name of ['marked', 'deleted'] as const) expect(counts[name], name).toBeGreaterThan(0);
    expect(counts.returned + returned.size).toBeGreaterThan(0);

    // What restic's last backups counted on comes back, and in the end all that is not needed is gone.
    for (let i = 0; i < 3; i++) await pruneOnce();
    const checked = await restic.ok(['check', '--read-data']);
    expect(checked).toContain('no errors were found');
    expect(checked).not.toContain('additional files');
    expect(await checkAll(localBackend(repo))).toMatchObject({ errors: [], hints: [] });
    await readEverything(localBackend(repo));
    for (const { id } of (await all(listSnapshots(repository))).slice(0, 5)) {
      await restic.ok(['restore', id, '--target', join(folder.path, 'restored', id), '--verify']);
    }
  }, 300_000);
});
