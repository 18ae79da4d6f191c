import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { describeWithPeer, peer } from '../peers/peers.ts';
import { startRestServer } from '../servers/rest-server.ts';
import { resticAt, resticCommand } from '../support/restic.ts';
import type { ResticOptions, ResticRun } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { filesBelow, writeSource } from './cache-support.ts';

// The cache as the command line uses it and tells of it.

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const DAY_MS = 86_400_000;

await describeWithPeer('rest-server', 'the cache on the command line', (server) => {
  interface Programs {
    readonly cache: string;
    readonly copies: () => string[];
    ours(words: readonly string[], options?: Partial<ResticOptions>): Promise<ResticRun>;
    theirs(words: readonly string[], options?: Partial<ResticOptions>): Promise<ResticRun>;
  }

  async function makePrograms(): Promise<Programs> {
    const restic = await peer('restic');
    if (restic === undefined) throw new Error('restic is missing');
    const dir = makeTempDir();
    onTestFinished(() => dir[Symbol.dispose]());
    const running = await startRestServer(server);
    onTestFinished(() => running[Symbol.asyncDispose]());
    const { location: repo, env } = await running.place('place');
    const cache = join(dir.path, 'cache');
    const defaults = { repo, env, cache, cwd: dir.path };
    writeSource(join(dir.path, 'data'), 1);
    const theirs = resticAt(restic, defaults).run;
    await theirs(['init']);
    return {
      cache,
      copies: () =>
        filesBelow(cache)
          .map((path) => basename(path))
          .filter((name) => name.length === 64),
      theirs,
      ours: (words, options) => runOurs(words, { ...defaults, ...options }),
    };
  }

  it('is filled by a backup, and used', async () => {
    const { cache, copies, ours, theirs } = await makePrograms();
    expect(await ours(['backup', 'data'])).toMatchObject({ status: 0, stderr: '' });
    expect(copies()).toHaveLength(3);
    expect(await theirs(['ls', 'latest'])).toMatchObject({ status: 0 });
    expect(copies()).toHaveLength(3);
    expect(await ours(['ls', 'latest'])).toMatchObject({ status: 0, stderr: '' });
    // A cache that is gone is made again; with --no-cache it is not.
    const elsewhere = join(cache, '..', 'elsewhere');
    expect(await ours(['ls', 'latest', '--no-cache'], { cache: elsewhere })).toMatchObject({ status: 0 });
    expect(readdirSync(join(cache, '..'))).not.toContain('elsewhere');
    expect(await ours(['ls', 'latest'], { cache: elsewhere })).toMatchObject({ status: 0 });
    expect(filesBelow(elsewhere)).toHaveLength(5);
  });

  it('is not what a check looks at, unless that is asked for', async () => {
    const { cache, copies, ours } = await makePrograms();
    await ours(['backup', 'data'], { cache: join(cache, '..', 'elsewhere') });
    const checked = await ours(['check', '--read-data']);
    expect(checked).toMatchObject({ status: 0, stderr: '' });
    expect(checked.stdout).toContain(`using temporary cache in ${cache}/restic-check-cache-`);
    expect(readdirSync(cache)).toEqual([]);
    expect(await ours(['check', '--with-cache'])).toMatchObject({ status: 0, stderr: '' });
    expect(copies()).toHaveLength(3);
  });

  it('is not old when it is about to be used, however long it was not', async () => {
    const { cache, copies, ours } = await makePrograms();
    await ours(['backup', 'data']);
    const [own = ''] = readdirSync(cache).filter((name) => name.length === 64);
    mkdirSync(join(cache, 'ab'.repeat(32)));
    const time = new Date(Date.now() - 31 * DAY_MS);
    for (const name of [own, 'ab'.repeat(32)]) utimesSync(join(cache, name), time, time);
    const { ino } = statSync(join(cache, own));
    expect(await ours(['ls', 'latest', '--cleanup-cache'])).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(cache).sort()).toEqual([own, 'CACHEDIR.TAG'].sort());
    expect(statSync(join(cache, own)).ino).toBe(ino);
    expect(copies()).toHaveLength(3);
  });

  it('is left out of a backup as restic leaves it out', async () => {
    const { cache, ours, theirs } = await makePrograms();
    const inside = join(cache, '..', 'data', 'cache');
    for (const run of [ours, theirs]) {
      await run(['ls', 'latest'], { cache: inside });
      mkdirSync(inside, { recursive: true });
      writeFileSync(join(inside, 'something'), 'x');
      expect(await run(['backup', 'data', '--force'], { cache: inside })).toMatchObject({ status: 0, stderr: '' });
      const { stdout } = await run(['ls', 'latest']);
      expect(stdout).toContain('/data/folder 4/3\n');
      expect(stdout).not.toContain('/data/cache');
    }
    expect(await ours(['backup', 'data', '--no-cache'], { cache: inside })).toMatchObject({ status: 0 });
    expect((await ours(['ls', 'latest'])).stdout).toContain('/data/cache/something\n');
  });

  it('is done without when it cannot be made', async () => {
    const { cache, ours } = await makePrograms();
    writeFileSync(cache, 'in the way');
    const { status, stderr } = await ours(['backup', 'data']);
    expect([status, stderr]).toEqual([0, expect.stringMatching(/^the cache in .* cannot be used: .*\n$/)]);
  });
});

