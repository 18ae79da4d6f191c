import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { startCli } from '../support/cli.ts';
import { filesOf, storeOf } from '../support/damage.ts';
import type { StoredFile } from '../support/damage.ts';
import { resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { damageOf } from './damages.ts';
import { copyToFolder, makeHistory } from './repository.ts';

// What commands make of damage, beside restic's: how they end, and whom they tell of.

const history = makeHistory();

async function place(repo: string, title: string): Promise<void> {
  const store = await storeOf(await history);
  await damageOf(title).make(store);
  await copyToFolder(await filesOf(store), repo);
}

await describeWithPeer('restic', 'damage at the command line', (peer) => {
  it('of one snapshot keeps no command from the others', async () => {
    using folder = makeTempDir();
    const [repo, other] = [join(folder.path, 'ours'), join(folder.path, 'theirs')];
    await place(repo, 'a broken snapshot');
    cpSync(repo, other, { recursive: true });
    using cli = startCli({ repo });
    const restic = resticAt(peer, { repo: other });
    for (const words of [
      ['snapshots'],
      ['stats'],
      ['find', 'today'],
      ['forget', '--keep-last', '1', '--group-by', 'host', '--dry-run'],
      ['rewrite', '--exclude', 'today', '--dry-run'],
      ['tag', '--add', 'more', '--tag', '4'],
      ['snapshots', '--tag', 'more'],
      ['check', '--no-lock', '--tag', '2'],
      ['ls', 'latest'],
      ['prune', '--dry-run'],
    ]) {
      const [own, theirs] = await Promise.all([cli.run(words), restic.run(words)]);
      expect(own.status, words.join(' ')).toBe(theirs.status);
      const ignored = (stderr: string): string[] => [...stderr.matchAll(/^Ignoring "\w+"/gm)].map(([text]) => text);
      expect(ignored(own.stderr), words.join(' ')).toEqual(ignored(theirs.stderr));
      expect(own.stderr).not.toMatch(/^ +at /m);
    }
    // For restic, no backup can be made beside a damaged snapshot.
    const backup = await cli.run(['backup', folder.path, '--exclude', repo, '--exclude', other]);
    expect(backup).toMatchObject({ status: 0, stderr: expect.stringContaining('Ignoring "') });
  }, 60_000);

  it.each([
    ['no config', ({ type }: StoredFile) => type === 'config', undefined],
    ['no keys', ({ type }: StoredFile) => type === 'key', undefined],
    ['a truncated config', ({ type }: StoredFile) => type === 'config', 20],
    ['a truncated key', ({ type }: StoredFile) => type === 'key', 20],
    ['an empty key', ({ type }: StoredFile) => type === 'key', 0],
  ] as const)('ends every command: %s', async (_, isVictim, length) => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    const files = (await history).flatMap((file) =>
      !isVictim(file) ? [file] : length === undefined ? [] : [{ ...file, bytes: file.bytes.subarray(0, length) }],
    );
    await copyToFolder(files, repo);
    using cli = startCli({ repo });
    for (const words of [['snapshots'], ['check'], ['prune'], ['repair', 'index'], ['recover']]) {
      const [own, theirs] = await Promise.all([cli.run(words), resticAt(peer, { repo }).run(words)]);
      expect(own.status, `${words.join(' ')}\n${own.stderr}\n${theirs.stderr}`).toBe(theirs.status);
      expect(own.status).not.toBe(0);
      expect(own.stderr).toMatch(/^Fatal: /m);
      expect(own.stderr).not.toMatch(/^ +at /m);
    }
  });

  it('of a lock is in the way until all locks are removed', async () => {
    using folder = makeTempDir();
    const [repo, other] = [join(folder.path, 'ours'), join(folder.path, 'theirs')];
    const lock = { type: 'lock', name: 'ab'.repeat(32), bytes: Buffer.from('no lock') } as const;
    await copyToFolder([...(await history), lock], repo);
    cpSync(repo, other, { recursive: true });
    using cli = startCli({ repo });
    const restic = resticAt(peer, { repo: other });
    for (const [words, left] of [
      [['unlock'], 1],
      [['snapshots', '--no-lock'], 1],
      [['unlock', '--remove-all'], 0],
      [['check'], 0],
    ] as const) {
      const [own, theirs] = await Promise.all([cli.run(words), restic.run(words)]);
      expect(own.status, `${words.join(' ')}\n${own.stderr}`).toBe(theirs.status);
      for (const path of [repo, other]) expect(readdirSync(join(path, 'locks')), words.join(' ')).toHaveLength(left);
    }
  });

  it('is not what strangers leave in the folders', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await copyToFolder(await history, repo);
    const strays = ['.DS_Store', 'notes.txt', 'tmp-123', `${'ab'.repeat(32)}.tmp`];
    for (const place of ['', 'data', 'data/ab', 'data/zz', 'index', 'snapshots', 'keys', 'locks']) {
      mkdirSync(join(repo, place), { recursive: true });
      for (const name of strays) writeFileSync(join(repo, place, name), 'a stray');
    }
    using cli = startCli({ repo });
    const restic = resticAt(peer, { repo });
    for (const words of [
      ['snapshots', '--no-lock'],
      ['check', '--read-data', '--no-lock'],
      ['stats', '--no-lock'],
    ]) {
      const [own, theirs] = await Promise.all([cli.run(words), restic.run(words)]);
      expect(own.status, `${words.join(' ')}\n${own.stderr}\n${theirs.stderr}`).toBe(theirs.status);
      expect(own.status).toBe(0);
    }
    // Which restic takes for a key.
    writeFileSync(join(repo, 'keys', 'AB'.repeat(32)), 'a stray');
    for (const words of [
      ['repair', 'index'],
      ['prune', '--max-unused', '0'],
      ['check', '--read-data'],
    ]) {
      const own = await cli.run(words);
      expect(own, words.join(' ')).toMatchObject({ status: 0, stderr: '' });
    }
  }, 60_000);
});
