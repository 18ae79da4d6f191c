import { abortedError, encodeLock, EngineError } from '@restic-engine/repo-format';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { withPreparedLock } from '../src/lock.ts';
import type { Repository } from '../src/repository.ts';
import { formatInstant } from '../src/time.ts';
import { codeOf, makeRepository, names } from './harness.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function lockFiles(repository: Repository): Promise<string[]> {
  return names(repository.backend, 'lock');
}

async function putExclusiveLock(repository: Repository): Promise<void> {
  const lock = {
    time: formatInstant(repository.platform),
    exclusive: true,
    hostname: 'elsewhere',
    username: 'ann',
    pid: 1,
  };
  await repository.saveFile('lock', encodeLock(lock));
}

describe('work that begins while a lock settles', () => {
  it('begins when the lock file is written, and its result comes with the lock', async () => {
    const { repository } = await makeRepository();
    const order: string[] = [];
    const prepare = async (): Promise<string> => {
      order.push(`prepare with ${(await lockFiles(repository)).length} lock file`);
      return 'prepared';
    };
    const done = withPreparedLock(repository, {}, prepare, async (lock, prepared) => {
      order.push(`body with ${prepared}, ${lock.lost === undefined ? 'locked' : 'lost'}`);
      return 'result';
    });
    await vi.advanceTimersByTimeAsync(200);
    expect(await done).toBe('result');
    expect(order).toEqual(['prepare with 1 lock file', 'body with prepared, locked']);
    expect(await lockFiles(repository)).toEqual([]);
  });

  it('is stopped and waited for when somebody else turns out to hold a lock', async () => {
    const { repository } = await makeRepository();
    let stopped = false;
    const prepare = async (signal: AbortSignal): Promise<never> => {
      await putExclusiveLock(repository);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      stopped = true;
      throw abortedError(signal);
    };
    const done = codeOf(withPreparedLock(repository, {}, prepare, async () => 'never'));
    await vi.advanceTimersByTimeAsync(200);
    expect(await done).toBe('locked');
    expect(stopped).toBe(true);
    expect(await lockFiles(repository)).toHaveLength(1);
  });

  it('makes the whole fail when it fails, without a lock left', async () => {
    const { repository } = await makeRepository();
    const prepare = (): Promise<never> => Promise.reject(new EngineError('corrupt', 'no index'));
    const done = codeOf(withPreparedLock(repository, {}, prepare, async () => 'never'));
    await vi.advanceTimersByTimeAsync(200);
    expect(await done).toBe('corrupt');
    expect(await lockFiles(repository)).toEqual([]);
  });
});
