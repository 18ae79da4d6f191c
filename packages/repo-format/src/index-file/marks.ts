/**
 * Packs that wait for their deletion, as index files name them beside the others. rustic marks packs in the same way
 * (`packs_to_delete`); restic passes over what it does not know. What it takes to delete beside programs that heed
 * restic's locks is in a member of our own.
 */
import type { Id } from '../id.ts';
import { optionalArray, optionalText, requiredId, requiredText } from '../json/fields.ts';
import { asObject, textOrEmpty, uintOrZero } from '../json/object.ts';
import type { Fields } from '../json/object.ts';
import type { PackEntry } from '../pack/entry.ts';
import { parseTimestamp } from '../time/timestamp.ts';
import type { Timestamp } from '../tree/node.ts';

/** A pack that is to be deleted. `blobs` is empty for one that never was in an index. */
export interface MarkedPack {
  readonly id: Id;
  /** When it was marked; for rustic, from when on it waits. */
  readonly time?: Timestamp | undefined;
  readonly blobs: readonly PackEntry[];
}

/** A run that held a lock: what its lock says in every one of its files. */
export interface LockHolder {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  /** Unique; locks of restic have none. */
  readonly run?: string | undefined;
}

/** Who held locks, and when. */
export interface LockRecord {
  readonly time: Timestamp;
  readonly holders: readonly LockHolder[];
  /** Packs that a prune saw in use by no snapshot and left alone, since the holders may have stored them. */
  readonly unsettled: readonly Id[];
}

/** What an index file says of packs that wait. */
export interface IndexMarks {
  readonly packs: readonly MarkedPack[];
  /** Taken when no index named these packs any more. */
  readonly record?: LockRecord | undefined;
}

/** Reads the marks in the object of an index file; undefined when it has none. Throws `corrupt`. */
export function readMarks(index: Fields, toEntry: (blob: unknown) => PackEntry): IndexMarks | undefined {
  const packs = optionalArray(index['packs_to_delete'], 'packs_to_delete');
  if (packs === undefined) return undefined;
  const record = index['prune'] === undefined ? undefined : toRecord(asObject(index['prune'], 'prune'));
  return {
    packs: packs.map((pack) => {
      const fields = asObject(pack, 'packs_to_delete');
      const time = optionalText(fields['time'], 'time');
      const blobs = (optionalArray(fields['blobs'], 'blobs') ?? []).map(toEntry);
      return { id: requiredId(fields['id'], 'id'), blobs, ...(time === undefined ? {} : { time }) };
    }),
    ...(record === undefined ? {} : { record }),
  };
}

function toRecord(fields: Fields): LockRecord {
  const time = requiredText(fields['time'], 'time');
  parseTimestamp(time);
  return {
    time,
    holders: (optionalArray(fields['holders'], 'holders') ?? []).map((holder) => toHolder(asObject(holder, 'holders'))),
    unsettled: (optionalArray(fields['unsettled'], 'unsettled') ?? []).map((id) => requiredId(id, 'unsettled')),
  };
}

function toHolder(fields: Fields): LockHolder {
  const run = optionalText(fields['run'], 'run');
  return {
    hostname: textOrEmpty(fields['hostname'], 'hostname'),
    username: textOrEmpty(fields['username'], 'username'),
    pid: uintOrZero(fields['pid'], 'pid'),
    ...(run === undefined ? {} : { run }),
  };
}

/** How an index file begins that names packs to delete and no others, as {@link encodeMarks} in index-file.ts has it. */
export const MARKS_START = '{"packs":[],"packs_to_delete":[';
