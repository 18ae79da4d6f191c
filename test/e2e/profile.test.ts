// Profiles, hooks and metrics of the whole program: what a timer of a machine calls.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { backup as backUp, files, listSnapshots } from 'restic-engine';
import type { SnapshotEntry } from 'restic-engine';
import { describe, expect, it, vi } from 'vitest';
import { isAlive } from '../../packages/cli/test/alive.ts';
import { messages, runProgram } from '../../packages/cli/test/program.ts';
import { run as runHere } from '../../packages/cli/src/run.ts';
import type { Run, RunOptions } from '../../packages/cli/test/program.ts';
import { describeWithPeer } from '../peers/peers.ts';
import { randomFrom } from '../support/random.ts';
import { all, initAt, openAt } from '../support/repository.ts';
import { PASSWORD, resticAt } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

interface Machine extends Disposable {
  readonly path: string;
  readonly repo: string;
  /** Runs with this profile, in the folder of the machine. */
  run(profile: string, words: readonly string[], options?: RunOptions): Promise<Run>;
  /** What hooks have written, line by line. */
  log(): string[];
}

/** A repository, two folders and a place for profiles. */
async function makeMachine(): Promise<Machine> {
  const dir = makeTempDir();
  const { path } = dir;
  const repo = join(path, 'repo');
  await initAt(repo);
  for (const name of ['one', 'two']) {
    mkdirSync(join(path, name));
    writeFileSync(join(path, name, `${name}.txt`), `the content of ${name}\n`);
    writeFileSync(join(path, name, 'left.out'), 'not wanted');
  }
  writeFileSync(join(path, 'key'), PASSWORD);
  return {
    path,
    repo,
    run(profile, words, options = {}) {
      writeFileSync(join(path, 'p.toml'), profile);
      return runProgram(['-P', './p.toml', ...words], {
        cwd: path,
        ...options,
        env: { RESTIC_PASSWORD: '', ...options.env },
      });
    },
    log: () => (existsSync(join(path, 'log')) ? readFileSync(join(path, 'log'), 'utf8').trimEnd().split('\n') : []),
    [Symbol.dispose]: () => dir[Symbol.dispose](),
  };
}

async function snapshotsOf(repo: string): Promise<SnapshotEntry[]> {
  await using repository = await openAt(repo, { workers: 0 });
  const found = await all(listSnapshots(repository));
  return found.toSorted((a, b) => (a.time < b.time ? -1 : 1));
}

const GLOBAL = '[global]\nrepo = "repo"\npassword-file = "key"\n';

/** The value of a metric in the file. */
function valueIn(text: string, metric: string, labels: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`restic_engine_${metric}{`) && each.includes(labels));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ')));
}