await describeWithPeer('restic', 'the cache command', (program) => {
  interface Caches {
    readonly cache: string;
    readonly both: (...words: string[]) => Promise<[ResticRun, ResticRun]>;
    readonly ours: (...words: string[]) => Promise<ResticRun>;
  }

  function makeCaches(ages: readonly number[]): Caches {
    const dir = makeTempDir();
    onTestFinished(() => dir[Symbol.dispose]());
    const cache = join(dir.path, 'cache');
    const options = { repo: join(dir.path, 'none'), cache, cwd: dir.path };
    for (const [at, age] of ages.entries()) {
      const folder = join(cache, `${at}`.repeat(64));
      mkdirSync(join(folder, 'data', 'ab'), { recursive: true });
      writeFileSync(join(folder, 'version'), '1');
      writeFileSync(join(folder, 'data', 'ab', 'ab'.repeat(32)), new Uint8Array(at * 700_000));
      const time = new Date(Date.now() - age * DAY_MS);
      utimesSync(folder, time, time);
    }
    const ours = (...words: string[]): Promise<ResticRun> => runOurs(words, options);
    const theirs = resticAt(program, options).run;
    return { cache, ours, both: (...words) => Promise.all([ours(...words), theirs(words)]) };
  }

  it.each([
    ['cache'],
    ['cache', '--no-size'],
    ['cache', '--max-age', '3'],
    ['cache', '--json'],
    ['cache', '--quiet'],
    ['cache', '--max-age', '1000', '--cleanup'],
  ])('prints what restic prints: %s %s %s', async (...words) => {
    const { both } = makeCaches([0, 1.5, 31, 400]);
    const [own, other] = await both(...words);
    expect(own).toEqual(other);
    expect(own.stdout).not.toBe('');
  });

  it('prints what restic prints where there is none', async () => {
    const { both } = makeCaches([]);
    const [own, other] = await both('cache');
    expect(own).toEqual(other);
  });

  it.each([
    [['--cleanup'], ['0', '1']],
    [['--cleanup-cache'], ['0', '1']],
    [['--cleanup', '--max-age', '1'], ['0']],
  ])('removes the old ones with %j', async (words, left) => {
    const { cache, ours } = makeCaches([0, 2, 31, 400]);
    expect(await ours('cache', ...words)).toMatchObject({ status: 0, stderr: '' });
    expect(readdirSync(cache).map((name) => name[0])).toEqual(left);
    expect((await ours('cache', ...words)).stdout).toBe('no old cache dirs found\n');
  });

  it('refuses to work without a cache', async () => {
    const { both } = makeCaches([0]);
    const [own, other] = await both('cache', '--no-cache');
    expect(own).toEqual(other);
    expect(own.status).toBe(1);
  });
});

function runOurs(words: readonly string[], options: ResticOptions): Promise<ResticRun> {
  const { args, env } = resticCommand(words, options);
  const run = ['--conditions=@restic-engine/source', MAIN, ...args];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, run, { cwd: options.cwd, env }, (_, stdout, stderr) => {
      resolve({ status: child.exitCode, stdout, stderr });
    });
  });
}
