import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { abortedError, decodeLock, encodeLock, EngineError } from '@restic-engine/repo-format';
import type { Backend, Lock } from '@restic-engine/repo-format';
import { withFaults } from '../../backends/src/index.ts';
import type { FaultCall, FaultPlan } from '../../backends/src/index.ts';
import { withLock } from '../src/lock.ts';
import { listLocks, removeStaleLocks } from '../src/lock-files.ts';
import type { LockOptions, RepositoryLock } from '../src/lock.ts';
import { nodePlatform } from '../src/node-platform.ts';
import type { Repository } from '../src/repository.ts';
import { formatInstant } from '../src/time.ts';
import { codeOf, initialized, makeRepository, names, opened, text } from './harness.ts';

const MINUTE = 60_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Locks while the clock runs on. */
async function locked(repository: Repository, options: LockOptions = {}): Promise<RepositoryLock> {
  const locking = repository.lock(options);
  locking.catch(() => undefined);
  await vi.advanceTimersByTimeAsync(200);
  return locking;
}

async function lockFiles(repository: Repository): Promise<string[]> {
  return (await names(repository.backend, 'lock')).toSorted();
}

/** Writes the lock of somebody else. */
async function putLock(repository: Repository, lock: Partial<Lock> = {}): Promise<string> {
  const time = formatInstant(repository.platform);
  const other: Lock = { time, exclusive: false, hostname: 'elsewhere', username: 'ann', pid: 1, ...lock };
  return repository.saveFile('lock', encodeLock(other));
}

function isLock(method: FaultCall['method']): (call: FaultCall) => boolean {
  return (call) => call.method === method && call.type === 'lock';
}

