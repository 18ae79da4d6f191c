import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { filesOf, storeOf } from '../support/damage.ts';
import { resticAt, resticCommand } from '../support/restic.ts';
import type { ResticRun } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { damageOf, DAMAGES } from './damages.ts';
import { placeOf } from './damaging.ts';
import { copyToFolder, makeHistory } from './repository.ts';

// The commands that repair, beside restic's: what they print, and that the commands which check prints mend the damage.

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const history = makeHistory();

function oursIn(cwd: string, repo: string): (...words: string[]) => Promise<ResticRun> {
  return (...words) => {
    const { args, env } = resticCommand(words, { repo, env: { TMPDIR: cwd } });
    return new Promise((resolve) => {
      const all = ['--conditions=@restic-engine/source', MAIN, ...args];
      const child = execFile(process.execPath, all, { env, cwd }, (_, stdout, stderr) =>
        resolve({ status: child.exitCode, stdout, stderr }),
      );
    });
  };
}

/** The commands that a check prints. */
function suggestionsIn(stderr: string): string[][] {
  return [...stderr.matchAll(/^restic-engine (.+)$/gm)].map(([, words = '']) => words.split(' '));
}

/** Output without ids of snapshots, which change from run to run, and without the order in which restic takes them. */
function blocksOf(stdout: string): string[] {
  return stdout
    .replaceAll(/^(snapshot|saved new snapshot|removed old snapshot|removed empty snapshot) \w{8}/gm, '$1')
    .trim()
    .split('\n\n')
    .toSorted();
}

async function place(repo: string, title: RegExp, version: 1 | 2 = 2): Promise<void> {
  const store = await storeOf(version === 2 ? await history : await makeHistory(version));
  for (const damage of DAMAGES) if (title.test(damage.title)) await damage.make(store);
  await copyToFolder(await filesOf(store), repo);
}

