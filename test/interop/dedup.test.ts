import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, files } from 'restic-engine';
import type { BackupResult } from 'restic-engine';
import { nodePlatform } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { randomFrom } from '../support/random.ts';
import { initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { makeTrapTree } from '../support/trap-tree.ts';

// Trees are named by the hash of their bytes: one byte that differs and every directory above it is stored twice.

/** Below the working directory: the folders above it are other tests' to change, and their times are part of trees. */
const TARGET = 'above/the/target';

/** A folder to work in, with one for the repository and a place for the target. */
function makeFolder(): TempDir {
  const folder = makeTempDir();
  mkdirSync(join(folder.path, 'above/the'), { recursive: true });
  return folder;
}

async function backUp(cwd: string, repo: string, zone?: string): Promise<BackupResult> {
  const platform = nodePlatform(zone === undefined ? process.env : { TZ: zone });
  await using repository = await openAt(repo, { platform });
  const result = await backup(repository, { source: files({ targets: [TARGET], cwd }), force: true });
  expect(result.errors).toEqual([]);
  expect(result.problems).toEqual([]);
  return result;
}

/** Every code point that can be in a name, as restic's trees tell printable ones from others; 60 to a name. */
function makeCodePointTree(path: string): number {
  mkdirSync(path);
  let count = 0;
  for (const plane of [0, 1, 2, 3, 14]) {
    for (let block = 0; block < 16; block++) {
      const points = Array.from({ length: 0x1000 }, (_, i) => plane * 0x10000 + block * 0x1000 + i);
      const usable = points.filter((point) => point !== 0 && point !== 0x2f && !(point >= 0xd800 && point < 0xe000));
      const directory = join(path, `${plane.toString(16)}-${block.toString(16)}`);
      mkdirSync(directory);
      for (let i = 0; i < usable.length; i += 60) {
        writeFileSync(join(directory, String.fromCodePoint(...usable.slice(i, i + 60))), '');
        count += 1;
      }
    }
  }
  return count;
}

/** A tree like that of a large program: many small files, some of them alike, in folders of many sizes. */
function makeLargeTree(path: string, count: number): number {
  const random = randomFrom(1);
  const content = random.bytes(1 << 16);
  let written = 0;
  for (let dir = 0; written < count; dir++) {
    const directory = join(path, `package-${dir % 37}`, `lib-${dir}`, 'src');
    mkdirSync(directory, { recursive: true });
    const inside = Math.min(1 + random.int(120), count - written);
    for (let i = 0; i < inside; i++) {
      const start = random.int(content.length - 3000);
      writeFileSync(join(directory, `file-${i}.js`), content.subarray(start, start + random.int(3000)));
    }
    written += inside;
  }
  return written;
}

const countFiles = (path: string): number =>
  readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;

await describeWithPeer('restic', 'restic and this engine store the same tree once', (peer) => {
  /** Backs up with one, then with the other; the second must find everything there already. */
  async function expectSameTrees(folder: string, first: 'ours' | 'restic', zone?: string): Promise<void> {
    const repo = join(folder, `repo ${first} ${zone?.replaceAll('/', ' ') ?? ''}`);
    await initAt(repo);
    const restic = resticAt(peer, { repo, cwd: folder, env: zone === undefined ? {} : { TZ: zone } });
    const byRestic = async () => {
      const summary = await restic.backup(['--force', TARGET]);
      const [snapshots] = await restic.json(['snapshots', summary['snapshot_id']]);
      const [{ tree }] = snapshots as never as [{ tree: string }];
      return { tree, dataBlobs: summary['data_blobs'] as number, treeBlobs: summary['tree_blobs'] as number };
    };
    const byUs = async () => {
      const { snapshot, summary } = await backUp(folder, repo, zone);
      return { tree: snapshot.tree, dataBlobs: summary.dataBlobs, treeBlobs: summary.treeBlobs };
    };
    const one = first === 'ours' ? await byUs() : await byRestic();
    const other = first === 'ours' ? await byRestic() : await byUs();
    expect(one.treeBlobs).toBeGreaterThan(0);
    expect({ tree: other.tree, dataBlobs: other.dataBlobs, treeBlobs: other.treeBlobs }).toEqual({
      tree: one.tree,
      dataBlobs: 0,
      treeBlobs: 0,
    });
  }

  const zones = ['UTC', 'Europe/Amsterdam', 'America/St_Johns', 'Asia/Kolkata'];

  describe('a tree full of traps', () => {
    it.each(zones)('%s', async (zone) => {
      using folder = makeFolder();
      await makeTrapTree(join(folder.path, TARGET), { onlyMetadata: zone !== 'UTC' });
      await expectSameTrees(folder.path, 'ours', zone);
      await expectSameTrees(folder.path, 'restic', zone);
    });

    it('has other trees in another zone, or the zones prove nothing', async () => {
      using folder = makeFolder();
      writeFileSync(join(folder.path, TARGET), '');
      const repo = join(folder.path, 'repo');
      await initAt(repo);
      const trees = new Set<string>();
      for (const zone of zones) trees.add((await backUp(folder.path, repo, zone)).snapshot.tree);
      expect(trees.size).toBe(zones.length);
    });
  });

  it('every code point in a name', async () => {
    using folder = makeFolder();
    expect(makeCodePointTree(join(folder.path, TARGET))).toBeGreaterThan(5000);
    await expectSameTrees(folder.path, 'ours');
    await expectSameTrees(folder.path, 'restic');
  });

  it('30,000 files', async () => {
    using folder = makeFolder();
    const target = join(folder.path, TARGET);
    makeLargeTree(target, 30_000);
    expect(countFiles(target)).toBe(30_000);
    await expectSameTrees(folder.path, 'ours');
    await expectSameTrees(folder.path, 'restic');
  }, 180_000);
});
