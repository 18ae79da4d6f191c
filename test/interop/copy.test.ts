import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, copy } from 'restic-engine';
import type { Repository } from 'restic-engine';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { makePrograms } from '../support/programs.ts';
import type { Programs } from '../support/programs.ts';
import { randomFrom } from '../support/random.ts';
import { initAt, openAt } from '../support/repository.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import type { Message, Restic } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

// Copies of one repository, by restic and by ours: the same snapshots, and each takes the other's for copied.

const OTHER_PASSWORD = 'another one';

/** Snapshots of two hosts with tags, excludes and one that was made from another. */
async function fill(restic: Restic, cwd: string): Promise<void> {
  const random = randomFrom(5);
  mkdirSync(join(cwd, 'data/deep/er'), { recursive: true });
  writeFileSync(join(cwd, 'data/random'), random.bytes(3_000_000));
  writeFileSync(join(cwd, 'data/deep/text'), 'text '.repeat(300_000));
  writeFileSync(join(cwd, 'data/deep/er/empty'), '');
  await restic.backup(['data', '--host', 'one', '--tag', 'a,b', '--exclude', 'nothing'], { cwd });
  writeFileSync(join(cwd, 'data/deep/er/new'), random.bytes(50_000));
  await restic.backup(['data', '--host', 'one', '--tag', 'b'], { cwd });
  rmSync(join(cwd, 'data/random'));
  await restic.backup(['data/deep', '--host', 'two'], { cwd });
  await restic.ok(['tag', '--add', 'late', '--host', 'two']);
}

/** What copies must have in common: all but their ids. */
async function factsOf(restic: Restic): Promise<unknown[]> {
  const [list] = await restic.json(['snapshots']);
  const facts = (list as unknown as Message[]).map((snapshot) => JSON.stringify({ ...snapshot, id: '', short_id: '' }));
  return facts.toSorted();
}

async function expectClean(restic: Restic, repository: Repository): Promise<void> {
  expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
  expect(await check(repository, { readData: true })).toMatchObject({ errors: [], hints: [] });
}

