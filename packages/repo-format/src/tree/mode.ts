/**
 * Modes: restic records the bits of Go's `os.FileMode`, which share only the nine permission bits with `st_mode`
 * (restic design document, "Trees and Data").
 */
import type { NodeType } from './node.ts';

const GO_DIR = 2 ** 31;
const GO_SYMLINK = 2 ** 27;
const GO_DEVICE = 2 ** 26;
const GO_FIFO = 2 ** 25;
const GO_SOCKET = 2 ** 24;
const GO_SETUID = 2 ** 23;
const GO_SETGID = 2 ** 22;
const GO_CHAR_DEVICE = 2 ** 21;
const GO_STICKY = 2 ** 20;
const GO_IRREGULAR = 2 ** 19;

const S_IFMT = 0o170000;
const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_ISVTX = 0o1000;
const PERMISSIONS = 0o777;

interface TypeBits {
  readonly type: NodeType;
  /** The file type bits of `st_mode`. */
  readonly st: number;
  readonly go: number;
}

const FILE: TypeBits = { type: 'file', st: 0o100000, go: 0 };
const IRREGULAR: TypeBits = { type: 'irregular', st: 0, go: GO_IRREGULAR };
/** Character devices come before devices: they have the bits of both. */
const SPECIAL: readonly TypeBits[] = [
  { type: 'dir', st: 0o040000, go: GO_DIR },
  { type: 'symlink', st: 0o120000, go: GO_SYMLINK },
  { type: 'chardev', st: 0o020000, go: GO_DEVICE + GO_CHAR_DEVICE },
  { type: 'dev', st: 0o060000, go: GO_DEVICE },
  { type: 'fifo', st: 0o010000, go: GO_FIFO },
  { type: 'socket', st: 0o140000, go: GO_SOCKET },
  IRREGULAR,
];

/** The type of a node and its recorded mode, from `st_mode`. */
export function fileMode(stMode: number): { type: NodeType; mode: number } {
  const format = stMode & S_IFMT;
  const { type, go } = format === FILE.st ? FILE : (SPECIAL.find(({ st }) => st === format) ?? IRREGULAR);
  let mode = go + (stMode & PERMISSIONS);
  if (stMode & S_ISUID) mode += GO_SETUID;
  if (stMode & S_ISGID) mode += GO_SETGID;
  if (stMode & S_ISVTX) mode += GO_STICKY;
  return { type, mode };
}

/** The bits `chmod` takes, 0…0o7777, from a recorded mode. */
export function permissionBits(mode: number): number {
  let bits = mode & PERMISSIONS;
  if (mode & GO_SETUID) bits |= S_ISUID;
  if (mode & GO_SETGID) bits |= S_ISGID;
  if (mode & GO_STICKY) bits |= S_ISVTX;
  return bits;
}

/** `st_mode` from a recorded mode; without file type bits for what is none of the Unix file types. */
export function toStMode(mode: number): number {
  // `go | 0`: masking yields signed 32-bit numbers, and the bit of directories is the sign.
  const { st } = SPECIAL.find(({ go }) => (mode & go) === (go | 0)) ?? FILE;
  return st | permissionBits(mode);
}