describe('locking', () => {
  it.each([
    [false, false, 'nothing was thrown'],
    [false, true, 'locked'],
    [true, false, 'locked'],
    [true, true, 'locked'],
  ])(
    'when one holds a lock (exclusive: %s) and another wants one (exclusive: %s): %s',
    async (held, wanted, outcome) => {
      const { repository, backend } = await makeRepository();
      const lock = await locked(repository, { exclusive: held });
      const other = await opened(backend);
      expect(await codeOf(locked(other, { exclusive: wanted }))).toBe(outcome);
      expect(await lockFiles(repository)).toHaveLength(outcome === 'locked' ? 1 : 2);
      await lock[Symbol.asyncDispose]();
      await locked(other, { exclusive: false });
    },
  );

  it('says whose lock is in the way', async () => {
    const { repository } = await makeRepository();
    const id = await putLock(repository, { exclusive: true, pid: 4711 });
    const error = await repository.lock().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'locked',
      context: { lock: id, hostname: 'elsewhere', username: 'ann', pid: 4711 },
    });
  });

  it('writes what restic writes, and removes it in the end', async () => {
    const { repository } = await makeRepository();
    const lock = await locked(repository, { exclusive: true });
    const { hostname, username, pid } = repository.platform;
    expect(decodeLock(await repository.loadFile('lock', lock.id))).toMatchObject({
      exclusive: true,
      hostname,
      username,
      pid,
    });
    expect(await Array.fromAsync(listLocks(repository))).toMatchObject([{ id: lock.id, lock: { exclusive: true } }]);
    await Promise.all([lock[Symbol.asyncDispose](), lock[Symbol.asyncDispose]()]);
    expect(await lockFiles(repository)).toEqual([]);
  });

  it('sees a lock that appears while its own settles, and gives way', async () => {
    const { repository } = await makeRepository();
    const locking = codeOf(repository.lock());
    await vi.advanceTimersByTimeAsync(100);
    const other = await putLock(repository, { exclusive: true });
    expect(await lockFiles(repository)).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(100);
    expect(await locking).toBe('locked');
    expect(await lockFiles(repository)).toEqual([other]);
  });

  it('honors stale locks too, as restic does', async () => {
    const { repository } = await makeRepository();
    await putLock(repository, { exclusive: true, time: '2001-01-01T00:00:00Z' });
    expect(await codeOf(repository.lock())).toBe('locked');
  });

  it('skips empty lock files', async () => {
    const { repository } = await makeRepository();
    await repository.backend.save({ type: 'lock', name: 'a'.repeat(64) }, []);
    const lock = await locked(repository, { exclusive: true });
    expect(await Array.fromAsync(listLocks(repository))).toHaveLength(1);
    await lock[Symbol.asyncDispose]();
  });

  it('tries a lock that cannot be read four times within 35 s, and reads the others once', async () => {
    const loads: string[] = [];
    const { repository } = await makeRepository({
      onCall: (call) => void (isLock('load')(call) && loads.push(call.file?.name ?? '')),
    });
    const readable = await putLock(repository);
    const bad = 'a'.repeat(64);
    await repository.backend.save({ type: 'lock', name: bad }, [text('no lock')]);
    const locking = repository.lock().catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(34_000);
    expect(loads.filter((name) => name === readable)).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await locking).toMatchObject({
      code: 'corrupt',
      message: expect.stringMatching(/^the lock file aaaaaaaa is damaged: ./),
      context: { lock: bad },
    });
    expect(loads.filter((name) => name === bad)).toHaveLength(8);
    expect(await lockFiles(repository)).toHaveLength(2);
  });

  it('goes on when a lock that could not be read is gone at the next look', async () => {
    const { repository } = await makeRepository();
    const name = 'a'.repeat(64);
    await repository.backend.save({ type: 'lock', name }, [text('half writ')]);
    const locking = repository.lock();
    await vi.advanceTimersByTimeAsync(1_000);
    await repository.backend.remove({ type: 'lock', name });
    await vi.advanceTimersByTimeAsync(4_200);
    expect(await lockFiles(repository)).toEqual([(await locking).id]);
  });

  it('waits as long as it is told, 5 s, 10 s, 20 s, …, a minute at most', async () => {
    const lists: number[] = [];
    const { repository } = await makeRepository({
      onCall: (call) => void (isLock('list')(call) && lists.push(Math.round(Date.now() / 1000))),
    });
    const other = await putLock(repository, { exclusive: true });
    const failing = codeOf(repository.lock({ retryMs: 160_000 }));
    await vi.advanceTimersByTimeAsync(160_000);
    expect(await failing).toBe('locked');
    const [first = 0] = lists;
    expect(lists.map((time) => time - first)).toEqual([0, 5, 15, 35, 75, 135, 160]);
    const waiting = repository.lock({ retryMs: 60_000 });
    await vi.advanceTimersByTimeAsync(4_000);
    await repository.removeFile('lock', other);
    await vi.advanceTimersByTimeAsync(1_200);
    expect(await lockFiles(repository)).toEqual([(await waiting).id]);
  });

  it.each([
    ['before', 0],
    ['while its lock settles', 100],
    ['while it waits for another', 2_000],
  ])('leaves nothing behind when it is aborted %s', async (_name, after) => {
    const { repository } = await makeRepository();
    if (after > 200) await putLock(repository, { exclusive: true });
    const before = await lockFiles(repository);
    const stop = new AbortController();
    if (after === 0) stop.abort();
    const locking = codeOf(repository.lock({ signal: stop.signal, retryMs: after > 200 ? MINUTE : 0 }));
    await vi.advanceTimersByTimeAsync(after);
    stop.abort();
    expect(await locking).toBe('aborted');
    expect(await lockFiles(repository)).toEqual(before);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves no file of a lock behind whose save failed half way, or whose second look failed', async () => {
    const broken = new EngineError('io', 'broken');
    for (const plan of [
      { faults: [{ when: isLock('save'), effect: { kind: 'fail-after', error: broken } }] },
      { faults: [{ when: isLock('list'), nth: 2, effect: { kind: 'fail-before', error: broken } }] },
    ] satisfies FaultPlan[]) {
      const { repository, backend } = await makeRepository(plan);
      await expect(locked(repository)).rejects.toBe(broken);
      expect(await names(backend, 'lock')).toEqual([]);
    }
  });

  it('ignores hangups for as long as it holds a lock', async () => {
    const backend = await initialized();
    let ignoring = 0;
    const platform = { ...nodePlatform(), ignoreHangups: () => (ignoring++, () => void ignoring--) };
    const repository = await opened(backend, { platform });
    const lock = await locked(repository, { exclusive: true });
    expect(ignoring).toBe(1);
    expect(await codeOf(repository.lock())).toBe('locked');
    expect(ignoring).toBe(1);
    await lock[Symbol.asyncDispose]();
    expect(ignoring).toBe(0);
  });
});

