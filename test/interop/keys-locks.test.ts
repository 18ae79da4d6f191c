import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  addKey,
  backup,
  changePassword,
  EngineError,
  listKeys,
  listLocks,
  objects,
  removeKey,
  removeStaleLocks,
} from 'restic-engine';
import type { Repository } from 'restic-engine';
import { encodeLock, type Lock } from '@restic-engine/repo-format';
import { formatInstant } from '@restic-engine/repository';
import { describe, expect, it } from 'vitest';
import { describeWithPeer, type Peer } from '../peers/peers.ts';
import { all, CHEAP, initAt, openAt } from '../support/repository.ts';
import { PASSWORD, resticAt, resticCommand } from '../support/restic.ts';
import { makeTempDir } from '../support/temp-dir.ts';

const WRONG_PASSWORD = 12;
const LOCKED = 11;

/** Holds a lock until its input ends. */
const HOLDER = `
  import { localBackend, openRepository } from 'restic-engine';
  const [, path, password] = process.argv;
  const repository = await openRepository({ backend: localBackend(path), password, workers: 0 });
  const lock = await repository.lock();
  process.stdout.write('locked');
  for await (const _ of process.stdin);
  await lock[Symbol.asyncDispose]();
`;

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'success',
    (error: unknown) => (EngineError.is(error) ? error.code : `unexpected: ${String(error)}`),
  );

const filesIn = (repo: string, folder: string): string[] => readdirSync(join(repo, folder));

/** A restic that holds a lock, because it waits for something. */
interface Waiting extends AsyncDisposable {
  readonly exclusive: boolean;
}

async function waitForLock(repo: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (filesIn(repo, 'locks').length === 0) {
    if (performance.now() > deadline || child.exitCode !== null) throw new Error('restic takes no lock');
    await sleep(20);
  }
  // It removes its lock again if it sees another one within 200 ms; let it be done with that.
  await sleep(400);
}

/** Waits for the end of its input. */
async function backupThatWaits(peer: Peer, repo: string): Promise<Waiting> {
  const { args, env } = resticCommand(['backup', '--stdin', '--quiet'], { repo });
  const child = spawn(peer.path, args, { env, stdio: ['pipe', 'ignore', 'ignore'] });
  const closed = once(child, 'close');
  child.stdin.write('beginning');
  await waitForLock(repo, child);
  return {
    exclusive: false,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await closed;
    },
  };
}

/** Waits for the new password in a named pipe. */
async function passwordChangeThatWaits(peer: Peer, repo: string): Promise<Waiting> {
  const pipe = `${repo} pipe`;
  execFileSync('mkfifo', [pipe]);
  const { args, env } = resticCommand(['key', 'passwd', '--new-password-file', pipe], { repo });
  const child = spawn(peer.path, args, { env, stdio: 'ignore' });
  const closed = once(child, 'close');
  await waitForLock(repo, child);
  return {
    exclusive: true,
    async [Symbol.asyncDispose]() {
      await writeFile(pipe, 'another');
      await closed;
    },
  };
}

