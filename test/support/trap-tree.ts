/** A directory with everything in it that backup programs have been known to get wrong. */
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lchownSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { EngineError } from 'restic-engine';
import { pathFromBytes, pathToBytes } from '@restic-engine/repo-format';
import { loadNative, type NativeCalls } from '../../packages/snapshot/src/native/native.ts';
import { randomFrom } from './random.ts';

const isRoot: boolean = process.getuid?.() === 0;

/** One byte each: names are bytes. */
const bytes = (...values: number[]): string => pathFromBytes(Uint8Array.from(values));

export const TRAP_NAMES: readonly string[] = [
  'plain',
  'with space',
  ' leading and trailing ',
  'quo"te',
  "apo'strophe",
  'back\\slash',
  '-dash',
  '.hidden',
  '*?[glob]',
  '<html>&amp;',
  'tab\tnewline\ncarriage\r',
  'bell\u0007bs\bff\fvt\vesc\u001b',
  'del\u007fctl\u0001\u001f',
  'c1\u0080\u0085\u009f',
  'nbsp\u00a0shy\u00adzwj\u200dzwsp\u200b',
  'line\u2028paragraph\u2029',
  'bom\ufeffprivate\ue000ideographic\u3000',
  'replacement\ufffd',
  'noncharacter\ufffe\uffff\ufdd0',
  'astral noncharacter\u{1fffe}\u{10ffff}',
  'tag\u{e0041}selector\u{e0100}\ufe0f',
  'emoji😀👩‍👩‍👧',
  'ｆｕｌｌ after surrogates 𐀀',
  '\uff01 sorts before the astral ones',
  '\u{10000} sorts after them',
  'combining e\u0301',
  'precomposed \u00e9',
  'cjk\u{20000}\u{2ceb0}\u{30000}\u{31350}',
  'unicode 16 and 17 \u{10d40}\u0c5c\u{2ebf0}',
  '.restic',
  'x'.repeat(255),
  bytes(0xff),
  bytes(0xff, 0xfe),
  `latin ${bytes(0xe4, 0xfc)}`,
  `surrogate ${bytes(0xed, 0xa0, 0x80)}`,
  `overlong ${bytes(0xc0, 0xaf)}`,
  `cut off ${bytes(0xf0, 0x9f, 0x98)}`,
  `too large ${bytes(0xf4, 0x90, 0x80, 0x80)}`,
  `mixed ${bytes(0x80)}é${bytes(0xc3)}"`,
];

/** seconds since 1970, nanoseconds */
const TIMES: readonly (readonly [number, number])[] = [
  [0, 0],
  [-1, 500_000_000],
  [-1, 999_999_999],
  // Before standard time in most zones; the oldest that ext4 keeps is in 1901.
  [-1_500_000_000, 1],
  [-2_147_483_647, 120_000_000],
  [1, 100_000_000],
  [1_000_000_000, 123_456_789],
  // An hour that summer time repeats in Europe and one in America.
  [1_698_541_200, 10],
  [1_698_544_800, 10],
  [1_699_162_200, 0],
  // Southern and northern summer.
  [1_720_000_000, 999_000_000],
  [1_735_000_000, 0],
  [4_102_444_800, 7],
  [7_258_118_400, 1_000],
];

/** Later than nanoseconds in 64 bits reach. restic records such times and restores others. */
const FAR_TIMES: readonly (readonly [number, number])[] = [
  [9_223_372_037, 0],
  [14_000_000_000, 999_999_999],
];

const MIB = 1 << 20;

export interface TrapTree {
  readonly path: string;
  /** Directories, the tree itself not counted, and everything else but the socket. */
  readonly dirs: number;
  readonly others: number;
}

export interface TrapOptions {
  /** Without what restic itself does not restore. */
  readonly onlyRestorable?: boolean;
  /** Without the files that are there for their content. */
  readonly onlyMetadata?: boolean;
}

/** Makes the tree at `path`, which must not exist. It has a part for everyone and more for root. */
export async function makeTrapTree(path: string, options: TrapOptions = {}): Promise<TrapTree> {
  const native = loadNative();
  if (native === undefined) throw new Error('the trap tree needs the optional package koffi');
  const maker = new Maker(path, native);
  maker.dir('');
  maker.names();
  if (!options.onlyMetadata) maker.contents();
  maker.modes();
  maker.links();
  maker.times(options.onlyRestorable ? TIMES : [...TIMES, ...FAR_TIMES]);
  maker.attributes();
  if (isRoot) maker.ofRoot();
  await maker.socket();
  return { path, dirs: maker.dirs - 1, others: maker.others };
}

