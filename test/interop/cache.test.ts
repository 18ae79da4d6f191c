import { createHash } from 'node:crypto';
import { chmodSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  backup,
  check,
  diskCache,
  findSnapshot,
  listSnapshots,
  localBackend,
  objects,
  openRepository,
  walk,
  withFaults,
} from 'restic-engine';
import type { Repository } from 'restic-engine';
import { expect, it, onTestFinished } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import type { Peer } from '../peers/peers.ts';
import { all, initAt } from '../support/repository.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import type { Restic } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { filesBelow, writeSource } from './cache-support.ts';

// One cache folder, two programs: what one keeps there the other reads, and neither disturbs the other.

interface Place {
  readonly path: string;
  readonly repo: string;
  readonly cache: string;
  readonly restic: Restic;
  /** Our repository behind the cache. */
  open(): Promise<Repository>;
  /** What was asked of the repository's files, `load data` and so on, since it was looked at last. */
  calls(): string[];
  /** Copies of a type, as names. */
  copies(type: 'data' | 'index' | 'snapshots'): string[];
}

async function makePlace(program: Peer): Promise<Place> {
  const dir = makeTempDir();
  onTestFinished(() => dir[Symbol.dispose]());
  const [repo, cache] = [join(dir.path, 'repo'), join(dir.path, 'cache')];
  await initAt(repo);
  const calls: string[] = [];
  const counted = withFaults({
    onCall: ({ method, type }) => ['data', 'index', 'snapshot'].includes(type ?? '') && calls.push(`${method} ${type}`),
  })(localBackend(repo));
  return {
    path: dir.path,
    repo,
    cache,
    restic: resticAt(program, { repo, cache, cwd: dir.path }),
    open: async () => {
      const onUnusable = (error: Error): never => {
        throw error;
      };
      const options = { backend: counted, password: PASSWORD, cache: diskCache({ folder: cache, onUnusable }) };
      const repository = await openRepository(options);
      onTestFinished(() => repository[Symbol.asyncDispose]());
      return repository;
    },
    calls: () => calls.splice(0),
    copies: (type) => {
      const [id = ''] = readdirSync(cache).filter((name) => name.length === 64);
      return filesBelow(join(cache, id, type))
        .map((path) => basename(path))
        .sort();
    },
  };
}

/** Reads everything of a snapshot but contents; resolves with the paths. */
async function look(repository: Repository): Promise<string[]> {
  const snapshots = await all(listSnapshots(repository));
  expect(snapshots.length).toBeGreaterThan(0);
  const { snapshot } = await findSnapshot(repository, 'latest');
  const found = await all(walk(await repository.loadIndex(), snapshot.tree));
  return found.map(({ path }) => path);
}

/** Every copy is what its name says. */
function expectSound({ cache }: Place): void {
  const files = filesBelow(cache).filter((path) => /^[0-9a-f]{64}$/.test(basename(path)));
  expect(files.length).toBeGreaterThan(0);
  for (const path of files) {
    expect(createHash('sha256').update(readFileSync(path)).digest('hex')).toBe(basename(path));
  }
  expect(filesBelow(cache).filter((path) => basename(path).startsWith('tmp-'))).toEqual([]);
}

/** A copy of the repository of which only names and sizes are left: index files, snapshots and packs of trees are zeros. */
function hollow({ repo, path, copies }: Place): string {
  const to = join(path, 'hollow');
  cpSync(repo, to, { recursive: true });
  const trees = new Set(copies('data'));
  for (const file of filesBelow(to)) {
    const isTree = trees.has(basename(file));
    if (!isTree && !/\/(?:index|snapshots)\/[0-9a-f]{64}$/.test(file)) continue;
    chmodSync(file, 0o600);
    writeFileSync(file, new Uint8Array(readFileSync(file).length));
  }
  return to;
}