await describeWithPeer('restic', 'keys', (peer) => {
  const setUp = async () => {
    const folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await initAt(repo);
    return { folder, repo, restic: resticAt(peer, { repo }) };
  };

  it('that we add open in restic, and those it adds open here', async () => {
    const { folder, repo, restic } = await setUp();
    using _ = folder;
    await using repository = await openAt(repo, { workers: 0 });
    const odd = ' Zürich 🔑 "quoted" ';
    const ours = await addKey(repository, { password: odd, username: 'eve', hostname: 'büro', kdf: CHEAP });
    const [keys] = (await restic.json(['key', 'list'], { password: odd })) as never as [Record<string, unknown>[]];
    expect(keys).toHaveLength(2);
    expect(keys.find(({ current }) => current)).toMatchObject({ userName: 'eve', hostName: 'büro', id: ours });

    const passwordFile = join(folder.path, 'password');
    writeFileSync(passwordFile, 'from restic\n');
    await restic.ok(['key', 'add', '--new-password-file', passwordFile, '--user', 'bob', '--host', 'desk']);
    await using again = await openAt(repo, { password: 'from restic', workers: 0 });
    const found = await listKeys(again);
    expect(found).toHaveLength(3);
    expect(found.find(({ current }) => current)).toMatchObject({ username: 'bob', hostname: 'desk' });
    await backup(again, { source: objects([{ path: 'a', content: 'a' }]) });
    expect(await restic.ok(['check', '--read-data'])).toContain('no errors were found');
  });

  it('are gone for both when one removes them', async () => {
    const { folder, repo, restic } = await setUp();
    using _ = folder;
    await using repository = await openAt(repo, { workers: 0 });
    const one = await addKey(repository, { password: 'one', kdf: CHEAP });
    const two = await addKey(repository, { password: 'two', kdf: CHEAP });
    expect((await restic.run(['cat', 'config'], { password: 'one' })).status).toBe(0);
    await removeKey(repository, one);
    expect((await restic.run(['cat', 'config'], { password: 'one' })).status).toBe(WRONG_PASSWORD);
    await restic.ok(['key', 'remove', two]);
    expect(await codeOf(openAt(repo, { password: 'two' }))).toBe('wrong-password');
    expect(await codeOf(removeKey(repository, repository.keyId!))).toBe('bad-request');
    expect(filesIn(repo, 'keys')).toEqual([repository.keyId]);
  });

  it('get another password on either side', async () => {
    const { folder, repo, restic } = await setUp();
    using _ = folder;
    await using repository = await openAt(repo, { workers: 0 });
    await changePassword(repository, { password: 'second', kdf: CHEAP });
    expect((await restic.run(['cat', 'config'])).status).toBe(WRONG_PASSWORD);
    const passwordFile = join(folder.path, 'password');
    writeFileSync(passwordFile, 'third');
    await restic.ok(['key', 'passwd', '--new-password-file', passwordFile], { password: 'second' });
    expect(await codeOf(openAt(repo, { password: 'second' }))).toBe('wrong-password');
    await using third = await openAt(repo, { password: 'third', workers: 0 });
    expect(await listKeys(third)).toHaveLength(1);
  });
});

