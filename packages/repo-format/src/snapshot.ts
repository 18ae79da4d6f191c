/** Snapshot files (restic design document, "Snapshots"). */
import { EngineError } from './errors.ts';
import type { Id } from './id.ts';
import {
  isRecord,
  optionalId,
  optionalText,
  optionalTexts,
  requiredId,
  requiredText,
  wrongField,
} from './json/fields.ts';
import { encodeJsonString } from './json/go-string.ts';
import { compactJson, parseJson, rawMembers } from './json/source.ts';
import { formatUint64, isPlainUint } from './json/uint64.ts';
import { parseTimestamp } from './time/timestamp.ts';
import type { Timestamp } from './tree/node.ts';

/** Statistics of the backup run that made a snapshot; sizes in bytes. */
export interface SnapshotSummary {
  readonly backupStart: Timestamp;
  readonly backupEnd: Timestamp;
  readonly filesNew: number;
  readonly filesChanged: number;
  readonly filesUnmodified: number;
  readonly dirsNew: number;
  readonly dirsChanged: number;
  readonly dirsUnmodified: number;
  readonly dataBlobs: number;
  readonly treeBlobs: number;
  /** Bytes of new blobs before compression and encryption. */
  readonly dataAdded: number;
  /** The same bytes as stored. */
  readonly dataAddedPacked: number;
  readonly totalFilesProcessed: number;
  readonly totalBytesProcessed: number;
  /** Keys this version does not know: key → JSON text. Written back after the known ones. */
  readonly unknown?: Readonly<Record<string, string>> | undefined;
}

/**
 * A snapshot as its file has it (restic design document, "Snapshots"). `tree` is the root; `original` is the
 * snapshot that this one was made from by changing tags or rewriting.
 */
export interface Snapshot {
  readonly time: Timestamp;
  readonly parent?: Id | undefined;
  readonly tree: Id;
  readonly paths: readonly string[];
  readonly hostname?: string | undefined;
  readonly username?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly excludes?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly original?: Id | undefined;
  readonly programVersion?: string | undefined;
  readonly summary?: SnapshotSummary | undefined;
  /** Keys this version does not know: key → JSON text. Written back after the known ones. */
  readonly unknown?: Readonly<Record<string, string>> | undefined;
}

/** Numbers of a summary in the order in which they are written: name here, key in the JSON. */
const SUMMARY_NUMBERS = [
  ['filesNew', 'files_new'],
  ['filesChanged', 'files_changed'],
  ['filesUnmodified', 'files_unmodified'],
  ['dirsNew', 'dirs_new'],
  ['dirsChanged', 'dirs_changed'],
  ['dirsUnmodified', 'dirs_unmodified'],
  ['dataBlobs', 'data_blobs'],
  ['treeBlobs', 'tree_blobs'],
  ['dataAdded', 'data_added'],
  ['dataAddedPacked', 'data_added_packed'],
  ['totalFilesProcessed', 'total_files_processed'],
  ['totalBytesProcessed', 'total_bytes_processed'],
] as const;

const SUMMARY_KEYS: ReadonlySet<string> = new Set([
  'backup_start',
  'backup_end',
  ...SUMMARY_NUMBERS.map(([, key]) => key),
]);

const SNAPSHOT_KEYS: ReadonlySet<string> = new Set([
  'time',
  'parent',
  'tree',
  'paths',
  'hostname',
  'username',
  'uid',
  'gid',
  'excludes',
  'tags',
  'original',
  'program_version',
  'summary',
]);

const MAX_UINT32 = 2 ** 32 - 1;

type Fields = Readonly<Record<string, unknown>>;

