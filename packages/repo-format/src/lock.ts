/** Lock files (restic design document, "Locks"). */
import type { Timestamp } from './tree/node.ts';
import { requiredText, wrongField } from './json/fields.ts';
import { encodeObject, parseObject, textOrEmpty, uintOrZero } from './json/object.ts';
import { parseTimestamp } from './time/timestamp.ts';

/** A lock as its file has it (restic design document, "Locks"): who holds it, and since when. */
export interface Lock {
  /** When it was made, or refreshed last. */
  readonly time: Timestamp;
  readonly exclusive: boolean;
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** The same in every file of one run, and in no other's; restic has no such member and passes over it. */
  readonly run?: string | undefined;
  /** The holder prunes beside others. restic passes over it. */
  readonly lockFreePrune?: boolean | undefined;
}

const MAX_UINT32 = 0xffff_ffff;

/** Seconds without a refresh after which the holder of a lock is taken for dead. */
const STALE_SECONDS = 30 * 60;

/** Reads the JSON of a lock file. Throws `corrupt`. */
export function decodeLock(json: Uint8Array): Lock {
  const { fields } = parseObject(json, 'lock');
  const exclusive = fields['exclusive'] ?? false;
  if (typeof exclusive !== 'boolean') throw wrongField('exclusive', 'a boolean');
  const time = requiredText(fields['time'], 'time');
  parseTimestamp(time);
  const uid = uintOrZero(fields['uid'], 'uid', MAX_UINT32);
  const gid = uintOrZero(fields['gid'], 'gid', MAX_UINT32);
  const { run } = fields;
  return {
    time,
    exclusive,
    hostname: textOrEmpty(fields['hostname'], 'hostname'),
    username: textOrEmpty(fields['username'], 'username'),
    pid: uintOrZero(fields['pid'], 'pid'),
    ...(uid === 0 ? {} : { uid }),
    ...(gid === 0 ? {} : { gid }),
    ...(typeof run === 'string' ? { run } : {}),
    ...(fields['lock_free_prune'] === true ? { lockFreePrune: true } : {}),
  };
}

/** The JSON of a lock file, in restic's order of keys; like restic's, it leaves out a uid or gid of 0. */
export function encodeLock(lock: Lock): Uint8Array<ArrayBuffer> {
  const { time, exclusive, hostname, username, pid, uid, gid, run, lockFreePrune } = lock;
  return encodeObject({
    time,
    exclusive,
    hostname,
    username,
    pid,
    uid: uid || undefined,
    gid: gid || undefined,
    run,
    lock_free_prune: lockFreePrune || undefined,
  });
}

/** What {@link isStale} needs to know of the present. */
export interface StaleFacts {
  /** Seconds since 1970. */
  readonly nowSeconds: number;
  /** Of this host. */
  readonly hostname: string;
  /** Does this process exist on this host? */
  readonly isAlive: (pid: number) => boolean;
}

/** Is the holder of `lock` dead: silent for half an hour, or a process of this host that does not exist any more? */
export function isStale(lock: Lock, { nowSeconds, hostname, isAlive }: StaleFacts): boolean {
  const { seconds } = parseTimestamp(lock.time);
  if (nowSeconds - seconds > STALE_SECONDS) return true;
  return lock.hostname === hostname && !isAlive(lock.pid);
}
