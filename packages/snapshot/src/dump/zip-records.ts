/**
 * The records of zip archives (PKWARE's APPNOTE.TXT 6.3.10). All numbers are little-endian.
 */
import { dateFromDays, DAY_SECONDS, parseTimestamp, toStMode } from '@restic-engine/repo-format';
import type { Node } from '@restic-engine/repo-format';

/** Values that do not fit into their field are in an extra one of 64 bits (APPNOTE §4.5.3). */
const MAX_UINT32 = 2 ** 32 - 1;
const MAX_UINT16 = 2 ** 16 - 1;
/** More than deflating adds to bytes it cannot compress, and than 32 bits leave. */
const ZIP64_FROM = 2 ** 32 - 2 ** 24;

/** Version 2.0 knows directories and deflate, 4.5 numbers of 64 bits (APPNOTE §4.4.3.2). */
const VERSION = 20;
const VERSION_64 = 45;
/** Modes are those of Unix (APPNOTE §4.4.2.2). */
const MADE_BY_UNIX = 3 << 8;
const FLAG_DESCRIPTOR = 1 << 3;
const FLAG_UTF8 = 1 << 11;
const DOS_DIRECTORY = 0x10;

/** How the bytes of an entry are kept (APPNOTE §4.4.5). */
export const STORED = 0;
export const DEFLATED = 8;

/** What is known of an entry before its content. */
export interface ZipEntry {
  readonly name: Uint8Array;
  readonly node: Node;
  readonly method: typeof STORED | typeof DEFLATED;
  /** Offset of the local header in the archive, in bytes. */
  readonly offset: number;
  /** Its sizes have 64 bits. */
  readonly large: boolean;
}

/** What is known after it; bytes. */
export interface ZipContent {
  readonly crc: number;
  readonly packed: number;
  readonly plain: number;
}

/** Must a content of so many bytes have sizes of 64 bits? */
export function isLarge(bytes: number): boolean {
  return bytes >= ZIP64_FROM;
}

/** "Local file header", APPNOTE §4.3.7: checksum and sizes follow the content. */
export function localHeader(entry: ZipEntry): Uint8Array {
  // Only with this field does the descriptor have sizes of 64 bits (APPNOTE §4.3.9.2).
  const extra = Buffer.concat([timeField(entry.node), entry.large ? longField([0, 0]) : Buffer.alloc(0)]);
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(entry.large ? VERSION_64 : VERSION, 4);
  writeCommon(header, entry, 6);
  if (entry.large) header.fill(0xff, 18, 26);
  header.writeUInt16LE(entry.name.length, 26);
  header.writeUInt16LE(extra.length, 28);
  return Buffer.concat([header, entry.name, extra]);
}

/** "Data descriptor", APPNOTE §4.3.9. */
export function descriptor(entry: ZipEntry, { crc, packed, plain }: ZipContent): Uint8Array {
  const record = Buffer.alloc(entry.large ? 24 : 16);
  record.writeUInt32LE(0x08074b50, 0);
  record.writeUInt32LE(crc, 4);
  if (entry.large) {
    record.writeBigUInt64LE(BigInt(packed), 8);
    record.writeBigUInt64LE(BigInt(plain), 16);
  } else {
    record.writeUInt32LE(packed, 8);
    record.writeUInt32LE(plain, 12);
  }
  return record;
}

/** "Central directory structure", APPNOTE §4.3.12: one for each entry. */
export function directoryHeader(entry: ZipEntry, { crc, packed, plain }: ZipContent): Uint8Array {
  const long = entry.large || entry.offset >= MAX_UINT32;
  const extra = Buffer.concat([
    timeField(entry.node),
    long ? longField([plain, packed, entry.offset]) : Buffer.alloc(0),
  ]);
  const header = Buffer.alloc(46);
  header.writeUInt32LE(0x02014b50, 0);
  header.writeUInt16LE(MADE_BY_UNIX | (long ? VERSION_64 : VERSION), 4);
  header.writeUInt16LE(long ? VERSION_64 : VERSION, 6);
  writeCommon(header, entry, 8);
  header.writeUInt32LE(crc, 16);
  header.writeUInt32LE(long ? MAX_UINT32 : packed, 20);
  header.writeUInt32LE(long ? MAX_UINT32 : plain, 24);
  header.writeUInt16LE(entry.name.length, 28);
  header.writeUInt16LE(extra.length, 30);
  header.writeUInt16LE(toStMode(entry.node.mode), 40);
  header.writeUInt16LE(entry.node.type === 'dir' ? DOS_DIRECTORY : 0, 38);
  header.writeUInt32LE(long ? MAX_UINT32 : entry.offset, 42);
  return Buffer.concat([header, entry.name, extra]);
}

