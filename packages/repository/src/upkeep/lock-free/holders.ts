/** Who holds locks. */
import { EngineError, isStale, parseTimestamp } from '@restic-engine/repo-format';
import type { Call, Id, Lock, LockHolder } from '@restic-engine/repo-format';
import { listLocks } from '../../lock-files.ts';
import type { FoundLock } from '../../lock-files.ts';
import type { Repository } from '../../repository.ts';

/**
 * All locks but those of `ownRun`, be they stale or not. A lock that is refreshed gets a new file and then loses its old
 * one, and a listing under way may see neither of them; one that begins afterwards sees the new one.
 */
export async function otherLocks(
  repository: Repository,
  ownRun: string | undefined,
  call: Call,
): Promise<readonly FoundLock[]> {
  const found = new Map<Id, FoundLock>();
  for (let listing = 1; listing <= 2; listing++) {
    for await (const each of listLocks(repository, call)) {
      if (ownRun === undefined || each.lock.run !== ownRun) found.set(each.id, each);
    }
  }
  return [...found.values()];
}

/** What stays the same when a lock is refreshed. */
export function holderOf({ hostname, username, pid, run }: Lock): LockHolder {
  return { hostname, username, pid, ...(run === undefined ? {} : { run }) };
}

/** The same run, or one that cannot be told from it: restic's are known by their process alone. */
export function isHolder(holder: LockHolder, lock: LockHolder): boolean {
  if (holder.run !== undefined || lock.run !== undefined) return holder.run === lock.run;
  return holder.hostname === lock.hostname && holder.username === lock.username && holder.pid === lock.pid;
}

/**
 * Was the lock neither refreshed for half an hour, which is when restic takes its holder for dead, nor for `keepMs`? By
 * its times alone: the number of a process means little where containers share a host name.
 */
export function isAbandoned({ platform }: Repository, { lock }: FoundLock, keepMs: number): boolean {
  const nowSeconds = platform.now().seconds;
  const isOld = (nowSeconds - parseTimestamp(lock.time).seconds) * 1000 > keepMs;
  return isOld && isStale(lock, { nowSeconds, hostname: platform.hostname, isAlive: () => true });
}

/**
 * Removes the lock of a holder that is gone. Should it only have slept, it finds its lock missing when it wakes up and
 * gives up, as after `unlock`.
 */
export async function removeAbandoned(repository: Repository, { id }: FoundLock, call: Call): Promise<void> {
  try {
    await repository.removeFile('lock', id, call);
  } catch (error) {
    if (!EngineError.is(error, 'not-found')) throw error;
  }
}
