/** What `stat` and `readdir` tell of an entry, with the members that Node's have. */
import { parseTimestamp, toStMode } from '@restic-engine/repo-format';
import type { Node, NodeType, Timestamp } from '@restic-engine/repo-format';

type Kind = NodeType;

class Typed {
  readonly #kind: Kind;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  isFile(): boolean {
    return this.#kind === 'file';
  }

  isDirectory(): boolean {
    return this.#kind === 'dir';
  }

  isSymbolicLink(): boolean {
    return this.#kind === 'symlink';
  }

  isBlockDevice(): boolean {
    return this.#kind === 'dev';
  }

  isCharacterDevice(): boolean {
    return this.#kind === 'chardev';
  }

  isFIFO(): boolean {
    return this.#kind === 'fifo';
  }

  isSocket(): boolean {
    return this.#kind === 'socket';
  }
}

/** Numbers of a node that has none of its own. */
export interface MadeUp {
  readonly kind: 'dir' | 'symlink';
  readonly time: Timestamp | undefined;
  readonly uid: number;
  readonly gid: number;
}

const MODES = { dir: 0o040555, symlink: 0o120777 } as const;
const EPOCH = '1970-01-01T00:00:00Z';
const BLOCK = 512;

/**
 * What is known of an entry: bytes, milliseconds since 1970, `mode` as `st_mode`. Numbers beyond 2^53 are rounded; the
 * node, where there is one, has them exactly. Nobody records when a file was made: `birthtime` is 1970.
 */
export class SnapshotStats extends Typed {
  /** As the snapshot has it; undefined for folders that are made up and for the top of a snapshot. */
  readonly node: Node | undefined;
  readonly mode: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly ino: number;
  readonly dev: number;
  readonly rdev: number;
  readonly blksize: number = 4096;
  readonly blocks: number;
  readonly mtimeMs: number;
  readonly atimeMs: number;
  readonly ctimeMs: number;
  readonly birthtimeMs: number = 0;

  constructor(entry: Node | MadeUp, size: number) {
    super('kind' in entry ? entry.kind : entry.type);
    this.node = 'kind' in entry ? undefined : entry;
    const { mtime, atime, ctime } = 'kind' in entry ? sameTimes(entry.time ?? EPOCH) : entry;
    this.mode = 'kind' in entry ? MODES[entry.kind] : toStMode(entry.mode);
    this.size = size;
    this.uid = entry.uid;
    this.gid = entry.gid;
    this.nlink = Number(this.node?.links ?? 1);
    this.ino = Number(this.node?.inode ?? 0);
    this.dev = Number(this.node?.deviceId ?? 0);
    this.rdev = Number(this.node?.device ?? 0);
    this.blocks = Math.ceil(size / BLOCK);
    this.mtimeMs = milliseconds(mtime);
    this.atimeMs = milliseconds(atime);
    this.ctimeMs = milliseconds(ctime);
  }

  get mtime(): Date {
    return new Date(this.mtimeMs);
  }

  get atime(): Date {
    return new Date(this.atimeMs);
  }

  get ctime(): Date {
    return new Date(this.ctimeMs);
  }

  get birthtime(): Date {
    return new Date(this.birthtimeMs);
  }
}

function sameTimes(time: Timestamp): { mtime: Timestamp; atime: Timestamp; ctime: Timestamp } {
  return { mtime: time, atime: time, ctime: time };
}

function milliseconds(time: Timestamp): number {
  const { seconds, nanoseconds } = parseTimestamp(time);
  return seconds * 1000 + nanoseconds / 1e6;
}

/** An entry of a directory. */
export class SnapshotDirent extends Typed {
  readonly name: string;
  /** Where it is, as it was asked for. */
  readonly parentPath: string;
  readonly #stat: () => SnapshotStats;

  constructor(kind: Kind, name: string, parentPath: string, stat: () => SnapshotStats) {
    super(kind);
    this.name = name;
    this.parentPath = parentPath;
    this.#stat = stat;
  }

  /** What `lstat` tells of it, without looking for it again. */
  stats(): SnapshotStats {
    return this.#stat();
  }
}
