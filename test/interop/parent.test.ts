import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { backup, files, listSnapshots } from 'restic-engine';
import type { SnapshotSummary } from 'restic-engine';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { randomFrom } from '../support/random.ts';
import { all, initAt, openAt } from '../support/repository.ts';
import { resticAt, type Message } from '../support/restic.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';

// What counts as changed decides which files are read again, and the numbers that people watch.

const TARGET = 'above/target';

/** Files that change without a change of their modification time, in seconds. */
const REPLACED = 'dir 3/file 3';
const LONGER = 'dir 12/file 0';
const QUIET_TIME = 1_600_000_000;

interface Place {
  readonly folder: TempDir;
  /** The directory that is backed up. */
  readonly target: string;
  readonly repo: string;
}

async function makePlace(): Promise<Place> {
  const folder = makeTempDir();
  const target = join(folder.path, TARGET);
  const random = randomFrom(5);
  for (let dir = 0; dir < 20; dir++) {
    mkdirSync(join(target, `dir ${dir}`, 'inner'), { recursive: true });
    for (let i = 0; i < 10; i++) writeFileSync(join(target, `dir ${dir}`, `file ${i}`), random.bytes(random.int(5000)));
  }
  writeFileSync(join(target, 'large'), random.bytes(3 << 20));
  for (const path of [REPLACED, LONGER]) utimesSync(join(target, path), QUIET_TIME, QUIET_TIME);
  const repo = join(folder.path, 'repo');
  await initAt(repo);
  return { folder, target, repo };
}

/** One of everything that can happen between two backups. */
function change(target: string): void {
  const at = (path: string): string => join(target, path);
  utimesSync(at('dir 0/file 0'), 1_700_000_000, 1_700_000_000.5);
  appendFileSync(at('dir 1/file 1'), 'more');
  writeFileSync(at('dir 2/file 2'), '');
  // Only the inode and the time of the change tell.
  writeFileSync(at('new'), Buffer.alloc(statSync(at(REPLACED)).size, 'x'));
  utimesSync(at('new'), QUIET_TIME, QUIET_TIME);
  renameSync(at('new'), at(REPLACED));
  // With the inode and the time of the change ignored, the size alone tells.
  appendFileSync(at(LONGER), 'more');
  utimesSync(at(LONGER), QUIET_TIME, QUIET_TIME);
  // Only the time of the change itself differs.
  chmodSync(at('dir 4/file 4'), 0o600);
  writeFileSync(at('dir 5/added'), 'added');
  rmSync(at('dir 6/file 6'));
  renameSync(at('dir 7'), at('dir 7 renamed'));
  rmSync(at('dir 8/file 8'));
  mkdirSync(at('dir 8/file 8'));
  writeFileSync(at('dir 8/file 8/was a file'), '');
  rmSync(at('dir 9/inner'), { recursive: true });
  writeFileSync(at('dir 9/inner'), 'was a directory');
  mkdirSync(at('dir 10/empty'));
  chmodSync(at('dir 11/inner'), 0o700);
  appendFileSync(at('large'), 'tail');
}

/** The numbers both sides give, under the names of the snapshot file. */
const ours = (summary: SnapshotSummary): Message => ({
  files_new: summary.filesNew,
  files_changed: summary.filesChanged,
  files_unmodified: summary.filesUnmodified,
  dirs_new: summary.dirsNew,
  dirs_changed: summary.dirsChanged,
  dirs_unmodified: summary.dirsUnmodified,
  data_blobs: summary.dataBlobs,
  tree_blobs: summary.treeBlobs,
  data_added: summary.dataAdded,
  total_files_processed: summary.totalFilesProcessed,
  total_bytes_processed: summary.totalBytesProcessed,
});

await describeWithPeer('restic', 'a parent snapshot', (peer) => {
  async function byUs({ folder, repo }: Place, options: { ignoreInode?: boolean; ignoreCtime?: boolean } = {}) {
    await using repository = await openAt(repo);
    const source = files({ targets: [TARGET], cwd: folder.path });
    const { summary, snapshot, parentId } = await backup(repository, { source, ...options });
    return { numbers: ours(summary), tree: snapshot.tree, parent: parentId };
  }

  async function byRestic({ folder, repo }: Place, words: readonly string[] = []) {
    const restic = resticAt(peer, { repo, cwd: folder.path });
    const message = await restic.backup([...words, TARGET]);
    await using repository = await openAt(repo, { workers: 0 });
    const found = (await all(listSnapshots(repository))).find(({ id }) => id === message['snapshot_id']);
    const numbers = Object.fromEntries(Object.keys(ours(found!.summary!)).map((key) => [key, message[key]]));
    // What restic prints is what it stores and we read.
    expect(ours(found!.summary!)).toEqual(numbers);
    return { numbers, tree: found?.tree, parent: found?.parent };
  }

  const sides = { 'this engine': byUs, restic: byRestic } as const;
  const others = { 'this engine': 'restic', restic: 'this engine' } as const;

  describe.each(['this engine', 'restic'] as const)('made by %s', (maker) => {
    it(`lets ${others[maker]} skip every file`, async () => {
      const place = await makePlace();
      using _ = place.folder;
      const first = await sides[maker](place);
      expect(first).toMatchObject({ numbers: { files_new: 201, dirs_new: 42 }, parent: undefined });
      const second = await sides[others[maker]](place);
      expect(second.parent).toBeDefined();
      expect(second.tree).toBe(first.tree);
      expect(second.numbers).toMatchObject({
        files_new: 0,
        files_changed: 0,
        files_unmodified: 201,
        dirs_new: 0,
        dirs_changed: 0,
        dirs_unmodified: 42,
        data_blobs: 0,
        tree_blobs: 0,
        data_added: 0,
      });
    });

    it('shows both the same changes', async () => {
      const place = await makePlace();
      using _ = place.folder;
      await sides[maker](place);
      change(place.target);
      const copy = { ...place, repo: join(place.folder.path, 'copy') };
      cpSync(place.repo, copy.repo, { recursive: true });
      const [one, two] = [await byUs(place), await byRestic(copy)];
      expect(one).toEqual(two);
      expect(one.numbers['files_changed']).toBe(8);
    });
  });

  it.each([
    [{ ignoreCtime: true }, '--ignore-ctime', 7],
    [{ ignoreInode: true }, '--ignore-inode', 6],
  ] as const)('compared with %j and %s gives the same changes', async (options, word, changed) => {
    const place = await makePlace();
    using _ = place.folder;
    await byUs(place);
    change(place.target);
    const copy = { ...place, repo: join(place.folder.path, 'copy') };
    cpSync(place.repo, copy.repo, { recursive: true });
    const [one, two] = [await byUs(place, options), await byRestic(copy, [word])];
    expect(one).toEqual(two);
    expect(one.numbers['files_changed']).toBe(changed);
  });
});