/** "End of central directory record", and before it, where needed, that of 64 bits (APPNOTE §§4.3.14–4.3.16). */
export function directoryEnd(entries: number, offset: number, length: number): Uint8Array {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(entries, MAX_UINT16), 8);
  end.writeUInt16LE(Math.min(entries, MAX_UINT16), 10);
  end.writeUInt32LE(Math.min(length, MAX_UINT32), 12);
  end.writeUInt32LE(Math.min(offset, MAX_UINT32), 16);
  if (entries < MAX_UINT16 && length < MAX_UINT32 && offset < MAX_UINT32) return end;
  const long = Buffer.alloc(76);
  long.writeUInt32LE(0x06064b50, 0);
  long.writeBigUInt64LE(44n, 4);
  long.writeUInt16LE(MADE_BY_UNIX | VERSION_64, 12);
  long.writeUInt16LE(VERSION_64, 14);
  for (const [at, value] of [entries, entries, length, offset].entries())
    long.writeBigUInt64LE(BigInt(value), 24 + 8 * at);
  long.writeUInt32LE(0x07064b50, 56);
  long.writeBigUInt64LE(BigInt(offset + length), 64);
  long.writeUInt32LE(1, 72);
  return Buffer.concat([long, end]);
}

/** Flags, method, time and date, which both headers have in this order. */
function writeCommon(header: Buffer, { name, node, method }: ZipEntry, at: number): void {
  header.writeUInt16LE((needsUtf8(name) ? FLAG_UTF8 : 0) | (node.type === 'dir' ? 0 : FLAG_DESCRIPTOR), at);
  header.writeUInt16LE(method, at + 2);
  const { time, date } = dosTime(node.mtime);
  header.writeUInt16LE(time, at + 4);
  header.writeUInt16LE(date, at + 6);
}

const strict = new TextDecoder('utf-8', { fatal: true });
const BACKSLASH = 0x5c;

/** Is the name text that readers could take for another one? Bytes that are no UTF-8 are in nobody's character set. */
function needsUtf8(name: Uint8Array): boolean {
  // Code page 437, which counts otherwise, and its relatives agree on most of ASCII.
  if (name.every((byte) => byte >= 0x20 && byte <= 0x7d && byte !== BACKSLASH)) return false;
  try {
    strict.decode(name);
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

const DOS_YEARS = { first: 1980, last: 2107 };

/** The clock where the time was recorded, in steps of two seconds; what has no such date gets the nearest. */
function dosTime(mtime: string): { time: number; date: number } {
  const { seconds, offsetSeconds } = parseTimestamp(mtime);
  const local = seconds + offsetSeconds;
  const days = Math.floor(local / DAY_SECONDS);
  const { year, month, day } = dateFromDays(days);
  if (year < DOS_YEARS.first) return { time: 0, date: (1 << 5) | 1 };
  if (year > DOS_YEARS.last) return { time: (23 << 11) | (59 << 5) | 29, date: (127 << 9) | (12 << 5) | 31 };
  const clock = local - days * DAY_SECONDS;
  return {
    time: (Math.floor(clock / 3600) << 11) | (Math.floor((clock / 60) % 60) << 5) | Math.floor((clock % 60) / 2),
    date: ((year - DOS_YEARS.first) << 9) | (month << 5) | day,
  };
}

/** Info-ZIP's extended timestamp: the modification time in seconds since 1970. Nothing where it does not fit. */
function timeField({ mtime }: Node): Buffer {
  const { seconds } = parseTimestamp(mtime);
  if (seconds !== (seconds | 0)) return Buffer.alloc(0);
  const field = Buffer.alloc(9);
  field.write('UT', 0, 'latin1');
  field.writeUInt16LE(5, 2);
  field.writeUInt8(1, 4);
  field.writeInt32LE(seconds, 5);
  return field;
}

/** "Zip64 extended information", APPNOTE §4.5.3. */
function longField(values: readonly number[]): Buffer {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(1, 0);
  field.writeUInt16LE(8 * values.length, 2);
  for (const [at, value] of values.entries()) field.writeBigUInt64LE(BigInt(value), 4 + 8 * at);
  return field;
}
