/** What a zip archive holds, by its directory at the end; every local header and descriptor must say the same. */
import { crc32, inflateRawSync } from 'node:zlib';
import { pathFromBytes } from '@restic-engine/repo-format';

export interface Unzipped {
  readonly name: string;
  readonly utf8: boolean;
  /** `st_mode`, in octal digits. */
  readonly mode: string;
  readonly method: number;
  /** Seconds since 1970 by the extended timestamp. */
  readonly mtime: number | undefined;
  /** Time and date of DOS, in hexadecimal digits. */
  readonly dos: string;
  readonly directory: boolean;
  readonly content: Buffer;
}

export function unzip(archive: Buffer): Unzipped[] {
  const end = archive.length - 22;
  equal(archive.readUInt32LE(end), 0x06054b50, 'end');
  let [entries, length, at] = [
    archive.readUInt16LE(end + 10),
    archive.readUInt32LE(end + 12),
    archive.readUInt32LE(end + 16),
  ];
  if (end >= 20 && archive.readUInt32LE(end - 20) === 0x07064b50) {
    const long = Number(archive.readBigUInt64LE(end - 12));
    equal(archive.readUInt32LE(long), 0x06064b50, 'long end');
    [entries, length, at] = [32, 40, 48].map((field) => Number(archive.readBigUInt64LE(long + field))) as [
      number,
      number,
      number,
    ];
    equal(at + length, long, 'length');
  } else equal(at + length, end, 'length');
  const found: Unzipped[] = [];
  for (let index = 0; index < entries; index++) {
    equal(archive.readUInt32LE(at), 0x02014b50, 'header');
    const [nameBytes, extraBytes] = [archive.readUInt16LE(at + 28), archive.readUInt16LE(at + 30)];
    found.push(entryOf(archive, at, nameBytes, extraBytes));
    at += 46 + nameBytes + extraBytes;
  }
  return found;
}

function entryOf(archive: Buffer, at: number, nameBytes: number, extraBytes: number): Unzipped {
  const name = archive.subarray(at + 46, at + 46 + nameBytes);
  const extras = extrasOf(archive.subarray(at + 46 + nameBytes, at + 46 + nameBytes + extraBytes));
  let [packed, plain, offset] = [20, 24, 42].map((field) => archive.readUInt32LE(at + field)) as [
    number,
    number,
    number,
  ];
  const long = extras.get('\x01\0');
  if (long !== undefined) {
    equal(packed, 0xffffffff, 'packed');
    [plain, packed, offset] = [0, 8, 16].map((field) => Number(long.readBigUInt64LE(field))) as [
      number,
      number,
      number,
    ];
  }
  const [flags, method] = [archive.readUInt16LE(at + 8), archive.readUInt16LE(at + 10)];
  // The local header has the same but for the sizes.
  equal(archive.readUInt32LE(offset), 0x04034b50, 'local header');
  equal(archive.toString('hex', offset + 6, offset + 14), archive.toString('hex', at + 8, at + 16), 'common fields');
  const start = offset + 30 + archive.readUInt16LE(offset + 26) + archive.readUInt16LE(offset + 28);
  equal(archive.toString('latin1', offset + 30, offset + 30 + nameBytes), name.toString('latin1'), 'local name');
  const bytes = archive.subarray(start, start + packed);
  const content = method === 8 ? inflateRawSync(bytes) : Buffer.from(bytes);
  equal(content.length, plain, 'size');
  equal(crc32(content), archive.readUInt32LE(at + 16), 'checksum');
  if ((flags & 8) !== 0) {
    equal(archive.readUInt32LE(start + packed), 0x08074b50, 'descriptor');
    equal(archive.readUInt32LE(start + packed + 4), archive.readUInt32LE(at + 16), 'checksum of the descriptor');
    equal(archive.readUInt32LE(start + packed + 8), packed, 'size of the descriptor');
  }
  const time = extras.get('UT');
  return {
    name: pathFromBytes(name),
    utf8: (flags & 0x800) !== 0,
    mode: archive.readUInt16LE(at + 40).toString(8),
    method,
    mtime: time?.readInt32LE(1),
    dos: archive.toString('hex', at + 12, at + 16),
    directory: (archive.readUInt16LE(at + 38) & 0x10) !== 0,
    content,
  };
}

function extrasOf(bytes: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16LE(at + 2);
    found.set(bytes.toString('latin1', at, at + 2), bytes.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}

function equal(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`);
}
