/**
 * A node: one entry of a tree, as restic records it (restic design document, "Trees and Data").
 *
 * Text that came from a file system may hold bytes that are not UTF-8. They are kept as lone low surrogates
 * U+DC80…U+DCFF, one for each byte (the scheme of PEP 383), so every name survives a round trip and ordinary names are
 * ordinary strings. `pathToBytes`/`pathFromBytes` convert.
 */
import type { Id } from '../id.ts';

/** What a node is: restic's names. `dev` is a block device, `irregular` what restic did not know. */
export type NodeType = 'file' | 'dir' | 'symlink' | 'dev' | 'chardev' | 'fifo' | 'socket' | 'irregular';

/** An unsigned 64-bit integer; a bigint only where a number would not be exact. */
export type Uint64 = number | bigint;

/** RFC 3339 with up to nine fraction digits and the offset of the zone it was written in, as in the JSON. */
export type Timestamp = string;

/** An extended attribute of a node. */
export interface ExtendedAttribute {
  readonly name: string;
  /** null where restic recorded no value. */
  readonly value: Uint8Array | null;
}

/**
 * A file, directory, link or device, as a tree lists it (restic design document, "Trees and Data"). Sizes in bytes;
 * names whose bytes are not UTF-8 have lone surrogates for them.
 */
export interface Node {
  readonly name: string;
  readonly type: NodeType;
  /** Bits of Go's `os.FileMode`, not of `st_mode`; 0 when absent in the JSON. */
  readonly mode: number;
  readonly mtime: Timestamp;
  readonly atime: Timestamp;
  readonly ctime: Timestamp;
  readonly uid: number;
  readonly gid: number;
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  readonly inode?: Uint64 | undefined;
  readonly deviceId?: Uint64 | undefined;
  /** Bytes; files only. */
  readonly size?: Uint64 | undefined;
  readonly links?: Uint64 | undefined;
  readonly linkTarget?: string | undefined;
  readonly extendedAttributes?: readonly ExtendedAttribute[] | undefined;
  /** Windows' attributes: key → JSON text, passed through. */
  readonly genericAttributes?: Readonly<Record<string, string>> | undefined;
  /** `st_rdev` of a device. */
  readonly device?: Uint64 | undefined;
  /** Ids of data blobs; null for everything but files. */
  readonly content: readonly Id[] | null;
  readonly subtree?: Id | undefined;
  readonly error?: string | undefined;
  /** Keys this version does not know: key → JSON text. Written back after the known ones. */
  readonly unknown?: Readonly<Record<string, string>> | undefined;
}
