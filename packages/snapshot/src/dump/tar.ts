/**
 * Snapshots as tar archives (POSIX.1-2017 `pax`, "ustar Interchange Format" and "pax Header Block"). Names are bytes and
 * stay what they are.
 */
import { parseTimestamp, pathToBytes, permissionBits } from '@restic-engine/repo-format';
import type { ExtendedAttribute, Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { contentLength, readFile } from '../walk.ts';
import { formatAcl } from './acl.ts';
import { walkForArchive } from './entries.ts';
import type { PackOptions } from './entries.ts';

const BLOCK = 512;
/** The values that take 11 octal digits. */
const MAX_OCTAL_11 = 8 ** 11 - 1;
const MAX_OCTAL_7 = 8 ** 7 - 1;

/**
 * Files, directories and symbolic links below a tree as an archive, in the order of `walk`. Hard links become files of
 * their own; extended attributes are kept, POSIX access control lists as text; times in whole seconds.
 * Chunks belong to the reader. Rejects in the middle with `not-found` and `corrupt` for what cannot be read, `corrupt`
 * also for names that lead out of their directory, `aborted`.
 */
export async function* packTar(
  repository: IndexedRepository,
  tree: Id,
  options: PackOptions = {},
): AsyncGenerator<Uint8Array> {
  const { signal } = options;
  for await (const { name, node } of walkForArchive(repository, tree, options)) {
    // What the blobs have counts: a file may have changed its size while it was read.
    const size = node.type === 'file' ? contentLength(repository, node) : 0;
    yield headersOf(node, name, size);
    if (size === 0) continue;
    yield* readFile(repository, node, { signal });
    if (padding(size) > 0) yield new Uint8Array(padding(size));
  }
  yield new Uint8Array(2 * BLOCK);
}

/** Bytes up to the next block. */
function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

interface Field {
  readonly offset: number;
  readonly length: number;
}

const NAME: Field = { offset: 0, length: 100 };
const MODE: Field = { offset: 100, length: 8 };
const UID: Field = { offset: 108, length: 8 };
const GID: Field = { offset: 116, length: 8 };
const SIZE: Field = { offset: 124, length: 12 };
const MTIME: Field = { offset: 136, length: 12 };
const CHECKSUM: Field = { offset: 148, length: 8 };
const TYPE = 156;
const LINK: Field = { offset: 157, length: 100 };
const MAGIC = 257;
const USER: Field = { offset: 265, length: 32 };
const GROUP: Field = { offset: 297, length: 32 };

const TYPES = { file: '0', symlink: '2', dir: '5' } as const;

/** The header of a node, and before it, where something does not fit into that, an extended one. */
function headersOf(node: Node, name: Uint8Array, size: number): Uint8Array {
  const records: Uint8Array[] = [];
  const header = new Uint8Array(BLOCK);
  const putText = (field: Field, key: string, bytes: Uint8Array): void => {
    // In a header of its own only ASCII means the same to everyone.
    if (bytes.length > field.length || bytes.some((byte) => byte >= 0x80)) records.push(record(key, bytes));
    header.set(bytes.subarray(0, field.length), field.offset);
  };
  const putNumber = (field: Field, key: string, value: number, most: number): void => {
    const fits = value >= 0 && value <= most;
    if (!fits) records.push(record(key, ascii(String(value))));
    putOctal(header, field, fits ? value : 0);
  };
  putText(NAME, 'path', name);
  putOctal(header, MODE, permissionBits(node.mode));
  putNumber(UID, 'uid', node.uid, MAX_OCTAL_7);
  putNumber(GID, 'gid', node.gid, MAX_OCTAL_7);
  putNumber(SIZE, 'size', size, MAX_OCTAL_11);
  putNumber(MTIME, 'mtime', roundedSeconds(node.mtime), MAX_OCTAL_11);
  if (node.type === 'symlink') putText(LINK, 'linkpath', pathToBytes(node.linkTarget ?? ''));
  putText(USER, 'uname', pathToBytes(node.user ?? ''));
  putText(GROUP, 'gname', pathToBytes(node.group ?? ''));
  records.push(...(node.extendedAttributes ?? []).flatMap(attributeRecord));
  finish(header, node.type === 'dir' || node.type === 'symlink' ? TYPES[node.type] : TYPES.file);
  return records.length === 0 ? header : Buffer.concat([extended(records), header]);
}

function extended(records: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(records);
  const header = new Uint8Array(BLOCK);
  header.set(ascii('PaxHeader'), NAME.offset);
  putOctal(header, MODE, 0o644);
  putOctal(header, UID, 0);
  putOctal(header, GID, 0);
  putOctal(header, SIZE, body.length);
  putOctal(header, MTIME, 0);
  finish(header, 'x');
  return Buffer.concat([header, body, new Uint8Array(padding(body.length))]);
}

/** The type, what marks the format, and the sum of all bytes, for which the field of the sum counts as blanks. */
function finish(header: Uint8Array, type: string): void {
  header.set(ascii(type), TYPE);
  header.set(ascii('ustar\x0000'), MAGIC);
  header.fill(0x20, CHECKSUM.offset, CHECKSUM.offset + CHECKSUM.length);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.set(ascii(`${sum.toString(8).padStart(6, '0')}\x00 `), CHECKSUM.offset);
}

function putOctal(header: Uint8Array, { offset, length }: Field, value: number): void {
  header.set(ascii(value.toString(8).padStart(length - 1, '0')), offset);
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function record(key: string, value: Uint8Array): Uint8Array {
  const name = pathToBytes(key);
  const rest = name.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length += 1;
  return Buffer.concat([ascii(`${length} `), name, ascii('='), value, ascii('\n')]);
}

const ACLS: ReadonlyMap<string, string> = new Map([
  ['system.posix_acl_access', 'SCHILY.acl.access'],
  ['system.posix_acl_default', 'SCHILY.acl.default'],
]);

/** As star and GNU tar keep attributes. A list that cannot be understood is left out. */
function attributeRecord({ name, value }: ExtendedAttribute): Uint8Array[] {
  const bytes = value ?? new Uint8Array(0);
  const key = ACLS.get(name);
  // A key ends at the first `=`, so there is no way to write such a name.
  if (key === undefined) return name.includes('=') ? [] : [record(`SCHILY.xattr.${name}`, bytes)];
  const text = formatAcl(bytes);
  return text === undefined ? [] : [record(key, ascii(text))];
}

function roundedSeconds(time: string): number {
  const { seconds, nanoseconds } = parseTimestamp(time);
  return seconds + (nanoseconds >= 500_000_000 ? 1 : 0);
}

function ascii(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
