import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup, files, restore } from 'restic-engine';
import type { Compression } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { treeFacts } from '../support/compare-trees.ts';
import { randomFrom } from '../support/random.ts';
import { initAt, openAt } from '../support/repository.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { makeTrapTree } from '../support/trap-tree.ts';

interface Case {
  readonly version: 1 | 2;
  readonly compression: Compression;
}

const cases: readonly Case[] = [
  { version: 1, compression: 'auto' },
  { version: 2, compression: 'off' },
  { version: 2, compression: 'auto' },
  { version: 2, compression: 'max' },
];

await describeWithPeer('restic', 'what this engine backs up', (peer) => {
  it.each(cases)('restic checks and restores: version $version, compression $compression', async (each) => {
    using folder = makeTempDir();
    const { path: source, dirs, others } = await makeTrapTree(join(folder.path, 'source'), { onlyRestorable: true });
    const repo = join(folder.path, 'repo');
    await initAt(repo, { version: each.version });
    await using repository = await openAt(repo, { compression: each.compression });
    const result = await backup(repository, { source: files({ targets: [source] }), tags: ['traps'] });
    expect(result.errors).toEqual([]);
    expect(result.problems).toEqual([]);

    const restic = resticAt(peer, { repo });
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    const target = join(folder.path, 'restored');
    const [summary] = (await restic.json(['restore', `${result.snapshotId}:${source}`, '--target', target])).slice(-1);
    expect(summary).toMatchObject({ message_type: 'summary', total_files: dirs + others });
    const restored = treeFacts(target);
    expect(Object.keys(restored)).toHaveLength(dirs + others);
    expect(restored).toEqual(treeFacts(source));
  });

  it('is compressed as asked', async () => {
    using folder = makeTempDir();
    const source = join(folder.path, 'source');
    mkdirSync(source);
    const words = randomFrom(6);
    const text = Array.from({ length: 100_000 }, () => `word${words.int(5000)}`).join(' ');
    for (let i = 0; i < 50; i++) writeFileSync(join(source, `${i}`), text.slice(i * 10_000, (i + 5) * 10_000));
    const stored = new Map<string, number>();
    for (const { version, compression } of cases) {
      const repo = join(folder.path, `${version} ${compression}`);
      await initAt(repo, { version, chunkerPolynomial: '3da3358b4dc173' });
      await using repository = await openAt(repo, { compression });
      const { summary } = await backup(repository, { source: files({ targets: [source] }), dryRun: true });
      stored.set(`${version} ${compression}`, summary.dataAddedPacked);
    }
    const [plain = 0, off = 0, auto = 0, max = 0] = stored.values();
    // Trees are compressed in version 2 even with "off".
    expect(off).toBeLessThan(plain);
    expect(auto).toBeLessThan(off);
    expect(max).toBeLessThan(auto);
  });
});

await describeWithPeer('restic', 'what restic backs up', (peer) => {
  it.each([1, 2] as const)('this engine restores: version %i', async (version) => {
    using folder = makeTempDir();
    const { path: source, dirs, others } = await makeTrapTree(join(folder.path, 'source'));
    const repo = join(folder.path, 'repo');
    await initAt(repo, { version });
    const { snapshot_id: id } = await resticAt(peer, { repo }).backup([source]);
    await using repository = await openAt(repo);
    const target = join(folder.path, 'restored');
    const result = await restore(repository, { snapshot: `${id}:${source}`, target, verify: true });
    expect(result.errors).toEqual([]);
    expect(result.problems).toEqual([]);
    const restored = treeFacts(target);
    expect(Object.keys(restored)).toHaveLength(dirs + others);
    expect(restored).toEqual(treeFacts(source));
  });

  it('this engine restores from a repository that restic made', async () => {
    using folder = makeTempDir();
    const { path: source } = await makeTrapTree(join(folder.path, 'source'));
    const repo = join(folder.path, 'repo');
    const restic = resticAt(peer, { repo });
    await restic.ok(['init']);
    await restic.ok(['backup', '.'], { cwd: source });
    await using repository = await openAt(repo, { workers: 0 });
    const target = join(folder.path, 'restored');
    const { errors } = await restore(repository, { snapshot: 'latest', target, sparse: true });
    expect(errors).toEqual([]);
    expect(treeFacts(target)).toEqual(treeFacts(source));
  });
});
