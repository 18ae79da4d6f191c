/** Nodes from the file system: everything but the content of files and the subtrees of directories. */
import { type BigIntStats, lstatSync, statSync } from 'node:fs';
import {
  EngineError,
  type ExtendedAttribute,
  fileMode,
  formatTimestamp,
  type Node,
  type NodeType,
  type TimeZone,
  type Timestamp,
  type Uint64,
} from '@restic-engine/repo-format';
import type { NativeCalls } from '../../native/native.ts';
import { fromNodeError } from '../../native/system-error.ts';
import { readLink } from './list.ts';
import { fsPath } from './path.ts';
import type { UserDatabase } from './users.ts';

/** What reading metadata depends on. */
export interface MetadataSettings {
  /** The zone in which times are written. */
  readonly zone: TimeZone;
  readonly users: UserDatabase;
  /** Reads extended attributes; without it nodes have none. */
  readonly native: NativeCalls | undefined;
  /** Record access times; otherwise `atime` repeats `mtime`, so that reading a file does not change its tree. */
  readonly withAtime: boolean;
  /** Record the device only of files with several names, which it tells apart; otherwise of everything. */
  readonly deviceIdForHardlinks: boolean;
}

/** One entry to be described. */
export interface MetadataRequest {
  /** Absolute, as PEP 383 string. */
  readonly path: string;
  /** Its name in the snapshot. */
  readonly name: string;
  /** For directories above the targets, whose attributes need not be readable. */
  readonly aboveTarget?: boolean;
  /** What could not be read; the node is made without it. */
  readonly onProblem: (problem: EngineError) => void;
}

const LSTAT = { bigint: true } as const;
const BILLION = 1_000_000_000n;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Types of which restic records how many links there are. */
const WITH_LINKS: ReadonlySet<NodeType> = new Set<NodeType>(['file', 'symlink', 'dev', 'chardev']);

/** Exact `lstat` of a PEP 383 path. Throws what `node:fs` throws. */
export function lstatExact(path: string): BigIntStats {
  return lstatSync(fsPath(path), LSTAT);
}

/** Exact `stat`, which follows symbolic links. Throws what `node:fs` throws. */
export function statExact(path: string): BigIntStats {
  return statSync(fsPath(path), LSTAT);
}

/**
 * Describes an entry whose `stat` is known. `content` is null, for files too: whoever stores the content fills it in.
 * `size` is that of `stat`.
 */
export function readMetadata(request: MetadataRequest, stat: BigIntStats, settings: MetadataSettings): Node {
  const { zone, users, withAtime, deviceIdForHardlinks } = settings;
  const { type, mode } = fileMode(Number(stat.mode));
  const uid = Number(stat.uid);
  const gid = Number(stat.gid);
  const mtime = timestamp(stat.mtimeNs, zone);
  return {
    name: request.name,
    type,
    mode,
    mtime,
    atime: withAtime ? timestamp(stat.atimeNs, zone) : mtime,
    ctime: timestamp(stat.ctimeNs, zone),
    uid,
    gid,
    user: users.userName(uid),
    group: users.groupName(gid),
    inode: exact(stat.ino),
    deviceId: deviceIdForHardlinks && (type === 'dir' || stat.nlink < 2n) ? undefined : exact(stat.dev),
    size: type === 'file' ? exact(stat.size) : undefined,
    links: WITH_LINKS.has(type) ? exact(stat.nlink) : undefined,
    linkTarget: type === 'symlink' ? linkTarget(request) : undefined,
    extendedAttributes: extendedAttributes(request, settings.native),
    device: type === 'dev' || type === 'chardev' ? exact(stat.rdev) : undefined,
    content: null,
  };
}

function timestamp(nanoseconds: bigint, zone: TimeZone): Timestamp {
  let seconds = nanoseconds / BILLION;
  let rest = nanoseconds - seconds * BILLION;
  if (rest < 0n) {
    seconds -= 1n;
    rest += BILLION;
  }
  return formatTimestamp(Number(seconds), Number(rest), zone);
}

/** Node's statistics are signed; the fields they come from are not. */
function exact(value: bigint): Uint64 {
  const unsigned = value < 0n ? BigInt.asUintN(64, value) : value;
  return unsigned <= SAFE ? Number(unsigned) : unsigned;
}

function linkTarget(request: MetadataRequest): string | undefined {
  try {
    return readLink(request.path);
  } catch (error) {
    request.onProblem(fromNodeError(error, request.path));
    return undefined;
  }
}

function extendedAttributes(
  request: MetadataRequest,
  native: NativeCalls | undefined,
): readonly ExtendedAttribute[] | undefined {
  if (native === undefined) return undefined;
  const names = listAttributes(request, native);
  if (names.length === 0) return undefined;
  const attributes: ExtendedAttribute[] = [];
  for (const name of names) {
    try {
      attributes.push({ name, value: native.getXattr(request.path, name) });
    } catch (error) {
      request.onProblem(fromNodeError(error, request.path));
    }
  }
  return attributes;
}

function listAttributes(request: MetadataRequest, native: NativeCalls): readonly string[] {
  try {
    return native.listXattrs(request.path);
  } catch (error) {
    const ignored = request.aboveTarget === true && EngineError.is(error, 'denied');
    if (!ignored) request.onProblem(fromNodeError(error, request.path));
    return [];
  }
}
