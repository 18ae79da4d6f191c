import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { filesOf, openStore, storeOf } from '../support/damage.ts';
import { resticAt, resticCommand } from '../support/restic.ts';
import type { ResticRun } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { copyToFolder, forgetDays, makeHistory } from './repository.ts';

// The commands that look after a repository, beside restic's.

const MAIN = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));

function ours(repo: string, ...words: string[]): Promise<ResticRun> {
  const { args, env } = resticCommand(words, { repo });
  return new Promise((resolve) => {
    const all = ['--conditions=@restic-engine/source', MAIN, ...args];
    const child = execFile(process.execPath, all, { env }, (_, stdout, stderr) =>
      resolve({ status: child.exitCode, stdout, stderr }),
    );
  });
}

/** What both print of a plan: counts and sizes. */
function rowsIn(stdout: string): string[] {
  const titles =
    /^(to repack|this removes|to delete|total prune|remaining|unused size after prune|totally used packs|partly used packs|unused packs|to keep|used|unused|total):/;
  const lines = stdout.split('\n').filter((line) => titles.test(line));
  return lines.map((line) => line.replaceAll(/\s+/g, ' ').trim());
}

async function makeLitter(repo: string): Promise<void> {
  const store = await storeOf(await makeHistory());
  await forgetDays(await openStore(store), [1, 2]);
  await copyToFolder(await filesOf(store), repo);
}

await describeWithPeer('restic', 'the command line', (peer) => {
  it('tells what prune would do as restic does, and does it', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await makeLitter(repo);
    const restic = resticAt(peer, { repo });
    const theirs = await restic.run(['prune', '--dry-run', '--verbose']);
    const plan = await ours(repo, 'prune', '--dry-run', '--verbose');
    expect(plan).toMatchObject({ status: 0, stderr: '' });
    expect(plan.stdout).toContain('Would have made the following changes:');
    expect(rowsIn(plan.stdout)).toEqual(rowsIn(theirs.stdout));
    expect(rowsIn(plan.stdout).length).toBeGreaterThan(10);

    expect(await ours(repo, 'prune', '--quiet')).toEqual({ status: 0, stdout: '', stderr: '' });
    const again = await ours(repo, 'prune', '--json', '--max-unused', '0');
    const summary = JSON.parse(again.stdout) as Record<string, Record<string, number>>;
    expect(summary).toMatchObject({
      message_type: 'summary',
      blobs: { unused: 0, repack_remove: 0, remove_total: 0 },
      bytes: { remaining_unused: 0, unreferenced: 0 },
      packfiles: { partly_used: 0, keep: summary['packfiles']?.['total'] },
    });
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    const check = await ours(repo, 'check', '--read-data');
    expect(check).toMatchObject({ status: 0, stderr: '' });
    expect(check.stdout).toContain('no errors were found');
  });

  it('repairs the index that restic then takes for sound', async () => {
    using folder = makeTempDir();
    const [repo, broken] = [join(folder.path, 'repo'), join(folder.path, 'broken')];
    await makeLitter(repo);
    cpSync(repo, broken, { recursive: true, filter: (path) => !/\/index\//.test(path) });
    const restic = resticAt(peer, { repo: broken });
    expect((await ours(broken, 'check')).status).toBe(1);
    expect(await ours(broken, 'repair', 'index')).toMatchObject({ status: 0, stdout: expect.stringContaining('done') });
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
    expect(await ours(broken, 'repair', 'index', '--read-all-packs', '--quiet')).toMatchObject({
      status: 0,
      stdout: '',
    });
    expect(await restic.ok(['check'])).toContain('no errors were found');
  });

  it('looks at the snapshots that are asked for', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await makeLitter(repo);
    const { status, stdout } = await ours(repo, 'check', '--tag', '3', '--read-data-subset', '50%');
    expect(status).toBe(0);
    expect(stdout).toContain('read 50.0% of data packs');
  });
});