/** Reads the plaintext of a snapshot file; `bytes` stays the caller's. Throws `corrupt`, and `too-large` above 512 MiB. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const { text, value } = parseJson(bytes);
  if (!isRecord(value)) throw new EngineError('corrupt', 'a snapshot is not an object');
  return {
    time: readTime(value, 'time'),
    parent: optionalId(value.parent, 'parent'),
    tree: requiredId(value.tree, 'tree'),
    paths: optionalTexts(value.paths, 'paths') ?? [],
    hostname: optionalText(value.hostname, 'hostname'),
    username: optionalText(value.username, 'username'),
    uid: readNumber(value, 'uid', MAX_UINT32),
    gid: readNumber(value, 'gid', MAX_UINT32),
    excludes: optionalTexts(value.excludes, 'excludes'),
    tags: optionalTexts(value.tags, 'tags'),
    original: optionalId(value.original, 'original'),
    programVersion: optionalText(value.program_version, 'program_version'),
    summary: readSummary(value.summary, text),
    unknown: readUnknown(value, SNAPSHOT_KEYS, () => text),
  };
}

function readTime(fields: Fields, key: string): Timestamp {
  const time = requiredText(fields[key], key);
  parseTimestamp(time);
  return time;
}

function readNumber(fields: Fields, key: string, max: number = Number.MAX_SAFE_INTEGER): number | undefined {
  const value = fields[key];
  if (value === undefined || value === null) return undefined;
  if (!isPlainUint(value) || value > max) throw wrongField(key, `an integer from 0 to ${max}`);
  return value;
}

function readSummary(value: unknown, snapshotText: string): SnapshotSummary | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isRecord(value)) throw wrongField('summary', 'an object');
  // An absent number is 0, as for Go.
  const number = (key: string): number => readNumber(value, key) ?? 0;
  return {
    backupStart: readTime(value, 'backup_start'),
    backupEnd: readTime(value, 'backup_end'),
    filesNew: number('files_new'),
    filesChanged: number('files_changed'),
    filesUnmodified: number('files_unmodified'),
    dirsNew: number('dirs_new'),
    dirsChanged: number('dirs_changed'),
    dirsUnmodified: number('dirs_unmodified'),
    dataBlobs: number('data_blobs'),
    treeBlobs: number('tree_blobs'),
    dataAdded: number('data_added'),
    dataAddedPacked: number('data_added_packed'),
    totalFilesProcessed: number('total_files_processed'),
    totalBytesProcessed: number('total_bytes_processed'),
    unknown: readUnknown(value, SUMMARY_KEYS, () => rawMembers(snapshotText).get('summary') ?? ''),
  };
}

/** @param source gives the JSON text of the object */
function readUnknown(fields: Fields, known: ReadonlySet<string>, source: () => string): Snapshot['unknown'] {
  const keys = Object.keys(fields).filter((key) => !known.has(key));
  if (keys.length === 0) return undefined;
  const members = rawMembers(source());
  return Object.fromEntries(keys.map((key) => [key, members.get(key) ?? 'null']));
}

/**
 * The plaintext of a snapshot file; the caller owns it. Throws `RangeError` when a number of the snapshot is not an
 * exact unsigned integer.
 */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array<ArrayBuffer> {
  const members = [
    `"time":${encodeJsonString(snapshot.time)}`,
    ...textMember('parent', snapshot.parent),
    `"tree":"${snapshot.tree}"`,
    `"paths":${textArray(snapshot.paths)}`,
    ...textMember('hostname', snapshot.hostname),
    ...textMember('username', snapshot.username),
    ...numberMember('uid', snapshot.uid),
    ...numberMember('gid', snapshot.gid),
    ...arrayMember('excludes', snapshot.excludes),
    ...arrayMember('tags', snapshot.tags),
    ...textMember('original', snapshot.original),
    ...textMember('program_version', snapshot.programVersion),
    ...(snapshot.summary === undefined ? [] : [`"summary":${encodeSummary(snapshot.summary)}`]),
    ...unknownMembers(snapshot.unknown),
  ];
  return new TextEncoder().encode(`{${members.join(',')}}`);
}

function textMember(key: string, value: string | undefined): string[] {
  return value === undefined || value === '' ? [] : [`"${key}":${encodeJsonString(value)}`];
}

function numberMember(key: string, value: number | undefined): string[] {
  return value === undefined || value === 0 ? [] : [`"${key}":${formatUint64(value)}`];
}

function arrayMember(key: string, values: readonly string[] | undefined): string[] {
  return values === undefined || values.length === 0 ? [] : [`"${key}":${textArray(values)}`];
}

function textArray(values: readonly string[]): string {
  return `[${values.map((value) => encodeJsonString(value)).join(',')}]`;
}

function encodeSummary(summary: SnapshotSummary): string {
  const members = [
    `"backup_start":${encodeJsonString(summary.backupStart)}`,
    `"backup_end":${encodeJsonString(summary.backupEnd)}`,
    ...SUMMARY_NUMBERS.map(([name, key]) => `"${key}":${formatUint64(summary[name])}`),
    ...unknownMembers(summary.unknown),
  ];
  return `{${members.join(',')}}`;
}

function unknownMembers(unknown: Snapshot['unknown']): string[] {
  return Object.entries(unknown ?? {}).map(([key, value]) => `${encodeJsonString(key)}:${compactJson(value)}`);
}