await describeWithPeer('restic', 'the repairs of the command line', (peer) => {
  it.concurrent.each([
    'a missing pack of data',
    'a missing pack of trees',
    'a pack of which little is left',
    'a flipped bit in a blob',
    'no index files',
    'a broken index file',
    'a broken snapshot',
    'a directory without a tree',
    'a file whose content is unknown',
  ])(
    'which check names mend %s',
    async (title) => {
      using folder = makeTempDir();
      const repo = join(folder.path, 'repo');
      await place(repo, new RegExp(`^${title}$`));
      const ours = oursIn(folder.path, repo);
      const check = await ours('check', '--read-data');
      expect(check.status).toBe(1);
      const suggested = suggestionsIn(check.stderr);
      expect(suggested.at(-1)).toEqual(['check', '--read-data']);
      for (const words of suggested.slice(0, -1)) expect(await ours(...words)).toMatchObject({ status: 0 });
      expect(await ours('check', '--read-data')).toMatchObject({ status: 0, stderr: '' });
      expect(await resticAt(peer, { repo }).ok(['check', '--read-data'])).toContain('no errors were found');
    },
    120_000,
  );

  it('print of snapshots what restic prints', async () => {
    using folder = makeTempDir();
    const [repo, other] = [join(folder.path, 'repo'), join(folder.path, 'other')];
    await place(repo, /unknown|irregular|wrong size|directory without a tree|of a tree that does not exist/);
    cpSync(repo, other, { recursive: true });
    const [ours, restic] = [oursIn(folder.path, repo), resticAt(peer, { repo: other })];
    for (const words of [
      ['repair', 'snapshots', '--dry-run'],
      ['repair', 'snapshots', '--dry-run', '--forget'],
      ['repair', 'snapshots', '--tag', '3'],
      ['repair', 'snapshots', '--forget'],
      ['repair', 'snapshots', '--forget'],
      ['repair', 'snapshots', 'ffffffff'],
    ]) {
      const [own, theirs] = await Promise.all([ours(...words), restic.run(words)]);
      expect(own.status).toBe(theirs.status);
      expect(blocksOf(own.stdout), words.join(' ')).toEqual(blocksOf(theirs.stdout));
      expect(own.stderr).toBe(theirs.stderr);
    }
  }, 60_000);

  it('keep damaged packs as restic keeps them, and refuse what is no id', async () => {
    using folder = makeTempDir();
    const [repo, other] = [join(folder.path, 'repo'), join(folder.path, 'other')];
    const store = await storeOf(await history);
    const { pack } = await placeOf(store, 3, '/a/b/today');
    await damageOf('a flipped bit in a blob').make(store);
    await copyToFolder(await filesOf(store), repo);
    cpSync(repo, other, { recursive: true });
    const [here, there] = [join(folder.path, 'here'), join(folder.path, 'there')];
    for (const path of [here, there]) mkdirSync(path);
    const ours = oursIn(here, repo);
    for (const [words, message] of [
      [[], 'no ids specified'],
      [[pack.slice(0, 8)], 'the full ID of a pack is needed'],
      [['ab'.repeat(32)], ''],
    ] as const) {
      const { status, stderr } = await ours('repair', 'packs', ...words);
      expect(status).toBe(1);
      expect(stderr).toContain(message);
    }
    const unequal = `pack-${pack}`;
    writeFileSync(join(here, unequal), 'something else');
    expect((await ours('repair', 'packs', pack)).stderr).toContain('file exists');
    rmSync(join(here, unequal));
    const own = await ours('repair', 'packs', pack);
    expect(own).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^failed to load data blob \w{64} from pack/),
    });
    await resticAt(peer, { repo: other }).ok(['repair', 'packs', pack], { cwd: there });
    expect(readdirSync(here)).toEqual(readdirSync(there));
    expect(readFileSync(join(here, unequal)).equals(readFileSync(join(there, unequal)))).toBe(true);
  });

  it('recover what restic recovers, and tell of it', async () => {
    using folder = makeTempDir();
    const [repo, other] = [join(folder.path, 'repo'), join(folder.path, 'other')];
    await place(repo, /^$/);
    const restic = resticAt(peer, { repo });
    const [snapshot] = await restic.json(['snapshots', '--tag', '3']);
    await restic.ok(['forget', String(snapshot?.[0]['id'])]);
    cpSync(repo, other, { recursive: true });
    const own = await oursIn(folder.path, repo)('recover');
    const theirs = await resticAt(peer, { repo: other }).ok(['recover']);
    expect(own).toMatchObject({ status: 0, stderr: '' });
    for (const output of [own.stdout, theirs]) {
      expect(output).toContain('ensuring index is complete');
      expect(output).toMatch(/\nfound 1 unreferenced roots\nsaved new snapshot \w{8}\n$/);
    }
    const again = await oursIn(folder.path, repo)('recover', '--json');
    expect(JSON.parse(again.stdout)).toEqual({ message_type: 'summary', roots: 0, snapshot_id: null });
  });

  it('migrate as restic does', async () => {
    using folder = makeTempDir();
    const [repo, other] = [join(folder.path, 'repo'), join(folder.path, 'other')];
    await place(repo, /^$/, 1);
    cpSync(repo, other, { recursive: true });
    const [ours, restic] = [oursIn(folder.path, repo), resticAt(peer, { repo: other })];
    const edges = (output: string): string[] => output.split('\n').filter((line) => /migration|repo_v2/.test(line));
    for (const words of [[], ['nosuch'], ['upgrade_repo_v2'], [], ['upgrade_repo_v2']]) {
      const [own, theirs] = await Promise.all([ours('migrate', ...words), restic.run(['migrate', ...words])]);
      expect(own.status).toBe(theirs.status);
      expect(edges(own.stdout + own.stderr).toSorted()).toEqual(edges(theirs.stdout + theirs.stderr).toSorted());
    }
    expect((await ours('migrate', '--force', 'upgrade_repo_v2')).status).toBe(1);
    const { version } = JSON.parse(await resticAt(peer, { repo }).ok(['cat', 'config'])) as { version: number };
    expect(version).toBe(2);
    expect(await resticAt(peer, { repo }).ok(['check', '--read-data'])).toContain('no errors were found');
    // Nothing stays behind where all went well.
    expect(readdirSync(folder.path).toSorted()).toEqual(['other', 'repo']);
  }, 60_000);

  it('check the snapshots that are named', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await place(repo, /^a file whose content is unknown$/);
    const ours = oursIn(folder.path, repo);
    expect((await ours('check')).status).toBe(1);
    const [group] = await resticAt(peer, { repo }).json(['snapshots', '--tag', '3']);
    const id = String(group?.[0]['short_id']);
    expect(await ours('check', id, '--read-data')).toMatchObject({ status: 0, stderr: '' });
    expect((await ours('check', 'latest')).status).toBe(1);
    expect((await ours('check', 'ffffffff')).status).toBe(1);
  });
});
