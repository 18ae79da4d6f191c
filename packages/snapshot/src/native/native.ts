/**
 * System calls that Node does not offer, through the optional package `koffi`. Only this file may use it.
 *
 * Bound on 64-bit Linux, glibc or musl. Elsewhere, or without the package, there are none and callers say what they
 * could not do. The calls block, as the synchronous half of `node:fs` does; each thread binds its own.
 */
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { pathFromBytes, pathToBytes, type Uint64 } from '@restic-engine/repo-format';
import { systemError } from './system-error.ts';

/**
 * Paths are PEP 383 strings. A final symbolic link is never followed. All throw what {@link systemError} makes of a
 * failed call: `denied`, `not-found`, `unsupported`, `io`, …
 */
export interface NativeCalls {
  /** Names in the system's order. None on file systems that have no attributes. */
  listXattrs(path: string): readonly string[];
  /** The value, the caller's to keep; null if the attribute is not there or not readable as one. */
  getXattr(path: string, name: string): Uint8Array<ArrayBuffer> | null;
  setXattr(path: string, name: string, value: Uint8Array): void;
  removeXattr(path: string, name: string): void;
  setTimes(path: string, atime: SystemTime, mtime: SystemTime): void;
  /** `mode` as `st_mode` with its type bits; `device` as `st_rdev`. Absent where the C library does not export it. */
  readonly makeNode: ((path: string, mode: number, device: Uint64) => void) | undefined;
}

/** An instant. */
export interface SystemTime {
  /** Whole seconds since 1970-01-01T00:00:00Z, rounded down. */
  readonly seconds: number;
  /** 0…999,999,999 */
  readonly nanoseconds: number;
}

/** A path or a NUL-terminated one in bytes. */
type CPath = string | Uint8Array;

type Koffi = typeof import('koffi');

/** Most lists and values fit; the kernel clears as much memory as it is offered, so offering the maximum is slow. */
const USUAL_BYTES = 1024;
/** XATTR_LIST_MAX and XATTR_SIZE_MAX of <linux/limits.h>. */
const MOST_BYTES = 65536;

/** <fcntl.h> of Linux. */
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;

/** Architectures on which `struct timespec` is two 64-bit numbers. */
const ARCHITECTURES = new Set(['x64', 'arm64', 'riscv64', 'loong64', 'ppc64', 's390x']);

const NO_NAMES: readonly string[] = Object.freeze([]);

let loaded: { readonly calls: NativeCalls | undefined } | undefined;

/** The system calls of this thread, bound at the first use; undefined where there are none. */
export function loadNative(): NativeCalls | undefined {
  loaded ??= { calls: bind() };
  return loaded.calls;
}

function bind(): NativeCalls | undefined {
  if (process.platform !== 'linux' || !ARCHITECTURES.has(process.arch)) return undefined;
  const koffi = requireKoffi();
  return koffi && new LinuxCalls(koffi);
}

function requireKoffi(): Koffi | undefined {
  const require = createRequire(import.meta.url);
  try {
    return require('koffi');
  } catch {
    // Optional: not installed, or no binary for this system. Callers report what they cannot do without it.
    return undefined;
  }
}

class LinuxCalls implements NativeCalls {
  readonly makeNode: NativeCalls['makeNode'];
  readonly #koffi: Koffi;
  /** Both have an `ArrayBuffer` of their own: memory inside V8's heap, where small arrays live, can move. */
  readonly #out = new Uint8Array(new ArrayBuffer(MOST_BYTES));
  readonly #outAddress: bigint;
  readonly #times = new BigInt64Array(new ArrayBuffer(32));
  readonly #timesAddress: bigint;
  readonly #list: (path: CPath, list: bigint, size: number) => number;
  readonly #get: (path: CPath, name: CPath, value: bigint, size: number) => number;
  readonly #set: (path: CPath, name: CPath, value: Uint8Array, size: number, flags: number) => number;
  readonly #remove: (path: CPath, name: CPath) => number;
  readonly #utimensat: (directory: number, path: CPath, times: bigint, flags: number) => number;

