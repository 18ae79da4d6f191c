import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { unzip } from '../../packages/snapshot/test/zip-reader.ts';
import type { Peer } from '../peers/peers.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { expectSame, makePrograms } from '../support/programs.ts';
import type { Programs } from '../support/programs.ts';
import { randomFrom } from '../support/random.ts';
import { initAt } from '../support/repository.ts';
import type { Message } from '../support/restic.ts';

// Looking into a repository whose snapshots differ in every way: same words, same answers.

interface Place extends Programs {
  /** Ids, the oldest first. */
  readonly snapshots: readonly string[];
}

async function makePlace(peer: Peer): Promise<Place> {
  const programs = makePrograms(peer);
  const { path, restic } = programs;
  const at = (name: string): string => join(path, 'data', name);
  const big = randomFrom(1).bytes(2_500_000);
  for (const folder of ['x/y', 'keep', 'gone/deep', 'same']) mkdirSync(at(folder), { recursive: true });
  for (const name of ['x/1', 'x/2', 'x/3', 'keep/1', 'keep/é', 'gone/deep/g', 'typ', 'same/<&>']) {
    writeFileSync(at(name), `in ${name}`);
  }
  writeFileSync(
    Buffer.concat([Buffer.from(`${at('same/')}`), Buffer.from([0x66, 0xff, 0x6f])]),
    'no UTF-8 in its name',
  );
  writeFileSync(at('empty'), '');
  writeFileSync(at('big'), big);
  writeFileSync(at('copy'), big);
  symlinkSync('nowhere', at('link'));
  linkSync(at('x/1'), at('x/hard'));
  await initAt(join(path, 'repo'));
  await restic.ok(['backup', 'data', '--time', '2024-01-01 10:00:00', '--host', 'one']);

  rmSync(at('gone'), { recursive: true });
  rmSync(at('typ'));
  mkdirSync(at('typ'));
  writeFileSync(at('typ/below'), 'q');
  writeFileSync(at('x/2'), 'changed');
  mkdirSync(at('new/d'), { recursive: true });
  writeFileSync(at('new/d/Old.TXT'), 'n');
  utimesSync(at('new/d/Old.TXT'), 1_265_155_200, 1_265_155_200);
  symlinkSync('away', at('new/l'));
  execFileSync('mkfifo', [at('fifo')]);
  chmodSync(at('x/3'), 0o600);
  renameSync(at('keep'), at('kept'));
  appendFileSync(at('big'), 'more');
  await restic.ok(['backup', 'data', '--time', '2024-01-02 10:00:00', '--host', 'one']);
  await restic.ok(['backup', 'data/x', '--time', '2024-01-03 10:00:00', '--host', 'two', '--tag', 'w']);

  const found = JSON.parse(await restic.ok(['snapshots', '--json'])) as Message[];
  return {
    ...programs,
    [Symbol.dispose]: programs[Symbol.dispose],
    snapshots: found.map(({ id }) => String(id)),
  };
}

await describeWithPeer('restic', 'looking beside restic', (peer) => {
  it('refuses alike what cannot be compared or found', async () => {
    using place = await makePlace(peer);
    const [first = ''] = place.snapshots;
    for (const words of [
      ['diff', first],
      ['diff', 'latest', first],
      ['find', '--pack', 'abc'],
      ['find', '--blob', '--tree', 'x'],
      ['find', '--tree', '12345678', '--json'],
      ['find', '--snapshot', 'abcdef', 'x'],
      ['find'],
      ['stats', '--host', 'nobody', '--json'],
    ]) {
      await expectSame(place, ...words);
    }
  });

  it('prints files alike', async () => {
    using place = await makePlace(peer);
    const { path, ours, theirs, snapshots } = place;
    await expectSame(place, 'dump', 'latest', '/data/x/1');
    await expectSame(place, 'dump', `${snapshots[0] ?? ''}:data`, 'empty');
    await expectSame(place, 'dump', 'latest');
    for (const missing of ['/data/x/none', '/data/x/1/below']) {
      const [own, other] = [await ours('dump', 'latest', missing), await theirs('dump', 'latest', missing)];
      expect([own.status, own.stdout]).toEqual([other.status, other.stdout]);
    }
    const target = join(path, 'dumped');
    expect(await ours('dump', snapshots[1] ?? '', '/data/big', '--target', target)).toMatchObject({
      status: 0,
      stdout: '',
    });
    expect(readFileSync(target).equals(readFileSync(join(path, 'data/big')))).toBe(true);
  });

  it('packs folders into the same archives', async () => {
    using place = await makePlace(peer);
    const { path, ours, theirs, snapshots } = place;
    const [first = '', second = ''] = snapshots;
    const [own, other] = [join(path, 'own.tar'), join(path, 'other.tar')];
    for (const words of [
      [second, '/'],
      [second, '/data/x'],
      [`${first}:data`, '/gone'],
    ]) {
      expect((await ours('dump', ...words, '--target', own)).status).toBe(0);
      expect((await theirs('dump', ...words, '--target', other)).status).toBe(0);
      const list = (archive: string): string =>
        tar('-tvf', archive, '--full-time', '--quoting-style=escape').toString();
      expect(list(own)).toBe(list(other));
      expect(tar('-xOf', own).equals(tar('-xOf', other)), words.join(' ')).toBe(true);
    }
  });

  it('packs folders into the same zip archives', async () => {
    using place = await makePlace(peer);
    const { path, ours, theirs, snapshots } = place;
    const [first = '', second = ''] = snapshots;
    const [own, other] = [join(path, 'own.zip'), join(path, 'other.zip')];
    for (const words of [
      [second, '/'],
      [second, '/data/x'],
      [`${first}:data`, '/gone'],
    ]) {
      expect((await ours('dump', ...words, '--archive', 'zip', '--target', own)).status).toBe(0);
      expect((await theirs('dump', ...words, '--archive', 'zip', '--target', other)).status).toBe(0);
      const list = (archive: string): unknown[] =>
        unzip(readFileSync(archive)).map((entry) => ({ ...entry, content: sha256(entry.content) }));
      expect(list(own), words.join(' ')).toEqual(list(other));
    }
  });

  it('changes tags so that restic agrees', async () => {
    using place = await makePlace(peer);
    const { ours, theirs, snapshots, restic } = place;
    const tagsOf = async (): Promise<unknown[]> => {
      const found = JSON.parse(await restic.ok(['snapshots', '--json'])) as Message[];
      return found.map(({ tags, original }) => [tags, original]);
    };
    expect(
      (await ours('tag', '--add', 'a,b', '--add', 'c', '--remove', 'w', '--json')).stdout.split('\n'),
    ).toHaveLength(5);
    expect(await tagsOf()).toEqual(snapshots.map((id) => [['a', 'b', 'c'], id]));
    expect((await theirs('tag', '--remove', 'a')).status).toBe(0);
    expect((await ours('tag', '--set', 'only', '--host', 'two')).stdout).toContain('modified 1 snapshots');
    expect((await tagsOf())[2]).toEqual([['only'], snapshots[2]]);
    // One after the other: each wants the repository for itself.
    const nothing = ['tag', '--remove', 'none', '--json'];
    expect(await ours(...nothing)).toEqual(await theirs(...nothing));
    await expectSame(place, 'tag', '--set', '');
    await expectSame(place, 'tag');
    await restic.ok(['check']);
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function tar(...args: string[]): Buffer {
  return execFileSync('tar', args, { env: { ...process.env, LC_ALL: 'C.UTF-8' }, maxBuffer: 1 << 26 });
}
