import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWithPeer } from '../peers/peers.ts';
import { both, expectSame, makePrograms } from '../support/programs.ts';
import type { Programs } from '../support/programs.ts';
import { initAt } from '../support/repository.ts';
import type { Message, ResticRun } from '../support/restic.ts';

// The command line against restic's: the same words, the same answers. Texts for people may differ; what scripts read
// may not: exit statuses, JSON, tables, and the lines that name snapshots.

/** Both at one repository, beside something to back up. */
function makePlace(peer: Parameters<typeof makePrograms>[0]): Programs {
  const programs = makePrograms(peer);
  const data = join(programs.path, 'data');
  mkdirSync(join(data, 'sub'), { recursive: true });
  writeFileSync(join(data, 'a.txt'), 'hello\n');
  writeFileSync(join(data, 'sub/b.bin'), Buffer.alloc(300_000, 'b'));
  symlinkSync('a.txt', join(data, 'link'));
  return programs;
}

function messages(text: string): Message[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Message);
}

function messageOf(text: string, type: string): Message {
  const found = messages(text).find((message) => message['message_type'] === type);
  if (found === undefined) throw new Error(`no ${type} message in: ${text.slice(0, 500)}`);
  return found;
}

await describeWithPeer('restic', 'the command line beside restic', (peer) => {
  it('prints what makes up a repository alike', async () => {
    using place = makePlace(peer);
    const { restic } = place;
    await initAt(join(place.path, 'repo'));
    await restic.ok(['backup', 'data']);
    for (const words of [
      ['snapshots'],
      ['snapshots', '--json', '--path', join(place.path, 'data')],
      ['ls', 'latest', '--long'],
      ['cat', 'config'],
      ['cat', 'masterkey'],
    ]) {
      await expectSame(place, ...words);
    }
  });

  it('says with the same members what init and backup did', async () => {
    using place = makePlace(peer);
    const { ours, theirs } = place;
    const made = messageOf((await ours('init', '--json')).stdout, 'initialized');
    expect(Object.keys(made)).toEqual(['message_type', 'id', 'repository']);
    expect(made['id']).toBe(JSON.parse((await theirs('cat', 'config')).stdout).id);

    for (const words of [['data'], ['data'], ['data', '--dry-run'], ['data', '--skip-if-unchanged']]) {
      const [own, other] = [
        await ours('backup', ...words, '--json', '-v'),
        await theirs('backup', ...words, '--json', '-v'),
      ];
      expect([own.status, other.status]).toEqual([0, 0]);
      const keys = (run: ResticRun): string[] =>
        Object.keys(messageOf(run.stdout, 'summary')).filter((key) => key !== 'snapshot_id');
      expect(keys(own), words.join(' ')).toEqual(keys(other));
      const item = (run: ResticRun): string[] => {
        const found = messages(run.stdout).find(({ item: path }) => path === '/data/a.txt');
        return Object.keys(found ?? {});
      };
      expect(item(own)).toEqual(item(other));
    }
    const { stdout } = await theirs('backup', 'data', '--json');
    expect(messageOf(stdout, 'summary')).toMatchObject({ files_unmodified: 2, dirs_unmodified: 2, data_added: 0 });
  });

  it('restores alike, file for file and word for word', async () => {
    using place = makePlace(peer);
    const { restic, ours, theirs } = place;
    await initAt(join(place.path, 'repo'));
    await restic.ok(['backup', 'data']);
    const restored = async (run: Programs['ours'], target: string, ...words: string[]): Promise<unknown> => {
      const { status, stdout } = await run('restore', 'latest', '--target', target, ...words);
      const told = messages(stdout).find((message) => message['message_type'] === 'summary');
      // There after a second, on a machine that is busy enough.
      const summary = told && { ...told, seconds_elapsed: undefined };
      const items = messages(stdout).filter((message) => message['message_type'] === 'verbose_status');
      return { status, summary, items: items.map((item) => JSON.stringify(item)).toSorted() };
    };
    for (const words of [
      ['--json', '-vv'],
      ['--json', '-vv', '--verify'],
      ['--json', '--include', 'a.txt'],
      ['--json', '--dry-run', '--exclude', '*.bin'],
    ]) {
      // Each into a place of its own; with --verify twice: the second time everything is there already.
      for (const _time of words.includes('--verify') ? [1, 2] : [1]) {
        const name = words.join('').replaceAll(/\W/g, '');
        const own = await restored(ours, `own${name}`, ...words);
        expect(own, words.join(' ')).toEqual(await restored(theirs, `their${name}`, ...words));
      }
    }
    expect(readFileSync(join(place.path, 'ownjsonvv/data/a.txt'), 'utf8')).toBe('hello\n');
  });

  it('handles keys that restic opens and lists', async () => {
    using place = makePlace(peer);
    const { restic, ours, theirs } = place;
    await initAt(join(place.path, 'repo'));
    writeFileSync(join(place.path, 'new'), 'another one\n');
    const added = await ours('key', 'add', '--new-password-file', 'new', '--user', 'u', '--host', 'h');
    expect(added.stdout).toMatch(/^saved new key with ID [0-9a-f]{64}\n$/);
    const keys = async (run: Programs['ours']): Promise<Message[]> =>
      (JSON.parse((await run('key', 'list', '--json')).stdout) as Message[]).toSorted((a, b) =>
        a['id'] < b['id'] ? -1 : 1,
      );
    const listed = await keys(ours);
    expect(listed).toEqual(await keys(theirs));
    expect(listed).toHaveLength(2);
    expect((await restic.run(['cat', 'config'], { password: 'another one' })).status).toBe(0);
    const current = String(listed.find((key) => key['current'])?.['id']);
    expect((await ours('key', 'remove', current)).status).toBe(1);
    expect((await ours('key', 'remove', added.stdout.slice(-65, -1))).status).toBe(0);
    expect((await restic.run(['cat', 'config'], { password: 'another one' })).status).toBe(12);
  });

  it('ends with the same status', async () => {
    using place = makePlace(peer);
    const same = async (status: number, ...words: string[]): Promise<[ResticRun, ResticRun]> => {
      const runs = await both(place, ...words);
      expect(
        runs.map((run) => run.status),
        words.join(' '),
      ).toEqual([status, status]);
      return runs;
    };
    for (const run of await same(10, 'snapshots', '--json'))
      expect(messageOf(run.stderr, 'exit_error')['code']).toBe(10);
    await initAt(join(place.path, 'repo'));
    await same(1, 'init');
    await same(1, 'snapshots', '--no-such-flag');
    await same(1, 'backup');
    await same(1, 'backup', 'missing');
    await same(1, 'restore', 'latest', '--target', 'out');
    await same(1, 'ls', 'latest');
    for (const run of await same(3, 'backup', 'data', 'missing')) {
      expect(run.stdout).toMatch(/^snapshot [0-9a-f]{8} saved$/m);
      expect(run.stderr).toContain('missing does not exist, skipping');
      expect(run.stderr).toContain('Warning: at least one source file could not be read');
    }
    await same(1, 'backup', '--stdin-from-command', '--', 'false');
    mkdirSync(join(place.path, 'out/data/a.txt/full'), { recursive: true });
    for (const run of await same(1, 'restore', 'latest', '--target', 'out', '--json')) {
      expect(messageOf(run.stderr, 'error')).toMatchObject({ during: 'restore', item: '/data/a.txt' });
      expect(messageOf(run.stderr, 'exit_error')['message']).toBe('Fatal: There were 1 errors');
    }
    for (const run of await same(3, 'backup', '--stdin-from-command', '--', 'true')) {
      expect(run.stderr).toMatch(/error: failed to save \/stdin: .*no data read/);
    }
    await same(3, 'backup', '--stdin');
    for (const run of await same(12, 'snapshots', '--json', '--password-command', 'echo wrong')) {
      expect(messageOf(run.stderr, 'exit_error')['message']).toBe('Fatal: wrong password or no key found');
    }
  });
});