await describeWithPeer('restic', 'one cache for restic and us', (program) => {
  it('needs nothing of the store but names where restic filled the cache', async () => {
    const place = await makePlace(program);
    writeSource(join(place.path, 'data'), 1);
    await place.restic.backup(['data']);
    const paths = await look(await place.open());
    expect(paths.filter((path) => path.endsWith('/3'))).toHaveLength(5);
    expect(place.calls().sort()).toEqual(['list index', 'list snapshot', 'list snapshot']);
  });

  it('has what restic needs where we filled it', async () => {
    const place = await makePlace(program);
    const content = { path: 'folder/file', content: 'x'.repeat(1000) };
    await backup(await place.open(), { source: objects([content]) });
    expect([place.copies('data').length, place.copies('index').length, place.copies('snapshots').length]).toEqual([
      1, 1, 1,
    ]);
    const repo = hollow(place);
    const words = ['ls', 'latest'];
    const [without, within] = [
      await place.restic.run(['--no-cache', ...words], { repo }),
      await place.restic.run(words, { repo }),
    ];
    expect(without.status).not.toBe(0);
    expect(within).toMatchObject({ status: 0 });
    expect(within.stdout).toContain('/folder/file\n');
    const json = await place.restic.json(['snapshots'], { repo });
    expect(json).toHaveLength(1);
    // As do we.
    const cache = diskCache({ folder: place.cache });
    await using repository = await openRepository({ backend: localBackend(repo), password: PASSWORD, cache });
    expect(await look(repository)).toContain('/folder/file');
    await using bare = await openRepository({ backend: localBackend(repo), password: PASSWORD });
    await expect(look(bare)).rejects.toMatchObject({ code: 'corrupt' });
  });

  it('is filled alike by both', async () => {
    const place = await makePlace(program);
    writeSource(join(place.path, 'data'), 2);
    const other = join(place.path, 'other cache');
    await place.restic.backup(['data']);
    await place.restic.ok(['ls', 'latest'], { cache: other });
    const names = (folder: string): string[] =>
      filesBelow(folder)
        .map((path) => path.slice(folder.length))
        .sort();
    await backup(await place.open(), { source: objects([{ path: 'more', content: 'more' }]) });
    await place.restic.ok(['ls', 'latest'], { cache: other });
    const third = join(place.path, 'third cache');
    const cache = diskCache({ folder: third });
    await using repository = await openRepository({ backend: localBackend(place.repo), password: PASSWORD, cache });
    for (const { tree } of await all(listSnapshots(repository))) await all(walk(await repository.loadIndex(), tree));
    for (const folder of [other, third]) await place.restic.ok(['snapshots'], { cache: folder });
    for (const folder of [other, third]) {
      for (const snapshot of await place.restic.json(['snapshots'], { cache: folder })) {
        for (const { id } of snapshot as unknown as { id: string }[])
          await place.restic.ok(['ls', id], { cache: folder });
      }
    }
    expect(names(other)).toEqual(names(place.cache));
    expect(names(third)).toEqual(names(place.cache));
  });

  it('loses what prune removed, whoever prunes', async () => {
    const place = await makePlace(program);
    for (const seed of [3, 4]) {
      writeSource(join(place.path, `${seed}`), seed);
      await place.restic.backup([`${seed}`]);
    }
    await look(await place.open());
    const before = place.copies('data');
    const [first] = (await place.restic.json(['snapshots'])) as unknown as { id: string }[][];
    await place.restic.ok(['forget', first?.[0]?.id ?? '', '--prune', '--max-unused', '0'], {
      cache: join(place.path, 'elsewhere'),
    });
    const repository = await place.open();
    await look(repository);
    await repository[Symbol.asyncDispose]();
    const packs = (await place.restic.ok(['list', 'packs'])).split('\n');
    expect(place.copies('data').every((name) => packs.includes(name))).toBe(true);
    expect(before.every((name) => packs.includes(name))).toBe(false);
    expect(place.copies('snapshots')).toHaveLength(1);
    const { errors } = await check(await place.open(), { readData: true });
    expect(errors).toEqual([]);
    await place.restic.ok(['check', '--with-cache', '--read-data']);
  });

  it('heals what is damaged, for both', async () => {
    const place = await makePlace(program);
    writeSource(join(place.path, 'data'), 5);
    await place.restic.backup(['data']);
    for (const path of filesBelow(place.cache).filter((file) => basename(file).length === 64)) {
      writeFileSync(
        path,
        readFileSync(path).map((byte, at) => (at % 100 === 50 ? ~byte : byte)),
      );
    }
    expect(await look(await place.open())).toHaveLength(26);
    expect(await look(await place.open())).toHaveLength(26);
    expectSound(place);
    await place.restic.ok(['ls', 'latest']);
  });

  it('serves both at once', async () => {
    const place = await makePlace(program);
    for (const seed of [6, 7, 8]) writeSource(join(place.path, `${seed}`), seed);
    await place.restic.backup(['6']);
    const ours = async (seed: number): Promise<void> => {
      const repository = await place.open();
      const source = Array.from({ length: 30 }, (_, at) => ({
        path: `${seed}/${at % 5}/${at}`,
        content: `${seed} ${at}`,
      }));
      await backup(repository, { source: objects(source), retryLockMs: 20_000 });
      await look(repository);
    };
    await Promise.all([
      place.restic.backup(['7', '--retry-lock', '20s']),
      ours(1),
      place.restic.backup(['8', '--retry-lock', '20s']),
      ours(2),
      place.restic.ok(['ls', 'latest']),
      look(await place.open()),
    ]);
    expectSound(place);
    expect((await place.restic.json(['snapshots']))[0]).toHaveLength(5);
    expect((await check(await place.open())).errors).toEqual([]);
    await place.restic.ok(['check', '--with-cache']);
  });
});
