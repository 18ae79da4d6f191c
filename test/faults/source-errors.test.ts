import { spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  backup,
  files,
  initRepository,
  loadSnapshot,
  memoryBackend,
  openRepository,
  readFile,
  walk,
} from 'restic-engine';
import type { BackupResult, FilesOptions, ItemError, Repository, Source } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { bytesOf, CHEAP, initAt, openAt } from '../support/repository.ts';
import { PASSWORD } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// A source that changes or refuses while it is read: what fails is named, everything else is in the snapshot.

type TreeSource = Extract<Source, { kind: 'tree' }>;
type Directory = ReturnType<TreeSource['open']>['root'];
type Entry = Directory extends { entries(): Iterable<infer E> } ? E : never;

/** Files, with something happening to an entry after it has been looked at and before its content is read. */
function filesWhile(options: FilesOptions, happen: (entry: Entry) => void): Source {
  const watch = (directory: Directory): Directory => ({
    *entries() {
      for (const entry of directory.entries()) {
        happen(entry);
        yield entry.kind === 'directory' ? { ...entry, open: () => watch(entry.open()) } : entry;
      }
    },
  });
  const inner = files(options);
  return { ...inner, open: (context) => ((opened) => ({ ...opened, root: watch(opened.root) }))(inner.open(context)) };
}

async function openMemory(workers: number): Promise<Repository> {
  const backend = memoryBackend();
  await initRepository({ backend, password: PASSWORD, kdf: CHEAP });
  return openRepository({ backend, password: PASSWORD, workers });
}

/** path below the target → content, of the files in a snapshot. */
async function contentsOf(repository: Repository, { snapshot }: BackupResult): Promise<Record<string, string>> {
  const indexed = await repository.loadIndex();
  const found: Record<string, string> = {};
  for await (const { path, node } of walk(indexed, snapshot.tree)) {
    if (node.type === 'file') found[path] = (await bytesOf(readFile(indexed, node))).toString();
  }
  return found;
}

const named = (errors: readonly ItemError[]): string[] =>
  errors.map(({ path, during, error }) => `${basename(path)} ${during} ${error.code}`).toSorted();

/** Gives up the rights of root meanwhile; to others the permission bits alone refuse. */
async function unprivileged<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work();
  process.setegid?.(65_534);
  process.seteuid?.(65_534);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
}