  constructor(koffi: Koffi) {
    // The C library is part of the process already, whatever its name.
    const library = koffi.load(null);
    this.#koffi = koffi;
    this.#outAddress = koffi.address(this.#out);
    this.#timesAddress = koffi.address(this.#times);
    this.#list = library.func('llistxattr', 'intptr_t', ['str', 'void *', 'size_t']);
    this.#get = library.func('lgetxattr', 'intptr_t', ['str', 'str', 'void *', 'size_t']);
    this.#set = library.func('lsetxattr', 'int', ['str', 'str', 'void *', 'size_t', 'int']);
    this.#remove = library.func('lremovexattr', 'int', ['str', 'str']);
    this.#utimensat = library.func('utimensat', 'int', ['int', 'str', 'void *', 'int']);
    this.makeNode = this.#bindMakeNode(library);
  }

  listXattrs(path: string): readonly string[] {
    const file = cPath(path, 'llistxattr');
    let length = this.#list(file, this.#outAddress, USUAL_BYTES);
    if (length === 0) return NO_NAMES;
    if (length < 0 && this.#failedWith('ERANGE')) length = this.#list(file, this.#outAddress, MOST_BYTES);
    if (length < 0) {
      if (this.#failedWith('ENOTSUP')) return NO_NAMES;
      throw this.#error('llistxattr', path);
    }
    // Each name ends with a NUL.
    return pathFromBytes(this.#out.subarray(0, length - 1)).split('\0');
  }

  getXattr(path: string, name: string): Uint8Array<ArrayBuffer> | null {
    const file = cPath(path, 'lgetxattr');
    const attribute = cPath(name, 'lgetxattr');
    let length = this.#get(file, attribute, this.#outAddress, USUAL_BYTES);
    if (length < 0 && this.#failedWith('ERANGE')) length = this.#get(file, attribute, this.#outAddress, MOST_BYTES);
    if (length >= 0) return this.#out.slice(0, length);
    if (this.#failedWith('ENODATA') || this.#failedWith('ENOTSUP')) return null;
    throw this.#error('lgetxattr', path);
  }

  setXattr(path: string, name: string, value: Uint8Array): void {
    const failed = this.#set(cPath(path, 'lsetxattr'), cPath(name, 'lsetxattr'), value, value.length, 0);
    if (failed !== 0) throw this.#error('lsetxattr', path);
  }

  removeXattr(path: string, name: string): void {
    const failed = this.#remove(cPath(path, 'lremovexattr'), cPath(name, 'lremovexattr'));
    if (failed !== 0) throw this.#error('lremovexattr', path);
  }

  setTimes(path: string, atime: SystemTime, mtime: SystemTime): void {
    for (const [index, time] of [atime, mtime].entries()) {
      this.#times[2 * index] = BigInt(time.seconds);
      this.#times[2 * index + 1] = BigInt(time.nanoseconds);
    }
    const file = cPath(path, 'utimensat');
    const failed = this.#utimensat(AT_FDCWD, file, this.#timesAddress, AT_SYMLINK_NOFOLLOW);
    if (failed !== 0) throw this.#error('utimensat', path);
  }

  #bindMakeNode(library: ReturnType<Koffi['load']>): NativeCalls['makeNode'] {
    // glibc before 2.33 had it in its headers only.
    if (!exportsSymbol(library, 'mknod')) return undefined;
    const mknod: (path: CPath, mode: number, device: Uint64) => number = library.func('mknod', 'int', [
      'str',
      'uint32_t',
      'uint64_t',
    ]);
    return (path, mode, device) => {
      if (mknod(cPath(path, 'mknod'), mode, device) !== 0) throw this.#error('mknod', path);
    };
  }

  #failedWith(name: 'ERANGE' | 'ENODATA' | 'ENOTSUP'): boolean {
    return this.#koffi.errno() === constants.errno[name];
  }

  #error(call: string, path: string): Error {
    return systemError(call, path, this.#koffi.errno());
  }
}

function exportsSymbol(library: ReturnType<Koffi['load']>, name: string): boolean {
  try {
    library.symbol(name);
    return true;
  } catch {
    return false;
  }
}

/** What C is given for a path. A NUL would cut it short and name another file. */
function cPath(path: string, call: string): CPath {
  if (path.includes('\0')) throw systemError(call, path, constants.errno.EINVAL);
  if (path.isWellFormed()) return path;
  const bytes = pathToBytes(path);
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}