await describeWithPeer('restic', 'copying', (peer) => {
  it.each([
    [1, 2, 'auto'],
    [2, 1, 'auto'],
    [2, 2, 'auto'],
    [2, 2, 'max'],
  ] as const)('makes what restic makes, from version %i to %i with compression %s', async (from, to, compression) => {
    using folder = makeTempDir();
    const at = (name: string): string => join(folder.path, name);
    const source = resticAt(peer, { repo: at('source') });
    await initAt(at('source'), { version: from });
    await fill(source, folder.path);
    const env = { RESTIC_FROM_PASSWORD: PASSWORD };
    const theirs = resticAt(peer, { repo: at('theirs'), password: OTHER_PASSWORD, env });
    const own = resticAt(peer, { repo: at('ours'), password: OTHER_PASSWORD, env });
    for (const name of ['theirs', 'ours']) await initAt(at(name), { version: to, password: OTHER_PASSWORD });
    await theirs.ok(['copy', '--from-repo', at('source'), '--compression', compression]);

    await using repository = await openAt(at('source'));
    await using target = await openAt(at('ours'), { password: OTHER_PASSWORD, compression });
    const { copied, skipped, totals, problems } = await copy(repository, target);
    expect([copied.length, skipped, problems]).toEqual([3, [], []]);
    expect(totals.dataBlobs).toBeGreaterThanOrEqual(3);
    expect(await factsOf(own)).toEqual(await factsOf(theirs));
    await expectClean(own, target);
    expect((await own.json(['stats', '--mode', 'raw-data']))[0]?.['total_blob_count']).toBe(
      (await theirs.json(['stats', '--mode', 'raw-data']))[0]?.['total_blob_count'],
    );

    // Nothing is copied twice, whoever copied it.
    const again = await own.ok(['copy', '--from-repo', at('source'), '--verbose']);
    expect(again.match(/was already copied to snapshot/g)).toHaveLength(3);
    await using other = await openAt(at('theirs'), { password: OTHER_PASSWORD });
    const second = await copy(repository, other);
    expect([second.copied, second.skipped.length]).toEqual([[], 3]);
  });

  it('stores blobs as the target would have stored them', async () => {
    using folder = makeTempDir();
    const at = (name: string): string => join(folder.path, name);
    const compressedIn = async (repository: Repository): Promise<{ data: number; tree: number; all: number }> => {
      const found = { data: 0, tree: 0, all: 0 };
      for (const { type, uncompressedLength } of (await repository.loadIndex()).table.entries()) {
        found.all += 1;
        if (uncompressedLength > 0) found[type] += 1;
      }
      return found;
    };
    const source = resticAt(peer, { repo: at('plain') });
    await initAt(at('plain'), { version: 1 });
    await fill(source, folder.path);
    for (const [name, version] of [['packed', 2], ['raw', 2], ['old', 1]] as const) {
      await initAt(at(name), { version });
    } // biome-ignore format: a list
    await using plain = await openAt(at('plain'));
    await using packed = await openAt(at('packed'));
    await copy(plain, packed);
    const { all, ...counts } = await compressedIn(packed);
    expect(counts.data + counts.tree).toBe(all);
    await using raw = await openAt(at('raw'), { compression: 'off' });
    await copy(packed, raw);
    expect(await compressedIn(raw)).toEqual({ data: 0, tree: counts.tree, all });
    await using old = await openAt(at('old'));
    await copy(packed, old);
    expect(await compressedIn(old)).toEqual({ data: 0, tree: 0, all });
    for (const name of ['packed', 'raw', 'old']) {
      expect(await resticAt(peer, { repo: at(name) }).ok(['check', '--read-data'])).toContain('no errors were found');
    }
  });

  it('copies what a command line names', async () => {
    using programs = makePrograms(peer);
    const { restic, ours, path } = programs;
    const source = resticAt(peer, { repo: join(path, 'source'), password: OTHER_PASSWORD });
    await initAt(join(path, 'source'), { password: OTHER_PASSWORD });
    await fill(source, path);
    writeFileSync(join(path, 'password'), `${OTHER_PASSWORD}\n`);
    const from = ['--from-repo', 'source', '--from-password-file', 'password'];
    const made = await ours('init', '--copy-chunker-params', ...from);
    expect(made).toMatchObject({ status: 0, stderr: '' });
    const polynomials = await Promise.all(
      [restic, source].map(
        async (one) => (JSON.parse(await one.ok(['cat', 'config'])) as Message)['chunker_polynomial'],
      ),
    );
    expect(polynomials[0]).toBe(polynomials[1]);
    await initAt(join(path, 'empty'));

    const requests = [
      ['--host', 'one', '--tag', 'a'],
      ['latest', '--tag', 'b'],
      ['--path', join(path, 'data/deep')],
      ['no-such', 'latest'],
      ['--host', 'nobody'],
      [],
    ];
    for (const words of requests) {
      rmSync(join(path, 'repo'), { recursive: true });
      cpSync(join(path, 'empty'), join(path, 'repo'), { recursive: true });
      const run = await ours('copy', ...from, ...words);
      expect(run.status, words.join(' ')).toBe(0);
      const own = await factsOf(restic);
      expect(run.stdout.match(/saved, copied from source snapshot/g) ?? []).toHaveLength(own.length);
      rmSync(join(path, 'repo'), { recursive: true });
      cpSync(join(path, 'empty'), join(path, 'repo'), { recursive: true });
      const theirs = await restic.run(['copy', ...from, ...words]);
      expect([theirs.status, theirs.stderr]).toEqual([run.status, run.stderr]);
      expect(own, words.join(' ')).toEqual(await factsOf(restic));
    }
    await expectTold(programs, from);
  }, 120_000);

  it('fails as restic fails', async () => {
    using programs = makePrograms(peer);
    const { ours, theirs, path } = programs;
    await initAt(join(path, 'repo'));
    await initAt(join(path, 'source'));
    writeFileSync(join(path, 'password'), PASSWORD);
    writeFileSync(join(path, 'wrong'), OTHER_PASSWORD);
    for (const words of [
      [],
      ['--from-repo', 'source', '--from-repository-file', 'source'],
      ['--from-repo', 'source', '--from-password-file', 'wrong'],
      ['--from-repo', 'source', '--from-password-file', 'wrong', '--from-password-command', 'cat wrong'],
      ['--from-repo', 'source', '--from-password-file', 'password', '--from-insecure-no-password'],
      ['--from-repo', 'nowhere', '--from-password-file', 'password'],
    ]) {
      const [own, other] = await Promise.all([ours('copy', ...words), theirs('copy', ...words)]);
      expect(own.status, words.join(' ')).toBe(other.status);
      expect(own.status).not.toBe(0);
      expect(own.stderr).toContain('Fatal: ');
    }
    writeFileSync(join(path, 'empty'), '');
    const empty = await ours('copy', '--from-repo', 'source', '--from-password-file', 'empty');
    expect(empty).toMatchObject({ status: 1, stderr: expect.stringContaining('`--from-insecure-no-password`') });
  });
});

/** A first run tells of three copies, a second one of none. */
async function expectTold({ ours, path }: Programs, from: readonly string[]): Promise<void> {
  rmSync(join(path, 'repo'), { recursive: true });
  cpSync(join(path, 'empty'), join(path, 'repo'), { recursive: true });
  const messagesOf = async (): Promise<Message[]> => {
    const { status, stdout, stderr } = await ours('copy', ...from, '--json');
    expect([status, stderr]).toEqual([0, '']);
    return stdout.trimEnd().split('\n').map((line) => JSON.parse(line) as Message); // biome-ignore format: one step
  };
  const id = expect.stringMatching(/^[0-9a-f]{64}$/);
  const first = await messagesOf();
  const copied = { message_type: 'copied', source_snapshot_id: id, snapshot_id: id };
  const summary = {
    message_type: 'summary',
    copied_snapshots: 3,
    skipped_snapshots: 0,
    data_blobs: expect.any(Number),
  };
  expect(first).toMatchObject([copied, copied, copied, summary]);
  const skipped = { ...copied, message_type: 'skipped' };
  const nothing = { data_blobs: 0, tree_blobs: 0, data_added: 0, data_added_packed: 0 };
  const second = { ...nothing, message_type: 'summary', copied_snapshots: 0, skipped_snapshots: 3 };
  expect(await messagesOf()).toEqual([skipped, skipped, skipped, second]);
}