class Maker {
  dirs = 0;
  others = 0;
  readonly #root: string;
  readonly #native: NativeCalls;

  constructor(root: string, native: NativeCalls) {
    this.#root = root;
    this.#native = native;
  }

  #at(path: string): Buffer {
    return Buffer.from(pathToBytes(path === '' ? this.#root : `${this.#root}/${path}`));
  }

  dir(path: string): void {
    mkdirSync(this.#at(path));
    this.dirs += 1;
  }

  #file(path: string, content: string | Uint8Array = ''): Buffer {
    const real = this.#at(path);
    writeFileSync(real, content);
    this.others += 1;
    return real;
  }

  names(): void {
    this.dir('names');
    this.dir('dirs');
    this.dir('dirs/empty');
    for (const name of TRAP_NAMES) {
      this.#file(`names/${name}`, `content of ${TRAP_NAMES.indexOf(name)}`);
      this.dir(`dirs/${name}`);
      this.#file(`dirs/${name}/${name}`);
    }
    let deep = 'deep';
    this.dir(deep);
    for (let i = 0; i < 40; i++) this.dir((deep += `/${i}`));
    this.#file(`${deep}/bottom`, 'bottom');
  }

  contents(): void {
    const random = randomFrom(7);
    this.dir('contents');
    const sizes = { '0': 0, '1': 1, '63': 63, '64': 64, '511K': 511 << 10, '512K': 512 << 10, '513K': 513 << 10 };
    for (const [name, size] of Object.entries(sizes)) this.#file(`contents/${name}`, random.bytes(size));
    const large = random.bytes(9 * MIB + 12_345);
    this.#file('contents/random', large);
    // Everything shifted by a byte: the cuts move along.
    this.#file('contents/random shifted', Buffer.concat([Buffer.from('x'), large]));
    this.#file('contents/zeros', Buffer.alloc(9 * MIB));
    this.#file('contents/constant', Buffer.alloc(9 * MIB + 1, 0xa5));
    // Exactly the longest chunk, and one byte more.
    this.#file('contents/8M zeros', Buffer.alloc(8 * MIB));
    this.#file('contents/8M+1 zeros', Buffer.alloc(8 * MIB + 1));
    this.#file(
      'contents/text',
      Array.from({ length: 60_000 }, (_, i) => `line ${i} of a text that compresses\n`).join(''),
    );
    this.#file('contents/looks like zstd', Buffer.from('28b52ffd0400010000', 'hex'));
    this.#sparse('contents/sparse');
  }

  #sparse(path: string): void {
    const file = openSync(this.#file(path), 'r+');
    ftruncateSync(file, 5 * MIB);
    writeSync(file, 'island', 2 * MIB);
    closeSync(file);
  }

