import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, initRepository, objects, openRepository, restore, withRetry, wrap } from 'restic-engine';
import type { Backend, RetryOptions } from 'restic-engine';
import { expect, it } from 'vitest';
import { override } from '../../packages/backends/src/wrap/wrap.ts';
import { fastTime } from '../support/fast-time.ts';
import { startProxy } from '../support/proxy.ts';
import type { Proxy } from '../support/proxy.ts';
import { randomFrom } from '../support/random.ts';
import { CHEAP } from '../support/repository.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import type { Restic } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { describeWithServers, KINDS, openPlace, placesOn } from './kinds.ts';
import type { Setting } from './kinds.ts';
import { showLogsOfFailures } from './logs.ts';
import type { Place } from './server.ts';
import { expectWholeFiles } from './stored.ts';

// Whole backups and restores while lines break and servers die. Whatever happens, restic finds a sound repository.

showLogsOfFailures();

const MIB = 2 ** 20;
const random = randomFrom(12);
/** Five packs or six, and some short files. */
const ENTRIES = [
  ...Array.from({ length: 7 }, (_, file) => ({ path: `large/${file}`, content: random.bytes(3 * MIB) })),
  ...Array.from({ length: 50 }, (_, file) => ({ path: `small/${file}`, content: random.bytes(2000) })),
];

interface Stage extends AsyncDisposable {
  readonly proxy: Proxy;
  /** Through the proxy, without retries. */
  readonly backend: Backend;
  readonly direct: Place;
  readonly restic: Restic;
}

let places = 0;

/** A new repository at the end of a line of its own. */
async function makeStage({ server, restic }: Setting): Promise<Stage> {
  const proxy = await startProxy({ target: server().port });
  places += 1;
  const name = `backup-${places}`;
  const { ours: direct, theirs } = await placesOn(server(), name);
  {
    await using backend = await openPlace(direct);
    await initRepository({ backend, password: PASSWORD, kdf: CHEAP });
  }
  const backend = await openPlace(await server().place(name, { port: proxy.port }));
  const { location: repo, env, options } = theirs;
  return {
    proxy,
    backend,
    direct,
    restic: resticAt(restic, { repo, env, options }),
    async [Symbol.asyncDispose]() {
      await backend[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

async function backUp(backend: Backend, retry: RetryOptions): Promise<void> {
  await using repository = await openRepository({
    backend: wrap(backend, withRetry(retry)),
    password: PASSWORD,
    packSize: 4 * MIB,
    workers: 0,
  });
  const { errors } = await backup(repository, { source: objects(ENTRIES) });
  expect(errors).toEqual([]);
}

/** restic finds nothing wrong, and exactly what was backed up. */
async function expectSound({ restic, direct }: Stage, snapshots: number): Promise<void> {
  await expectWholeFiles(direct);
  // A lock is what a crash leaves, too.
  expect(await restic.ok(['check', '--read-data', '--no-lock'])).toContain('no errors were found');
  expect(JSON.parse(await restic.ok(['snapshots', '--no-lock', '--json']))).toHaveLength(snapshots);
  if (snapshots === 0) return;
  using folder = makeTempDir();
  await restic.ok(['restore', 'latest', '--no-lock', '--target', folder.path]);
  expectRestored(folder.path);
}

function expectRestored(folder: string): void {
  for (const { path, content } of ENTRIES) {
    expect(Buffer.compare(readFileSync(join(folder, path)), content), path).toBe(0);
  }
}

/** Does something when the `count`-th pack is about to be stored. */
function atPack(backend: Backend, count: number, work: () => Promise<void>): Backend {
  let packs = 0;
  return override(backend, {
    async save(file, segments, call) {
      if (file.type === 'data') packs += 1;
      if (file.type === 'data' && packs === count) await work();
      return backend.save(file, segments, call);
    },
  });
}

await describeWithServers('a backup', KINDS, (setting) => {
  it.skipIf(setting.kind.forgets)('goes on when the server is killed in the middle and started again', async () => {
    await using stage = await makeStage(setting);
    let restarted = Promise.resolve();
    const backend = atPack(stage.backend, 3, async () => {
      // It dies with a part of a pack in its hands.
      const { begun } = stage.proxy.arm({ direction: 'up', after: MIB, effect: 'stall' });
      restarted = begun.then(() => setting.server().restart());
    });
    const time = fastTime(() => restarted);
    await backUp(backend, { time, attempts: 20 });
    expect(time.sleeps).not.toEqual([]);
    await expectSound(stage, 1);
  });

  it('gets through a line that breaks again and again', async () => {
    await using stage = await makeStage(setting);
    const faults = [
      stage.proxy.arm({ direction: 'up', after: 2.5 * MIB, effect: 'end', times: 4 }),
      stage.proxy.arm({ direction: 'up', after: 4.2 * MIB, effect: 'reset', times: 2 }),
      stage.proxy.arm({ direction: 'down', after: 300, effect: 'end', times: 4 }),
    ];
    const time = fastTime();
    await backUp(stage.backend, { time });
    expect(faults.map(({ happened }) => happened)).toEqual([4, 2, 4]);
    expect(time.sleeps).not.toEqual([]);
    await expectSound(stage, 1);
  });

  it('dies with its line, and the next one succeeds', async () => {
    await using stage = await makeStage(setting);
    const backend = atPack(stage.backend, 3, () => stage.proxy.refuse());
    await expect(backUp(backend, { time: fastTime(), attempts: 3 })).rejects.toMatchObject({ code: 'io' });
    await expectSound(stage, 0);
    await stage.proxy.accept();
    await backUp(stage.backend, { time: fastTime() });
    await expectSound(stage, 1);
  });

  it('is restored over a line that breaks again and again', async () => {
    await using stage = await makeStage(setting);
    await backUp(stage.backend, {});
    const faults = [
      stage.proxy.arm({ direction: 'down', after: 3.3 * MIB, effect: 'end', times: 4 }),
      stage.proxy.arm({ direction: 'down', after: 5 * MIB, effect: 'reset', times: 2 }),
      stage.proxy.arm({ direction: 'up', after: 1000, effect: 'end', times: 3 }),
    ];
    const backend = wrap(stage.backend, withRetry({ time: fastTime() }));
    await using repository = await openRepository({ backend, password: PASSWORD, workers: 0 });
    using folder = makeTempDir();
    const { errors } = await restore(repository, { snapshot: 'latest', target: folder.path });
    expect(errors).toEqual([]);
    expect(faults.map(({ happened }) => happened)).toEqual([4, 2, 3]);
    expectRestored(folder.path);
  });
});