describe('a source that refuses or changes', () => {
  const setUp = (): { path: string; target: string } & Disposable => {
    const folder = makeTempDir();
    const target = join(folder.path, 'target');
    mkdirSync(target);
    for (const name of ['a', 'm', 'z']) writeFileSync(join(target, name), `content of ${name}`);
    return { ...folder, target };
  };
  const whole = { '/target/a': 'content of a', '/target/m': 'content of m', '/target/z': 'content of z' };

  it('names what may not be read', async () => {
    using place = setUp();
    const at = (name: string): string => join(place.target, name);
    // The folder for temporary files is the tester's own; its target is everybody's to look at.
    chmodSync(place.path, 0o755);
    writeFileSync(at('secret'), 'secret');
    chmodSync(at('secret'), 0o000);
    mkdirSync(at('closed'));
    writeFileSync(at('closed/inside'), '');
    chmodSync(at('closed'), 0o000);
    await using repository = await openMemory(0);
    const source = files({ targets: ['target'], cwd: place.path });
    // Once with all rights, so that everything is loaded that will be needed.
    await backup(repository, { source, dryRun: true });
    const heard: ItemError[] = [];
    const result = await unprivileged(() =>
      backup(repository, { source, onError: (error) => heard.push(error), force: true }),
    );
    chmodSync(at('closed'), 0o700);
    expect(named(result.errors)).toEqual(['closed archival denied', 'secret archival denied']);
    expect(heard).toEqual(result.errors);
    expect(result.snapshotId).toBeDefined();
    expect(await contentsOf(repository, result)).toEqual(whole);
  });

  it.skipIf(process.platform !== 'linux')('names what cannot be read to its end', async () => {
    using place = setUp();
    // The first page of a process is nobody's: reading it is an input/output error, whoever asks.
    await using repository = await openMemory(1);
    const result = await backup(repository, {
      source: files({ targets: ['target', '/proc/self/mem'], cwd: place.path }),
    });
    expect(named(result.errors)).toEqual(['mem archival io']);
    expect(await contentsOf(repository, result)).toEqual(whole);
  });

  describe.each([0, 1])('with %i workers', (workers) => {
    it('names what vanishes', async () => {
      using place = setUp();
      await using repository = await openMemory(workers);
      const at = (name: string): string => join(place.target, name);
      for (const name of ['f listed', 'g looked at', 'h large']) writeFileSync(at(name), name);
      writeFileSync(at('h large'), Buffer.alloc(20 << 20));
      mkdirSync(at('k folder'));
      const source = filesWhile({ targets: ['target'], cwd: place.path }, ({ node: { name } }) => {
        if (name === 'a') rmSync(at('f listed'));
        if (name === 'g looked at') rmSync(at(name));
        if (name === 'h large') rmSync(at(name));
        if (name === 'k folder') rmSync(at(name), { recursive: true });
      });
      const result = await backup(repository, { source });
      // What was gone before it was looked at is no part of the snapshot, and no error: so says restic.
      expect(named(result.errors)).toEqual([
        'g looked at archival not-found',
        'h large archival not-found',
        'k folder archival not-found',
      ]);
      expect(await contentsOf(repository, result)).toEqual(whole);
    });

    it('tells what grows or shrinks, and stores what it read', async () => {
      using place = setUp();
      await using repository = await openMemory(workers);
      const at = (name: string): string => join(place.target, name);
      writeFileSync(at('grows'), 'begin');
      writeFileSync(at('shrinks'), 'long before');
      writeFileSync(at('grows large'), 'x');
      writeFileSync(at('shrinks far'), Buffer.alloc(20 << 20));
      const large = Buffer.alloc(20 << 20, 'y').toString();
      const source = filesWhile({ targets: ['target'], cwd: place.path }, ({ node: { name } }) => {
        if (name === 'grows') appendFileSync(at(name), ' and end');
        if (name === 'shrinks') writeFileSync(at(name), 'short');
        if (name === 'grows large') writeFileSync(at(name), large);
        if (name === 'shrinks far') writeFileSync(at(name), 's');
      });
      const result = await backup(repository, { source });
      expect(result.errors).toEqual([]);
      expect(result.problems).toHaveLength(4);
      for (const name of ['grows', 'shrinks', 'grows large', 'shrinks far']) {
        expect(
          result.problems.some((problem) => problem.includes(`/${name} `)),
          name,
        ).toBe(true);
      }
      const contents = await contentsOf(repository, result);
      expect(contents['/target/grows large'] === large).toBe(true);
      delete contents['/target/grows large'];
      expect(contents).toEqual({
        ...whole,
        '/target/grows': 'begin and end',
        '/target/shrinks': 'short',
        '/target/shrinks far': 's',
      });
    });

    it('names what has become something else, and follows no link', async () => {
      using place = setUp();
      await using repository = await openMemory(workers);
      const at = (name: string): string => join(place.target, name);
      writeFileSync(join(place.path, 'outside'), 'nobody asked for this');
      for (const name of ['to a link', 'to a folder', 'to a pipe']) writeFileSync(at(name), name);
      const source = filesWhile({ targets: ['target'], cwd: place.path }, ({ node: { name } }) => {
        if (!name.startsWith('to ')) return;
        renameSync(at(name), join(place.path, name));
        if (name === 'to a link') symlinkSync('../outside', at(name));
        if (name === 'to a folder') mkdirSync(at(name));
        if (name === 'to a pipe') spawnSync('mkfifo', [at(name)]);
      });
      const result = await backup(repository, { source });
      expect(result.errors.map(({ path }) => basename(path)).toSorted()).toEqual([
        'to a folder',
        'to a link',
        'to a pipe',
      ]);
      expect(await contentsOf(repository, result)).toEqual(whole);
    });
  });
});

describe('the program', () => {
  it('ends with 3 when something could not be read, and with a snapshot', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await initAt(repo);
    writeFileSync(join(folder.path, 'good'), 'good');
    const main = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
    const words = [...process.execArgv, main, '--repo', repo, '--json', 'backup', 'good', 'missing'];
    const { PATH = '' } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, words, {
      cwd: folder.path,
      env: { PATH, HOME: folder.path, RESTIC_PASSWORD: PASSWORD },
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(3);
    expect(stdout + stderr).toContain('missing');
    const id = /"snapshot_id":"([0-9a-f]{64})"/.exec(stdout)?.[1];
    await using repository = await openAt(repo, { workers: 0 });
    expect((await loadSnapshot(repository, id!)).paths).toEqual([join(folder.path, 'good')]);
  });
});
