import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { backup, EngineError, files, loadSnapshot, stream } from 'restic-engine';
import type { FilesOptions, Repository } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { randomFrom } from '../support/random.ts';
import { initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// Which entries get into a snapshot, and where: the words of the command line mean the same to both.

const CACHE_TAG = 'Signature: 8a477f597d28d172789f06886806bc55\n# This is a cache.\n';

const TREE: Readonly<Record<string, string>> = {
  'x/f1': '1',
  'x/b.txt': 'text',
  'x/B.TXT': 'upper case',
  'x/x/f1': '2',
  'rel/b/f4': '4',
  'rel/a/f5': '5',
  'rel/.hidden/a.tmp': 'h',
  'home/user/.cache/thing/a': 'cached',
  'home/user/docs/a.txt': 'a',
  'home/user/docs/old/a.txt.bak': 'b',
  'home/user/[odd]/st*r?': 'odd',
  'home/user/back\\slash': 's',
  'caches/real/CACHEDIR.TAG': CACHE_TAG,
  'caches/real/data/d': 'gone',
  'caches/false/CACHEDIR.TAG': 'Signature: something else\n',
  'caches/false/kept': 'kept',
  'marked/empty/.nobackup': '',
  'marked/empty/a': 'a',
  'marked/header/.tag': 'no backup here, please',
  'marked/header/sub/a': 'a',
  'marked/other/.tag': 'another text',
  'marked/other/a': 'a',
  'sizes/1000': 'x'.repeat(1000),
  'sizes/1024': 'x'.repeat(1024),
  'sizes/1025': 'x'.repeat(1025),
  'same/a': 'inner',
};

interface Work extends AsyncDisposable {
  readonly folder: string;
  /** A working directory with the tree in it, and beside it directories that have the same names. */
  readonly work: string;
  readonly repository: Repository;
}

async function makeWork(): Promise<Work> {
  const folder = makeTempDir();
  const work = join(folder.path, 'outer', 'place');
  for (const [path, content] of Object.entries(TREE)) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), content);
  }
  for (const path of ['../x/f2', '../c/f3', '../same/b']) {
    mkdirSync(dirname(join(work, path)), { recursive: true });
    writeFileSync(join(work, path), path);
  }
  writeFileSync(join(work, 'sizes/hole'), '');
  truncateSync(join(work, 'sizes/hole'), 5 << 20);
  symlinkSync('x', join(work, 'link to x'));
  symlinkSync('rel/b', join(work, 'link to b'));
  const repo = join(folder.path, 'repo');
  await initAt(repo);
  const repository = await openAt(repo, { workers: 0 });
  return {
    folder: folder.path,
    work,
    repository,
    async [Symbol.asyncDispose]() {
      await repository[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
}

await describeWithPeer('restic', 'what gets into a snapshot', (peer) => {
  /** Backs up with both from `cwd`, at once, and returns what each made of it. */
  async function bothSides(repository: Repository, cwd: string, words: readonly string[], options: FilesOptions) {
    const restic = resticAt(peer, { repo: repository.backend.location, cwd });
    const [done, result] = await Promise.all([
      restic.run(['backup', '--json', '--force', ...words, ...options.targets]),
      backup(repository, { source: files({ ...options, cwd }), force: true }),
    ]);
    // 3: a target is missing
    expect([0, 3], done.stderr).toContain(done.status);
    const id = /"snapshot_id":"([0-9a-f]{64})"/.exec(done.stdout)?.[1];
    const found = await loadSnapshot(repository, id!);
    const { tree, paths } = result.snapshot;
    return {
      ours: { tree, paths, incomplete: result.errors.length > 0 },
      restics: { tree: found.tree, paths: found.paths, incomplete: done.status === 3 },
    };
  }

  describe('targets', () => {
    // Absolute ones are in the last test: what lies above them is not ours to keep still.
    it.each([
      [['x', 'rel/b']],
      [['x', '../x']],
      [['same', '../same', '../c']],
      [['.']],
      [['..']],
      [['x/.', './/rel//b']],
      [['../place/x']],
      [['../../outer']],
      [['rel', 'rel/b']],
      [['rel/b', 'rel']],
      [['rel/b/f4', 'rel']],
      [['x', 'x', './x']],
      [['x/f1', 'x/x/f1']],
      [['x', 'nonexistent']],
      [['link to x']],
      [['link to x/f1']],
      [['link to x/x', 'x']],
      [['link to b/f4', 'rel/b/f4']],
    ])('%j', async (targets) => {
      await using place = await makeWork();
      const { work, repository } = place;
      const { ours, restics } = await bothSides(repository, work, [], { targets });
      expect(ours).toEqual(restics);
    });

    it('that are all missing make no snapshot', async () => {
      await using place = await makeWork();
      const { work, repository } = place;
      const restic = resticAt(peer, { repo: repository.backend.location, cwd: work });
      expect((await restic.run(['backup', 'nonexistent'])).status).toBe(1);
      const attempt = backup(repository, { source: files({ targets: ['nonexistent'], cwd: work }) });
      expect(await attempt.catch((error: unknown) => EngineError.is(error, 'not-found'))).toBe(true);
    });
  });

  describe('exclusions', () => {
    const cases: readonly (readonly [words: readonly string[], options: Omit<FilesOptions, 'targets'>])[] = [
      [['--exclude', '*.txt'], { excludes: ['*.txt'] }],
      [['--iexclude', '*.txt'], { iexcludes: ['*.txt'] }],
      [['--exclude-caches'], { excludeCaches: true }],
      [['--exclude-if-present', '.nobackup'], { excludeIfPresent: ['.nobackup'] }],
      [['--exclude-if-present', '.tag:no backup'], { excludeIfPresent: ['.tag:no backup'] }],
      [
        ['--exclude-if-present', '.tag', '--exclude-if-present', '.nobackup'],
        { excludeIfPresent: ['.tag', '.nobackup'] },
      ],
      [['--exclude-larger-than', '1024'], { excludeLargerThan: 1024 }],
      [['--exclude-larger-than', '1k'], { excludeLargerThan: 1024 }],
      [
        ['--exclude-caches', '--exclude', 'home/**/docs', '--exclude-larger-than', '1M'],
        { excludeCaches: true, excludes: ['home/**/docs'], excludeLargerThan: 1 << 20 },
      ],
    ];

    it.each(cases)('%j', async (words, options) => {
      await using place = await makeWork();
      const { work, repository } = place;
      const plain = await backup(repository, { source: files({ targets: ['.'], cwd: work }), dryRun: true });
      const { ours, restics } = await bothSides(repository, work, words, { targets: ['.'], ...options });
      expect(ours).toEqual(restics);
      expect(ours.tree).not.toBe(plain.snapshot.tree);
    });

    it.each([
      ['x/f1', 'f1'],
      ['rel', 'rel'],
      ['rel', '*'],
    ])('spare the target %s itself: %s', async (target, pattern) => {
      await using place = await makeWork();
      const { work, repository } = place;
      const { ours, restics } = await bothSides(repository, work, ['--exclude', pattern], {
        targets: [target],
        excludes: [pattern],
      });
      expect(ours).toEqual(restics);
    });

    it('of other file systems', async (test) => {
      await using place = await makeWork();
      const { work, repository } = place;
      mkdirSync(join(work, 'x/mounted'));
      const { status } = spawnSync('mount', ['-t', 'tmpfs', 'restic-engine-test', join(work, 'x/mounted')]);
      if (status !== 0) test.skip('nothing can be mounted here');
      try {
        mkdirSync(join(work, 'x/mounted/sub'));
        writeFileSync(join(work, 'x/mounted/sub/elsewhere'), 'elsewhere');
        const everything = await bothSides(repository, work, [], { targets: ['x'] });
        const words = ['--one-file-system'];
        const { ours, restics } = await bothSides(repository, work, words, { targets: ['x'], oneFileSystem: true });
        expect(ours).toEqual(restics);
        expect(ours.tree).not.toBe(everything.ours.tree);
        // A target on it is on a file system of its own.
        const targets = ['x', 'x/mounted/sub'];
        const both = await bothSides(repository, work, words, { targets, oneFileSystem: true });
        expect(both.ours).toEqual(both.restics);
        expect(both.ours.tree).not.toBe(ours.tree);
      } finally {
        execFileSync('umount', [join(work, 'x/mounted')]);
      }
    });

    it('by any patterns are the same ones', async () => {
      await using place = await makeWork();
      const { work, repository } = place;
      const random = randomFrom(20260101);
      const words = Object.keys(TREE).flatMap((path) => path.split('/'));
      const pick = <T>(list: readonly T[]): T => list[random.int(list.length)]!;
      const component = (): string => {
        const word = pick(words);
        const kinds = [
          () => word,
          () => word,
          () => '*',
          () => '**',
          () => `${word.slice(0, 1 + random.int(word.length))}*`,
          () => `*${word.slice(random.int(word.length))}`,
          () => word.replace(/[a-z]/, '?'),
          () => word.replace(/[a-z]/, '[a-m]'),
          () => word.replace(/[a-z0-9]/, '[^x-z]'),
          () => word.replace(/[*?[\]\\]/g, '\\$&'),
        ];
        return pick(kinds)();
      };
      const pattern = (): string => {
        const parts = Array.from({ length: 1 + random.int(3) }, component).join('/');
        return `${pick(['', '', '', '', '!', '!'])}${pick(['', '', '', '/', `${work}/`])}${parts}${pick(['', '', '', '/'])}`;
      };
      const trees = new Set<string>();
      const until = performance.now() + 8_000;
      let sets = 0;
      for (; performance.now() < until; sets++) {
        const excludes = Array.from({ length: 1 + random.int(4) }, pattern);
        const words = excludes.flatMap((each) => ['--exclude', each]);
        const { ours, restics } = await bothSides(repository, work, words, { targets: ['x', 'home', 'rel'], excludes });
        expect(ours, excludes.join(' ')).toEqual(restics);
        trees.add(ours.tree);
      }
      expect(sets).toBeGreaterThan(3);
      expect(trees.size).toBeGreaterThan(Math.min(sets / 8, 3));
    });

    it.each(['[', 'a/[b', 'x\\', '[]'])('refuse the pattern %s, which is none', async (pattern) => {
      await using place = await makeWork();
      const { work, repository } = place;
      const restic = resticAt(peer, { repo: repository.backend.location, cwd: work });
      expect((await restic.run(['backup', '--exclude', pattern, 'x'])).status).toBe(1);
      const attempt = backup(repository, { source: files({ targets: ['x'], cwd: work, excludes: [pattern] }) });
      expect(await attempt.catch((error: unknown) => EngineError.is(error, 'bad-request'))).toBe(true);
    });
  });

  it('absolute targets: the folders above them are in it', async () => {
    await using place = await makeWork();
    const { work, repository } = place;
    const repo = repository.backend.location;
    const targets = [join(work, 'rel'), join(work, 'home'), 'x'];
    const listed = async (id: string): Promise<string[]> => {
      const nodes = await resticAt(peer, { repo }).json(['ls', id, '--recursive']);
      return nodes.filter((each) => each['message_type'] === 'node').map((each) => `${each['path']} ${each['mode']}`);
    };
    const { snapshot_id: byRestic } = await resticAt(peer, { repo, cwd: work }).backup(['--force', ...targets]);
    const byUs = await backup(repository, { source: files({ targets, cwd: work }), force: true });
    const paths = await listed(byUs.snapshotId!);
    expect(paths).toEqual(await listed(byRestic));
    expect(paths.some((path) => path.startsWith(`${work}/rel/b/f4`))).toBe(true);
  });

  it.each([
    ['/stdin', []],
    ['/dump.sql', ['--stdin-filename', 'dump.sql']],
    ['/a/b/dump.sql', ['--stdin-filename', '/a/b/dump.sql']],
  ])('a stream as %s', async (path, words) => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await initAt(repo);
    const content = randomFrom(11).bytes((3 << 20) + 17);
    const restic = resticAt(peer, { repo });
    await restic.ok(['backup', '--stdin', '--time', '2024-02-03 04:05:06', ...words], { input: content });
    const [found] = (await restic.json(['snapshots', 'latest'])).flat();
    await using repository = await openAt(repo, { workers: 0 });
    const pieces = [content.subarray(0, 1), content.subarray(1, 2_000_000), content.subarray(2_000_000)];
    const { snapshot, summary } = await backup(repository, {
      source: stream({ path, content: pieces }),
      time: found?.['time'],
    });
    expect(snapshot.tree).toBe(found?.['tree']);
    expect(snapshot.paths).toEqual(found?.['paths']);
    expect(summary).toMatchObject({ dataBlobs: 0, treeBlobs: 0, filesNew: 1 });
  });
});

await describeWithPeer('restic', 'a parent with other exclusions', (peer) => {
  it('is one all the same', async () => {
    await using place = await makeWork();
    const { work, repository } = place;
    await backup(repository, { source: files({ targets: ['x'], cwd: work, excludes: ['f1'] }), excludes: ['f1'] });
    const copy = join(place.folder, 'copy');
    cpSync(repository.backend.location, copy, { recursive: true });
    const byRestic = await resticAt(peer, { repo: copy, cwd: work }).backup(['x']);
    const { summary } = await backup(repository, { source: files({ targets: ['x'], cwd: work }) });
    expect([summary.filesNew, summary.filesUnmodified, summary.dirsChanged]).toEqual([2, 2, 2]);
    expect([byRestic['files_new'], byRestic['files_unmodified'], byRestic['dirs_changed']]).toEqual([2, 2, 2]);
  });
});
