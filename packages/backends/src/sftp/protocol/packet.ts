/** Packets of the SSH File Transfer Protocol, version 3: draft-ietf-secsh-filexfer-02, sections 3 to 7. */
import { Buffer } from 'node:buffer';
import { EngineError } from '@restic-engine/repo-format';
import type { PacketPool } from './packet-pool.ts';

/** Kinds of packets, section 3. */
export const TYPE = {
  INIT: 1,
  VERSION: 2,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  SETSTAT: 9,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  STAT: 17,
  RENAME: 18,
  STATUS: 101,
  HANDLE: 102,
  DATA: 103,
  NAME: 104,
  ATTRS: 105,
  EXTENDED: 200,
  EXTENDED_REPLY: 201,
} as const;

/** Answers of kind STATUS, section 7; those from 11 on belong to later versions and are sent by some servers anyway. */
export const STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  OP_UNSUPPORTED: 8,
  FILE_ALREADY_EXISTS: 11,
  WRITE_PROTECT: 12,
  NO_SPACE: 14,
  QUOTA_EXCEEDED: 15,
} as const;

/** Flags of OPEN, section 6.3. */
export const OPEN = { READ: 0x01, WRITE: 0x02, CREATE: 0x08, EXCLUSIVE: 0x20 } as const;

/** Which attributes follow, section 5. */
const ATTRIBUTE = { SIZE: 0x01, UIDGID: 0x02, PERMISSIONS: 0x04, TIMES: 0x08, EXTENDED: 0x80000000 } as const;

const KIND = { MASK: 0o170000, FOLDER: 0o040000, FILE: 0o100000 } as const;

/** What a server says about a file; what it leaves out is `undefined`. */
export interface Attributes {
  /** Bytes. */
  readonly size: number | undefined;
  /** Permission bits, without the kind of file. */
  readonly permissions: number | undefined;
  readonly kind: 'file' | 'folder' | 'other' | undefined;
}

/** One value in a packet: a number is a uint32, a bigint a uint64, anything else a string with its length before it. */
export type Field = number | bigint | string | Uint8Array;

/** The fields that say "these permissions" where a packet wants attributes. */
export function permissions(mode: number): readonly Field[] {
  return [ATTRIBUTE.PERMISSIONS, mode];
}

/** The bytes of a packet. `tail` is a last string, given in parts; the packet holds a copy of them. */
export function encode(pool: PacketPool, type: number, fields: readonly Field[], tail?: readonly Uint8Array[]): Buffer {
  const ready = fields.map((field) => (typeof field === 'string' ? Buffer.from(field) : field));
  const tailLength = tail?.reduce((sum, part) => sum + part.length, 0) ?? 0;
  const length = ready.reduce<number>((sum, field) => sum + sizeOf(field), 5);
  const packet = pool.take(length + (tail === undefined ? 0 : 4 + tailLength));
  packet.writeUInt32BE(packet.length - 4, 0);
  packet.writeUInt8(type, 4);
  let at = 5;
  for (const field of ready) at = put(packet, field, at);
  if (tail === undefined) return packet;
  at = packet.writeUInt32BE(tailLength, at);
  for (const part of tail) {
    packet.set(part, at);
    at += part.length;
  }
  return packet;
}

function sizeOf(field: number | bigint | Uint8Array): number {
  if (typeof field === 'number') return 4;
  return typeof field === 'bigint' ? 8 : 4 + field.length;
}

function put(packet: Buffer, field: number | bigint | Uint8Array, at: number): number {
  if (typeof field === 'number') return packet.writeUInt32BE(field, at);
  if (typeof field === 'bigint') return packet.writeBigUInt64BE(field, at);
  packet.set(field, packet.writeUInt32BE(field.length, at));
  return at + 4 + field.length;
}

/** The error for an answer that breaks the protocol. */
export function broken(what: string): EngineError {
  return new EngineError('corrupt', `the server breaks the SFTP protocol: ${what}`);
}

/** Takes a packet apart, front to back. Throws `corrupt` where it ends too early. */
export class PacketReader {
  readonly #bytes: Buffer;
  #at = 0;

  /** `bytes` stay the caller's and must not change meanwhile. */
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  bigUint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#advance(8));
  }

  /** A uint64 that must be a safe integer, as every size of a file is. */
  uint64(): number {
    const value = Number(this.bigUint64());
    if (!Number.isSafeInteger(value)) throw broken('a size beyond all files');
    return value;
  }

  /** A view of the next string. */
  string(): Uint8Array {
    const length = this.uint32();
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** The next string as text; bytes that are no UTF-8 become U+FFFD. */
  text(): string {
    return Buffer.from(this.string()).toString('utf8');
  }

  attributes(): Attributes {
    const flags = this.uint32();
    const size = flags & ATTRIBUTE.SIZE ? this.uint64() : undefined;
    if (flags & ATTRIBUTE.UIDGID) this.#advance(8);
    const mode = flags & ATTRIBUTE.PERMISSIONS ? this.uint32() : undefined;
    if (flags & ATTRIBUTE.TIMES) this.#advance(8);
    if (flags & ATTRIBUTE.EXTENDED) {
      for (let count = this.uint32(); count > 0; count -= 1) {
        this.string();
        this.string();
      }
    }
    return { size, permissions: mode === undefined ? undefined : mode & 0o7777, kind: kindOf(mode) };
  }

  #advance(bytes: number): number {
    if (bytes > this.left) throw broken('a packet that is too short');
    const start = this.#at;
    this.#at += bytes;
    return start;
  }
}

function kindOf(mode: number | undefined): Attributes['kind'] {
  // Some servers send the permission bits alone.
  if (mode === undefined || (mode & KIND.MASK) === 0) return undefined;
  if ((mode & KIND.MASK) === KIND.FILE) return 'file';
  return (mode & KIND.MASK) === KIND.FOLDER ? 'folder' : 'other';
}