describe('sources', () => {
  const SOURCES = `${GLOBAL}
[env]
GREETING = "hello"
[backup]
exclude = ["left.out"]
tag = "nightly"
host = "web"
metrics-file = "m.prom"
[[backup.sources]]
paths = ["one"]
[[backup.sources]]
name = "second"
paths = ["two", "missing"]
exclude = []
tag = "other"
[[backup.sources]]
stdin-command = "echo $GREETING; echo on >&2; exit $FAIL"
stdin-filename = "dump.txt"
host = "db"
[backup.hooks]
run-failed = ["echo $RESTIC_ENGINE_EXIT_CODE $RESTIC_ENGINE_SNAPSHOT_IDS >> log"]
`;

  it('make a snapshot each, whatever becomes of the others', async () => {
    using machine = await makeMachine();
    const first = await machine.run(SOURCES, ['backup', '--json'], { env: { FAIL: '0' } });
    expect(first.status).toBe(3);
    const told = messages(first.stdout).filter((message) => message['message_type'] !== 'status');
    expect(told).toMatchObject([
      { message_type: 'source', source: 'one', number: 1, total: 3 },
      { message_type: 'summary', files_new: 1 },
      { message_type: 'source', source: 'second', number: 2, total: 3 },
      { message_type: 'summary', files_new: 2 },
      { message_type: 'source', source: 'dump.txt', number: 3, total: 3 },
      { message_type: 'summary', files_new: 1 },
    ]);
    const complaints = messages(first.stderr.replace(/^on\n/m, ''));
    expect(complaints).toMatchObject([
      { message_type: 'error' },
      { message_type: 'source_error', source: 'second', code: 3 },
      { message_type: 'exit_error', code: 3, message: expect.stringContaining('1 of 3') as unknown },
    ]);
    const made = await snapshotsOf(machine.repo);
    expect(made).toMatchObject([
      { hostname: 'web', tags: ['nightly'], paths: [join(machine.path, 'one')], excludes: ['left.out'] },
      { hostname: 'web', tags: ['other'] },
      { hostname: 'db', tags: ['nightly'], paths: ['/dump.txt'] },
    ]);
    expect(made[1]?.excludes ?? []).toEqual([]);
    expect(machine.log()).toEqual([`3 ${made.map(({ id }) => id).join(' ')}`]);

    // The same again: parents are found, nothing is added, and a failure of one is worse than what is incomplete.
    const second = await machine.run(SOURCES, ['backup'], { env: { FAIL: '5' } });
    expect(second.status).toBe(1);
    expect(second.stdout.match(/using parent snapshot/g)).toHaveLength(2);
    expect(second.stderr).toContain('dump.txt: Fatal: command failed: exit status 5');
    expect(second.stderr).toContain('2 of 3 sources failed or are incomplete: second, dump.txt');
    const metrics = readFileSync(join(machine.path, 'm.prom'), 'utf8');
    expect(valueIn(metrics, 'backup_files', 'source="one",state="unmodified"')).toBe(1);
    expect(valueIn(metrics, 'backup_errors', 'source="second"')).toBe(1);
    expect(valueIn(metrics, 'backup_snapshot_info', 'source="dump.txt"')).toBeUndefined();
    const exits = ['one', 'second', 'dump.txt'].map((name) =>
      valueIn(metrics, 'backup_source_exit_code', `source="${name}"`),
    );
    expect(exits).toEqual([0, 3, 1]);
    expect(valueIn(metrics, 'run_exit_code', 'profile="p"')).toBe(1);
    expect(valueIn(metrics, 'last_success_timestamp_seconds', '')).toBeUndefined();
    expect(await snapshotsOf(machine.repo)).toHaveLength(5);
    expect(readdirSync(join(machine.repo, 'locks'))).toEqual([]);
  });

  it('give way to paths on the command line', async () => {
    using machine = await makeMachine();
    const { status } = await machine.run(SOURCES, ['backup', 'two', '--tag', 'given']);
    expect(status).toBe(0);
    expect(await snapshotsOf(machine.repo)).toMatchObject([{ tags: ['given'], paths: [join(machine.path, 'two')] }]);
    expect(machine.log()).toEqual([]);
  });

  it('are left alone after an interrupt', async () => {
    using machine = await makeMachine();
    const slow = `${GLOBAL}
[[backup.sources]]
stdin-command = ["sh", "-c", "echo begun >&2; exec sleep 60"]
[[backup.sources]]
paths = ["one"]
`;
    const { status, stdout } = await machine.run(slow, ['backup', '--json'], {
      onStart: (child) => {
        child.stdin?.end();
        child.stderr?.once('data', () => child.kill('SIGINT'));
      },
    });
    expect(status).toBe(130);
    const told = messages(stdout).filter((message) => message['message_type'] !== 'status');
    expect(told).toMatchObject([{ message_type: 'source', number: 1 }]);
    expect(await snapshotsOf(machine.repo)).toEqual([]);
    expect(readdirSync(join(machine.repo, 'locks'))).toEqual([]);
  });

  it('share an index, in the library too', async () => {
    using machine = await makeMachine();
    await using repository = await openAt(machine.repo, { workers: 0 });
    await using lock = await repository.lock();
    const under = { lock, indexed: await repository.loadIndex() };
    const save = async (name: string): Promise<number> =>
      (await backUp(repository, { source: files({ targets: [join(machine.path, name)] }), under })).summary.dataBlobs;
    const loading = vi.spyOn(repository, 'loadIndex');
    expect(await save('one')).toBe(2);
    writeFileSync(join(machine.path, 'two/copy'), 'the content of one\n');
    // What the first stored is known without reading the index again, and one file was in both.
    expect(await save('two')).toBe(1);
    expect(await save('two')).toBe(0);
    expect(loading).not.toHaveBeenCalled();
    // The lock is the caller's still.
    expect(readdirSync(join(machine.repo, 'locks'))).toHaveLength(1);
    await using other = await openAt(machine.repo, { workers: 0 });
    const source = files({ targets: [machine.path] });
    await expect(backUp(other, { source, under })).rejects.toThrow('another repository');
    await lock[Symbol.asyncDispose]();
    await expect(backUp(repository, { source, under, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    });
  });
});

describe('hooks', () => {
  const say = (text: string): string =>
    `["echo ${text} $RESTIC_ENGINE_HOOK $RESTIC_ENGINE_COMMAND $RESTIC_ENGINE_EXIT_CODE >> log"]`;
  const HOOKS = `${GLOBAL}
[hooks]
run-before = ${say('all')}
run-after = ${say('all')}
run-failed = ${say('all')}
run-finally = ${say('all')}
[backup]
metrics-file = "m.prom"
[backup.hooks]
run-before = ["echo $RESTIC_ENGINE_REPOSITORY >> log; exit $FAIL", "echo never >> log"]
run-after = ["exit 9", "test -s m.prom && echo metrics >> log"]
run-failed = ${say('one')}
run-finally = ${say('one')}
`;

  it('are around a command, and say nothing on standard output', async () => {
    using machine = await makeMachine();
    const { status, stdout, stderr } = await machine.run(HOOKS, ['backup', 'one'], { env: { FAIL: '0' } });
    expect([status, stderr]).toEqual([0, 'Warning: run-after failed (exit status 9): exit 9\n']);
    expect(stdout).toContain('saved');
    expect(machine.log()).toEqual([
      'all run-before backup',
      machine.repo,
      'never',
      'metrics',
      'one run-finally backup 0',
      'all run-after backup 0',
      'all run-finally backup 0',
    ]);
  });

  it('that fail before the command keep it from running', async () => {
    using machine = await makeMachine();
    const { status, stderr } = await machine.run(HOOKS, ['backup', 'one'], { env: { FAIL: '7' } });
    expect(status).toBe(1);
    expect(stderr).toContain('Fatal: run-before failed (exit status 7): echo $RESTIC_ENGINE_REPOSITORY');
    expect(machine.log()).toEqual([
      'all run-before backup',
      machine.repo,
      'one run-failed backup 1',
      'one run-finally backup 1',
      'all run-failed backup 1',
      'all run-finally backup 1',
    ]);
    expect(await snapshotsOf(machine.repo)).toEqual([]);
    expect(valueIn(readFileSync(join(machine.path, 'm.prom'), 'utf8'), 'run_exit_code', '')).toBe(1);
  });

  it('are those of the command, run for failures of any kind, and not within hooks', async () => {
    using machine = await makeMachine();
    const again = `[snapshots.hooks]\nrun-before = ["\\"$NODE\\" --conditions=@restic-engine/source \\"$MAIN\\" snapshots --json >> log"]`;
    const env = {
      NODE: process.execPath,
      MAIN: join(import.meta.dirname, '../../packages/cli/src/main.ts'),
      RESTIC_PASSWORD: 'wrong',
    };
    const { status, stderr } = await machine.run(`${HOOKS}${again}`, ['snapshots'], { env });
    expect(status).toBe(1);
    // The password of the environment counts, in the hook too.
    expect(stderr).toContain('wrong password');
    expect(machine.log()).toEqual([
      'all run-before snapshots',
      'all run-failed snapshots 1',
      'all run-finally snapshots 1',
    ]);
    const nested = await machine.run(`${HOOKS}${again}`, ['snapshots', '-q'], { env: { ...env, RESTIC_PASSWORD: '' } });
    expect([nested.status, nested.stderr]).toEqual([0, '']);
    expect(machine.log().slice(3)).toEqual([
      'all run-before snapshots',
      '[]',
      'all run-after snapshots 0',
      'all run-finally snapshots 0',
    ]);
  });

  it('are ended by an interrupt, and put things in order after it', async () => {
    using machine = await makeMachine();
    const slow = `${GLOBAL}
[hooks]
run-before = ["echo begun; sleep 60; echo never >> log"]
run-finally = ["echo finally $RESTIC_ENGINE_EXIT_CODE >> log"]
`;
    const { status, stderr } = await machine.run(slow, ['snapshots'], {
      onStart: (child) => {
        child.stdin?.end();
        child.stderr?.once('data', () => child.kill('SIGTERM'));
      },
    });
    expect(status).toBe(130);
    expect(stderr).toContain('signal SIGTERM received');
    expect(machine.log()).toEqual(['finally 130']);
  });

  it('go on after an interrupt only as long as there is no second one', async () => {
    using machine = await makeMachine();
    const deaf = `${GLOBAL}[hooks]\nrun-before = ["trap '' TERM; echo $$ > pid; echo begun; while :; do sleep 0.1; done"]\n`;
    const { status } = await machine.run(deaf, ['snapshots'], {
      onStart: (child) => {
        child.stdin?.end();
        // The program answers the first with a line of its own.
        child.stderr?.on('data', () => child.kill('SIGTERM'));
      },
    });
    expect(status).toBe(130);
    const pid = Number(readFileSync(join(machine.path, 'pid'), 'utf8'));
    await expect.poll(() => isAlive(pid)).toBe(false);
  });
});

describe('metrics', () => {
  it('tell of every command, and keep the last success', async () => {
    using machine = await makeMachine();
    const file = join(machine.path, 'm.prom');
    const run = (...words: string[]): Promise<number> =>
      runHere(['-q', '-r', machine.repo, '--metrics-file', file, ...words], { RESTIC_PASSWORD: PASSWORD });
    const metrics = (): string => readFileSync(file, 'utf8');
    expect(await run('backup', join(machine.path, 'one'), '--dry-run')).toBe(0);
    expect(existsSync(file)).toBe(false);
    await run('backup', join(machine.path, 'one'));
    expect(valueIn(metrics(), 'backup_files', 'command="backup"')).toBe(2);
    expect(metrics()).toContain(`repository="${machine.repo}"`);
    expect(metrics()).not.toContain('profile=');
    const success = valueIn(metrics(), 'last_success_timestamp_seconds', '');
    expect(success).toBeGreaterThan(Date.now() / 1000 - 100);
    expect(await run('backup', join(machine.path, 'missing'))).toBe(1);
    expect(valueIn(metrics(), 'run_exit_code', '')).toBe(1);
    expect(valueIn(metrics(), 'last_success_timestamp_seconds', '')).toBe(success);
    await run('forget', '--keep-last', '1', '--prune');
    expect(valueIn(metrics(), 'forget_snapshots', 'state="kept"')).toBe(1);
    expect(valueIn(metrics(), 'forget_snapshots', 'state="removed"')).toBe(0);
    await run('check');
    expect(valueIn(metrics(), 'check_errors', 'command="check"')).toBe(0);
    await run('restore', 'latest', '--target', join(machine.path, 'restored'));
    expect(valueIn(metrics(), 'restore_errors', '')).toBe(0);
    expect(valueIn(metrics(), 'restore_bytes', '')).toBeGreaterThan(0);
    expect(readdirSync(machine.path).filter((name) => name.includes('prom'))).toEqual(['m.prom']);
  });

  it('that cannot be written do not fail the run', async () => {
    using machine = await makeMachine();
    const { status, stderr } = await machine.run(GLOBAL, ['snapshots', '--metrics-file', 'no/such/folder']);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^Warning: cannot write the metrics: ENOENT.*\n$/);
  });
});

