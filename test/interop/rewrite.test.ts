import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeSnapshot, listSnapshots, rewrite } from 'restic-engine';
import type { RewriteOptions } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { makePrograms } from '../support/programs.ts';
import { all, initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import type { Message, Restic } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// The same change by restic and by ours to copies of one repository: the same snapshots with the same trees.

/** Three snapshots of two hosts; the last one has no summary, as those of old versions. */
async function fill(restic: Restic, repo: string, cwd: string): Promise<void> {
  for (const folder of ['data/a/b', 'data/empty', 'data/Logs/only', 'data/ä\u007f'])
    mkdirSync(join(cwd, folder), { recursive: true });
  writeFileSync(join(cwd, 'data/a/one.txt'), 'one');
  writeFileSync(join(cwd, 'data/a/b/two.LOG'), 'two two');
  writeFileSync(join(cwd, 'data/Logs/only/three.log'), 'three');
  writeFileSync(join(cwd, 'data/ä\u007f/<four>.txt'), 'four and more');
  await restic.backup(['data', '--host', 'one', '--tag', 'kept'], { cwd });
  writeFileSync(join(cwd, 'data/a/five.log'), 'five');
  await restic.backup(['data', '--host', 'one'], { cwd });
  await restic.backup(['data/a', '--host', 'two'], { cwd });
  await using repository = await openAt(repo);
  for (const { id, ...snapshot } of await all(listSnapshots(repository, { filter: { hosts: ['two'] } }))) {
    await repository.saveFile('snapshot', encodeSnapshot({ ...snapshot, summary: undefined, tags: ['old'] }));
    await repository.removeFile('snapshot', id);
  }
}

/** All that snapshots say; the ids of new ones are different in each run. */
async function factsOf(restic: Restic): Promise<string[]> {
  const [list] = await restic.json(['snapshots']);
  const known = (list as unknown as Message[]).map((snapshot) => JSON.stringify({ ...snapshot, id: '', short_id: '' }));
  return known.toSorted();
}

interface Request {
  readonly words: readonly string[];
  readonly options: RewriteOptions;
}

const ZONE = 'America/New_York';

const REQUESTS: readonly Request[] = [
  { words: ['--exclude', '*.log'], options: { exclude: ['*.log'] } },
  { words: ['--iexclude', '*.log', '--forget'], options: { iexclude: ['*.log'], forget: true } },
  { words: ['--exclude', '/data/a', '--tag', 'kept'], options: { exclude: ['/data/a'], filter: { tags: [['kept']] } } },
  { words: ['--exclude', 'nothing-like-this'], options: { exclude: ['nothing-like-this'] } },
  { words: ['--exclude', '*', '--exclude', '!five.log'], options: { exclude: ['*', '!five.log'] } },
  { words: ['--include', '*.txt'], options: { include: ['*.txt'] } },
  { words: ['--include', '/data/empty'], options: { include: ['/data/empty'] } },
  { words: ['--include', '/data/a/b', '--forget'], options: { include: ['/data/a/b'], forget: true } },
  { words: ['--iinclude', '/DATA/logs', '--host', 'one'], options: { iinclude: ['/DATA/logs'], filter: { hosts: ['one'] } } },
  { words: ['--include', 'nothing-like-this', '--forget'], options: { include: ['nothing-like-this'], forget: true } },
  { words: ['--snapshot-summary'], options: { snapshotSummary: true } },
  { words: ['--new-host', 'new', '--forget'], options: { newHost: 'new', forget: true } },
  {
    words: ['--new-time', '2020-03-08 01:30:00', 'latest'],
    options: { newTime: '2020-03-08T01:30:00-05:00', ids: ['latest'] },
  },
]; // biome-ignore format: a table

await describeWithPeer('restic', 'rewriting', (peer) => {
  it('makes the snapshots that restic makes', async () => {
    using folder = makeTempDir();
    const at = (name: string): string => join(folder.path, name);
    await initAt(at('repo'));
    await fill(resticAt(peer, { repo: at('repo') }), at('repo'), folder.path);
    let changes = 0;
    for (const [index, { words, options }] of REQUESTS.entries()) {
      const [ours, theirs] = [at(`ours ${index}`), at(`theirs ${index}`)];
      for (const copy of [ours, theirs]) cpSync(at('repo'), copy, { recursive: true });
      const restic = resticAt(peer, { repo: theirs, env: { TZ: ZONE } });
      const told = await restic.ok(['rewrite', ...words]);
      await using repository = await openAt(ours);
      const { changed, failed, problems } = await rewrite(repository, options);
      expect([failed, problems]).toEqual([[], []]);
      changes += changed.length;
      const count = Number(/^modified (\d+) snapshots$/m.exec(told)?.[1] ?? 0);
      expect(changed.length, words.join(' ')).toBe(count);
      const judge = resticAt(peer, { repo: ours });
      expect(await factsOf(judge), words.join(' ')).toEqual(await factsOf(restic));
      expect(await judge.ok(['check', '--read-data'])).toContain('no errors were found');
      // What has been done is not done again.
      const again = await rewrite(repository, options);
      expect([again.changed, again.failed], words.join(' ')).toEqual([[], []]);
    }
    expect(changes).toBeGreaterThan(REQUESTS.length);
  }, 120_000);

  it('is told as restic tells it, and changes nothing in a dry run', async () => {
    using programs = makePrograms(peer);
    const { restic, ours, theirs, path } = programs;
    const repo = join(path, 'repo');
    await initAt(repo);
    await fill(restic, repo, path);
    writeFileSync(join(path, 'patterns'), '# logs\n*.log\n\n/data/empty\n');
    const before = await restic.ok(['list', 'snapshots']);
    const blocksOf = (text: string): string[] => text.split('\n\n').map((block) => block.trim()).toSorted(); // biome-ignore format: one step
    for (const words of [
      ['--exclude-file', 'patterns', '--forget'],
      ['--iinclude', '*.LOG', '--new-host', 'new', '--new-time', '2020-01-01 00:00:00'],
      ['--snapshot-summary'],
      ['no-such', '--exclude', 'x'],
      ['--exclude', 'nothing-like-this', '--host', 'one'],
    ]) {
      const [own, other] = await Promise.all([
        ours('rewrite', '--dry-run', ...words),
        theirs('rewrite', '--dry-run', ...words),
      ]);
      expect([own.status, own.stderr], words.join(' ')).toEqual([other.status, other.stderr]);
      expect(blocksOf(own.stdout).map(sortedLines), words.join(' ')).toEqual(blocksOf(other.stdout).map(sortedLines));
    }
    expect(await restic.ok(['list', 'snapshots'])).toBe(before);
    const seen = await ours('rewrite', '--dry-run', '-vv', '--iexclude', '*.log', '--host', 'two');
    expect(seen.stdout).toContain('excluding "/data/a/five.log"\n');
    expect(seen.stdout).toContain('excluding "/data/a/b/two.LOG"\n');
    const done = await ours('rewrite', '--json', '--exclude', '*.log', '--host', 'one');
    const messages = done.stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Message); // biome-ignore format: one step
    const id = expect.stringMatching(/^[0-9a-f]{64}$/);
    const changed = { message_type: 'changed', old_snapshot_id: id, new_snapshot_id: id };
    expect(messages).toEqual([changed, changed, { message_type: 'summary', changed_snapshots: 2 }]);
    const forgotten = await ours('rewrite', '--forget', '--exclude', 'one.txt', '--host', 'two');
    expect(forgotten.stdout).toMatch(
      /saved new snapshot [0-9a-f]{8}\nremoved old snapshot [0-9a-f]{8}\n\nmodified 1 snap/,
    );
  });

  it('fails as restic fails', async () => {
    using programs = makePrograms(peer);
    const { restic, ours, theirs, path } = programs;
    await initAt(join(path, 'repo'));
    // Without a snapshot restic does not look at patterns.
    writeFileSync(join(path, 'file'), '');
    await restic.backup(['file']);
    for (const words of [
      [],
      ['--exclude', 'a', '--include', 'b'],
      ['--new-host', ''],
      ['--exclude-file', 'no-such-file'],
      ['--exclude', '[a'],
    ]) {
      const [own, other] = await Promise.all([ours('rewrite', ...words), theirs('rewrite', ...words)]);
      expect([own.status, words], own.stderr).toEqual([other.status, words]);
      expect(own.stderr).not.toBe('');
    }
  });
});

function sortedLines(block: string): string[] {
  return block.split('\n').toSorted();
}