await describeWithPeer('restic', 'locks', (peer) => {
  const setUp = async () => {
    const folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await initAt(repo);
    return { folder, repo, restic: resticAt(peer, { repo }), repository: await openAt(repo, { workers: 0 }) };
  };

  it('of ours let restic work beside them, or stop it', async () => {
    const { folder, restic, repository } = await setUp();
    using _ = folder;
    await using __ = repository;
    {
      await using lock = await repository.lock();
      expect(filesIn(join(folder.path, 'repo'), 'locks')).toEqual([lock.id]);
      expect((await restic.run(['backup', '--stdin'], { input: 'x' })).status).toBe(0);
      expect((await restic.run(['forget', 'latest'])).status).toBe(LOCKED);
    }
    {
      await using _lock = await repository.lock({ exclusive: true });
      const refused = await restic.run(['backup', '--stdin'], { input: 'x' });
      expect(refused.status).toBe(LOCKED);
      expect(refused.stderr).toContain(`locked exclusively by PID ${process.pid} on ${os.hostname()}`);
      expect((await restic.run(['snapshots'])).status).toBe(LOCKED);
      expect((await restic.run(['snapshots', '--no-lock'])).status).toBe(0);
    }
    expect(filesIn(join(folder.path, 'repo'), 'locks')).toEqual([]);
    expect((await restic.run(['forget', 'latest'])).status).toBe(0);
  });

  it('of restic let us work beside them, or stop us', async () => {
    const { folder, repo, repository } = await setUp();
    using _ = folder;
    await using __ = repository;
    const source = objects([{ path: 'a', content: 'a' }]);
    for (const start of [backupThatWaits, passwordChangeThatWaits]) {
      await using held = await start(peer, repo);
      const [found] = await all(listLocks(repository));
      expect(found?.lock).toMatchObject({ exclusive: held.exclusive, hostname: os.hostname() });
      expect(await codeOf(backup(repository, { source }))).toBe(held.exclusive ? 'locked' : 'success');
      expect(await codeOf(repository.lock({ exclusive: true }))).toBe('locked');
      // Our own attempts leave nothing behind, and a live and fresh lock is nobody's to remove.
      expect(filesIn(repo, 'locks')).toEqual([found?.id]);
      expect(await removeStaleLocks(repository)).toBe(0);
    }
    await using _lock = await repository.lock({ exclusive: true });
    const restic = resticAt(peer, { repo, password: 'another' });
    expect(JSON.parse(await restic.ok(['snapshots', '--json', '--no-lock']))).toHaveLength(2);
  });

  it('of ours survive the question of restic whether they do', async () => {
    const { folder, repo, restic, repository } = await setUp();
    using _ = folder;
    await using __ = repository;
    const holder = spawn(process.execPath, [...process.execArgv, '--input-type=module', '-e', HOLDER, repo, PASSWORD], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const closed = once(holder, 'close');
    await once(holder.stdout, 'data');
    const held = filesIn(repo, 'locks');
    // It sends SIGHUP, which would end most processes.
    await restic.ok(['unlock']);
    expect(filesIn(repo, 'locks')).toEqual(held);
    expect(await removeStaleLocks(repository)).toBe(0);
    holder.stdin.end();
    expect(await closed).toEqual([0, null]);
    expect(held).toHaveLength(1);
    expect(filesIn(repo, 'locks')).toEqual([]);
  });

  describe('that nobody holds any more', () => {
    const HOUR = 3600;

    /** Writes a lock file as somebody else would have. */
    async function plant(repository: Repository, lock: Partial<Lock>, secondsAgo: number): Promise<string> {
      const { platform } = repository;
      const { seconds } = platform.now();
      const time = formatInstant({
        ...platform,
        zone: platform.zone,
        now: () => ({ seconds: seconds - secondsAgo, nanoseconds: 0 }),
      });
      const { hostname, username, uid, gid, pid } = platform;
      const whole: Lock = { time, exclusive: false, hostname, username, uid, gid, pid, ...lock };
      return repository.saveFile('lock', encodeLock(whole));
    }

    /** A process that lives on when it is asked whether it does. */
    async function bystander(): Promise<{ pid: number } & AsyncDisposable> {
      const program = "process.on('SIGHUP', () => {}); process.stdin.resume(); process.stdout.write('ready');";
      const child = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      return {
        pid: child.pid!,
        async [Symbol.asyncDispose]() {
          child.stdin.end();
          await once(child, 'close');
        },
      };
    }

    /** A number that was a process's a moment ago. */
    async function deadPid(): Promise<number> {
      const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
      await once(child, 'close');
      return child.pid!;
    }

    /** Four that must go, and the ids of three that must stay. */
    async function plantAll(repository: Repository, pid: number): Promise<string[]> {
      const dead = await deadPid();
      await plant(repository, { pid: dead }, 0);
      await plant(repository, { pid }, 31 * 60);
      await plant(repository, { hostname: 'elsewhere', pid: 1 }, HOUR);
      await plant(repository, { pid, exclusive: true }, 31 * 60);
      return [
        await plant(repository, { pid }, 0),
        await plant(repository, { pid }, 29 * 60),
        await plant(repository, { hostname: 'elsewhere', pid: dead }, 0),
      ];
    }

    it.each(['this engine', 'restic'] as const)('are removed by %s, others are not', async (side) => {
      const { folder, repo, restic, repository } = await setUp();
      using _ = folder;
      await using __ = repository;
      await using alive = await bystander();
      const good = await plantAll(repository, alive.pid);
      if (side === 'restic') expect(await restic.ok(['unlock'])).toContain('successfully removed 4 locks');
      else expect(await removeStaleLocks(repository)).toBe(4);
      expect(filesIn(repo, 'locks').toSorted()).toEqual(good.toSorted());
      if (side === 'restic') await restic.ok(['unlock', '--remove-all']);
      else expect(await removeStaleLocks(repository, { all: true })).toBe(3);
      expect(filesIn(repo, 'locks')).toEqual([]);
    });

    it('still exclude both until somebody removes them', async () => {
      const { folder, restic, repository } = await setUp();
      using _ = folder;
      await using __ = repository;
      await plant(repository, { pid: await deadPid() }, 0);
      expect((await restic.run(['forget', 'latest'])).status).toBe(LOCKED);
      expect(await codeOf(repository.lock({ exclusive: true }))).toBe('locked');
      await restic.ok(['unlock']);
      await using _lock = await repository.lock({ exclusive: true });
    });
  });
});

await describeWithPeer('restic', 'a wrong password', (peer) => {
  it('opens nothing, on either side', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await initAt(repo);
    for (const password of [`${PASSWORD} `, PASSWORD.toUpperCase(), '\u0000']) {
      expect(await codeOf(openAt(repo, { password }))).toBe('wrong-password');
    }
    expect((await resticAt(peer, { repo }).run(['cat', 'config'], { password: `${PASSWORD} ` })).status).toBe(
      WRONG_PASSWORD,
    );
  });

  it('of a repository that restic made is told from the right one', async () => {
    using folder = makeTempDir();
    const repo = join(folder.path, 'repo');
    await resticAt(peer, { repo, password: 'Grüße' }).ok(['init', '--repository-version', '1']);
    // The same letters, composed differently, are other bytes.
    expect(await codeOf(openAt(repo, { password: 'Gru\u0308ße' }))).toBe('wrong-password');
    await using repository = await openAt(repo, { password: 'Grüße', workers: 0 });
    expect(repository.config.version).toBe(1);
  });
});