describe('a lock that is held', () => {
  it('is refreshed every five minutes by another file', async () => {
    const { repository } = await makeRepository();
    const lock = await locked(repository);
    const ids = [lock.id];
    for (let i = 0; i < 12; i++) {
      await vi.advanceTimersByTimeAsync(5 * MINUTE + 20_000);
      expect(await lockFiles(repository)).toEqual([lock.id]);
      const [found] = await Array.fromAsync(listLocks(repository));
      expect(Date.now() - Date.parse(found?.lock.time ?? '')).toBeLessThan(6 * MINUTE);
      ids.push(lock.id);
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(lock.signal.aborted).toBe(false);
    await lock[Symbol.asyncDispose]();
    expect(await lockFiles(repository)).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('removes an old file later when that did not work at once', async () => {
    const { repository } = await makeRepository({
      faults: [{ when: isLock('remove'), nth: 1, effect: { kind: 'fail-before' } }],
    });
    const lock = await locked(repository);
    await vi.advanceTimersByTimeAsync(6 * MINUTE);
    expect(await lockFiles(repository)).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(5 * MINUTE);
    expect(await lockFiles(repository)).toEqual([lock.id]);
    expect(lock.signal.aborted).toBe(false);
    await lock[Symbol.asyncDispose]();
  });

  it('is lost when somebody removed it', async () => {
    const { repository } = await makeRepository();
    const lock = await locked(repository);
    await repository.removeFile('lock', lock.id);
    await vi.advanceTimersByTimeAsync(6 * MINUTE);
    expect(lock.signal.aborted).toBe(true);
    expect(lock.lost?.code).toBe('locked');
    expect(lock.signal.reason).toBe(lock.lost);
    await lock[Symbol.asyncDispose]();
    expect(await lockFiles(repository)).toEqual([]);
  });

  const failing: FaultPlan = { faults: [{ when: isLock('stat'), effect: { kind: 'fail-before' } }] };
  const silent = (backend: Backend): Backend => ({
    ...withFaults({})(backend),
    stat: (_file, call) =>
      new Promise((_resolve, reject) => {
        const signal = call?.signal;
        signal?.addEventListener('abort', () => reject(abortedError(signal)));
      }),
  });

  it.each([
    ['fails', (backend: Backend) => withFaults(failing)(backend)],
    ['gets no answer', silent],
  ])('is lost before others may take it for stale when its refresh %s', async (_name, wrap) => {
    const repository = await opened(wrap(await initialized()));
    const lock = await locked(repository);
    await vi.advanceTimersByTimeAsync(22 * MINUTE);
    expect(lock.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(7 * MINUTE);
    expect(lock.signal.aborted).toBe(true);
    expect(lock.lost?.code).toBe('locked');
    await lock[Symbol.asyncDispose]();
    expect(await lockFiles(repository)).toEqual([]);
  });

  it('survives failures that end in time', async () => {
    let isDown = true;
    const fault = {
      when: (call: FaultCall) => isDown && isLock('stat')(call),
      effect: { kind: 'fail-before' },
    } as const;
    const { repository } = await makeRepository({ faults: [fault] });
    const lock = await locked(repository);
    const { id } = lock;
    await vi.advanceTimersByTimeAsync(20 * MINUTE);
    expect(lock.id).toBe(id);
    isDown = false;
    await vi.advanceTimersByTimeAsync(2 * MINUTE);
    expect(lock.id).not.toBe(id);
    await vi.advanceTimersByTimeAsync(20 * MINUTE);
    expect(lock.signal.aborted).toBe(false);
    await lock[Symbol.asyncDispose]();
  });

  it('is looked after at once when the machine wakes up', async () => {
    const { repository } = await makeRepository();
    const [kept, taken] = [await locked(repository), await locked(repository)];
    const before = kept.id;
    vi.setSystemTime(Date.now() + 120 * MINUTE);
    await repository.removeFile('lock', taken.id);
    await vi.advanceTimersByTimeAsync(16_000);
    expect(kept.id).not.toBe(before);
    expect(kept.signal.aborted).toBe(false);
    expect(taken.signal.aborted).toBe(true);
    await Promise.all([kept, taken].map((lock) => lock[Symbol.asyncDispose]()));
  });

  it('passes on the signal of its caller', async () => {
    const { repository } = await makeRepository();
    const stop = new AbortController();
    const lock = await locked(repository, { signal: stop.signal });
    stop.abort();
    expect(lock.signal.aborted).toBe(true);
    expect(lock.lost).toBeUndefined();
    await lock[Symbol.asyncDispose]();
    expect(await lockFiles(repository)).toEqual([]);
  });

  it('does not wait for a refresh when it is released', async () => {
    const repository = await opened(silent(await initialized()));
    const lock = await locked(repository);
    await vi.advanceTimersByTimeAsync(5 * MINUTE + 20_000);
    await lock[Symbol.asyncDispose]();
    expect(await lockFiles(repository)).toEqual([]);
    expect(lock.lost).toBeUndefined();
  });
});

describe('work under a lock', () => {
  it('rejects with what it threw, and the lock is gone', async () => {
    const { repository } = await makeRepository();
    const mistake = new TypeError('a mistake');
    const working = withLock(repository, {}, () => Promise.reject(mistake)).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(200);
    expect(await working).toBe(mistake);
    expect(await lockFiles(repository)).toEqual([]);
  });

  it('rejects with locked when the lock is lost, whatever that causes', async () => {
    const { repository } = await makeRepository();
    const working = withLock(
      repository,
      {},
      async (lock) =>
        new Promise((_resolve, reject) => {
          lock.signal.addEventListener('abort', () => reject(abortedError(lock.signal)));
        }),
    ).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(200);
    for (const id of await lockFiles(repository)) await repository.removeFile('lock', id);
    await vi.advanceTimersByTimeAsync(6 * MINUTE);
    expect(await working).toMatchObject({ code: 'locked' });
  });

  it('resolves although its lock cannot be removed, and tells so', async () => {
    const { repository } = await makeRepository({
      faults: [{ when: isLock('remove'), effect: { kind: 'fail-before' } }],
    });
    const left: unknown[] = [];
    const working = withLock(repository, { onLeft: (error) => left.push(error) }, async () => 'done');
    await vi.advanceTimersByTimeAsync(200);
    expect(await working).toBe('done');
    expect(left).toMatchObject([{ code: 'io' }]);
  });
});

describe('removing stale locks', () => {
  it('removes those that are old and those of dead processes here; all of them when asked', async () => {
    const backend = await initialized();
    const platform = { ...nodePlatform(), hostname: 'here', isAlive: (pid: number) => pid === 1 };
    const repository = await opened(backend, { platform });
    const ago = (ms: number): string => new Date(Date.now() - ms).toISOString();
    const stale = [
      await putLock(repository, { time: ago(31 * MINUTE) }),
      await putLock(repository, { hostname: 'here', pid: 2 }),
      await putLock(repository, { hostname: 'here', pid: 1, time: ago(31 * MINUTE) }),
    ];
    const kept = [
      await putLock(repository, { time: ago(29 * MINUTE), pid: 2 }),
      await putLock(repository, { hostname: 'here', pid: 1, exclusive: true }),
      'b'.repeat(64),
    ];
    await backend.save({ type: 'lock', name: 'b'.repeat(64) }, [text('unreadable')]);
    expect(await removeStaleLocks(repository)).toBe(stale.length);
    expect(await lockFiles(repository)).toEqual(kept.toSorted());
    expect(await removeStaleLocks(repository, { all: true })).toBe(kept.length);
    expect(await lockFiles(repository)).toEqual([]);
  });
});