await describeWithPeer('restic', 'backups that share a lock and an index', (peer) => {
  it('are whole for restic, also after one that was given up', async () => {
    using machine = await makeMachine();
    const restic = resticAt(peer, { repo: machine.repo });
    const random = randomFrom(1);
    for (let index = 0; index < 40; index++) {
      writeFileSync(join(machine.path, 'one', `${index}.bin`), random.bytes(300_000));
    }
    await using repository = await openAt(machine.repo, { packSize: 2 ** 22 });
    await using lock = await repository.lock();
    const under = { lock, indexed: await repository.loadIndex() };
    const source = files({ targets: [join(machine.path, 'one')] });
    const enough = new AbortController();
    let items = 0;
    const onItem = (): void => {
      items += 1;
      if (items === 30) enough.abort();
    };
    await expect(backUp(repository, { source, under, signal: enough.signal, onItem })).rejects.toMatchObject({
      code: 'aborted',
    });
    // restic's snapshot is newer than the index.
    await restic.ok(['backup', join(machine.path, 'two')]);
    await backUp(repository, { source, under });
    await backUp(repository, { source: files({ targets: [join(machine.path, 'two')] }), under });
    await restic.ok(['check', '--read-data', '--no-lock']);
    expect(await snapshotsOf(machine.repo)).toHaveLength(3);
  });
});