  modes(): void {
    this.dir('modes');
    // Files nobody may read can be read by root only.
    const files = [0o644, 0o755, 0o600, 0o400, 0o777, 0o4755, 0o2755, 0o6711, 0o1777, ...(isRoot ? [0, 0o111] : [])];
    for (const mode of files) chmodSync(this.#file(`modes/file ${mode.toString(8)}`, 'x'), mode);
    for (const mode of [0o700, 0o755, 0o500, 0o1777, 0o3777, 0o2775, 0o4755, ...(isRoot ? [0] : [])]) {
      this.dir(`modes/dir ${mode.toString(8)}`);
      if (mode !== 0o500) this.#file(`modes/dir ${mode.toString(8)}/file`);
      chmodSync(this.#at(`modes/dir ${mode.toString(8)}`), mode);
    }
  }

  links(): void {
    this.dir('links');
    const targets = [
      '../names/plain',
      '/nonexistent/dangling',
      '.',
      'l"<&>\u2028\b\f\u001b',
      `bad ${bytes(0xff)}<>`,
      'y'.repeat(4000),
    ];
    for (const [i, target] of targets.entries()) {
      symlinkSync(Buffer.from(pathToBytes(target)), this.#at(`links/symlink ${i}`));
      this.others += 1;
      this.#native.setTimes(`${this.#root}/links/symlink ${i}`, ...both(1_234_567_890 + i, 987_654_321));
    }
    this.dir('links/other');
    for (const [name, content] of [
      ['a', 'hard'],
      ['big', randomFrom(3).bytes(600_000)],
      ['empty', ''],
    ] as const) {
      const first = this.#file(`links/${name}`, content);
      for (const copy of [`links/${name} again`, `links/other/${name}`]) linkSync(first, this.#at(copy));
      this.others += 2;
    }
  }

  times(times: readonly (readonly [number, number])[]): void {
    this.dir('times');
    for (const [i, [seconds, nanoseconds]] of times.entries()) {
      this.#file(`times/file ${i}`, String(i));
      this.dir(`times/dir ${i}`);
      for (const kind of ['file', 'dir']) {
        this.#native.setTimes(`${this.#root}/times/${kind} ${i}`, ...both(seconds, nanoseconds));
      }
    }
  }

  /** Does nothing where the file system keeps no attributes. */
  attributes(): void {
    this.dir('attributes');
    this.dir('attributes/dir');
    for (const name of ['one', 'many', 'acl']) this.#file(`attributes/${name}`, name);
    const set = (path: string, name: string, value: string | Uint8Array): void => {
      this.#native.setXattr(`${this.#root}/attributes/${path}`, name, Buffer.from(value));
    };
    try {
      set('one', 'user.empty', '');
    } catch (error) {
      if (EngineError.is(error, 'unsupported')) return;
      throw error;
    }
    set('many', 'user.zzz', 'last first');
    set('many', 'user.<x>&"\u2028', 'abc');
    set(
      'many',
      'user.binary',
      Uint8Array.from({ length: 256 }, (_, i) => i),
    );
    set('many', 'user.long', 'v'.repeat(1500));
    for (let i = 0; i < 40; i++) set('many', `user.number ${(i * 7) % 40}`, String(i));
    set('dir', 'user.dir', 'on a directory');
    set(
      'acl',
      'system.posix_acl_access',
      acl([
        [1, 6],
        [2, 4, 12_345],
        [4, 4],
        [16, 6],
        [32, 0],
      ]),
    );
    set(
      'dir',
      'system.posix_acl_default',
      acl([
        [1, 7],
        [4, 5],
        [8, 7, 54_321],
        [16, 7],
        [32, 5],
      ]),
    );
  }

  ofRoot(): void {
    this.dir('root');
    chownSync(this.#file('root/unknown owner', 'x'), 12_345, 54_321);
    chownSync(this.#file('root/largest ids', 'x'), 4_294_967_294, 4_294_967_294);
    chownSync(this.#file('root/daemon', 'x'), 1, 1);
    symlinkSync('target', this.#at('root/symlink'));
    lchownSync(this.#at('root/symlink'), 12_345, 1);
    this.others += 1;
    const node = (name: string, mode: number, device: number): void => {
      if (this.#native.makeNode === undefined) return;
      this.#native.makeNode(`${this.#root}/root/${name}`, mode, device);
      this.others += 1;
    };
    node('fifo', 0o010640, 0);
    node('null', 0o020666, 259);
    node('block', 0o060640, 286_327_664);
    node('zero device', 0o020600, 0);
    this.#file('root/trusted', 'x');
    this.#native.setXattr(`${this.#root}/root/trusted`, 'trusted.secret', Buffer.from('root sees it'));
    this.#file('root/capable', 'x');
    const capNetRaw = Buffer.from('0100000200200000000000000000000000000000', 'hex');
    this.#native.setXattr(`${this.#root}/root/capable`, 'security.capability', capNetRaw);
    this.#native.setXattr(`${this.#root}/root/symlink`, 'trusted.on.symlink', Buffer.from('x'));
  }

  /** Which backups pass over. A socket outlives the server only if the server is killed, so it listens on. */
  async socket(): Promise<void> {
    this.dir('socket');
    const server = createServer().unref();
    // The limit for the path of a socket is 108 bytes.
    const here = process.cwd();
    process.chdir(`${this.#root}/socket`);
    try {
      server.listen('s');
      await once(server, 'listening');
    } finally {
      process.chdir(here);
    }
  }
}

function both(seconds: number, nanoseconds: number): [Instant, Instant] {
  // Another access time than modification time: it must not get into the tree.
  return [
    { seconds: 1_600_000_000, nanoseconds: 1 },
    { seconds, nanoseconds },
  ];
}

interface Instant {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** A POSIX ACL as the kernel keeps it (<linux/posix_acl_xattr.h>): version 2, then tag, permissions and id of each entry. */
function acl(entries: readonly (readonly [tag: number, permissions: number, id?: number])[]): Buffer {
  const buffer = Buffer.alloc(4 + entries.length * 8);
  buffer.writeUInt32LE(2, 0);
  for (const [i, [tag, permissions, id = 0xffff_ffff]] of entries.entries()) {
    buffer.writeUInt16LE(tag, 4 + i * 8);
    buffer.writeUInt16LE(permissions, 6 + i * 8);
    buffer.writeUInt32LE(id, 8 + i * 8);
  }
  return buffer;
}
