/** Trees by chance, stored without being on any disk. */
import { compareNames, encodeTree } from '@restic-engine/repo-format';
import type { Upload } from '@restic-engine/repository';
import type { Id, Node, NodeType, Timestamp } from 'restic-engine';
import { pick } from './random.ts';
import type { Random } from './random.ts';
import { TRAP_NAMES } from './trap-tree.ts';

/** Go's bits of each type (its package `io/fs`, "FileMode"). */
const TYPE_BITS = {
  file: 0, dir: 2 ** 31, symlink: 2 ** 27, dev: 2 ** 26, chardev: 2 ** 26 + 2 ** 21, fifo: 2 ** 25, socket: 2 ** 24,
  irregular: 2 ** 19,
} as const satisfies Record<NodeType, number>; // biome-ignore format: a list
const OTHERS = ['symlink', 'symlink', 'dev', 'chardev', 'fifo', 'socket'] as const;
const STEMS = [
  'a',
  'b',
  'report',
  'Report',
  'data',
  'x',
  'ä',
  'log',
  'src',
  '日本',
  '.hidden',
  'a b',
  '-r',
  '#1',
] as const;
const ENDS = ['', '', '.txt', '.TXT', '.tar.gz', '.log', '.', '~', '-1', '0'] as const;
const TIMES = [
  '2024-02-29T23:59:59Z', '1970-01-01T00:00:00Z', '1969-12-31T23:59:59.999999999Z', '0001-01-01T00:00:00Z',
  '9999-12-31T23:59:59.5Z', '1901-12-13T20:45:52+00:53', '2024-03-31T02:59:59.1+01:00', '2024-03-31T03:00:00+02:00',
  '2024-10-27T02:30:00+01:00', '2024-10-27T02:30:00+02:00', '2016-12-31T23:59:59.123456789-12:00',
] as const; // biome-ignore format: a list

interface Item {
  readonly node: Node;
  /** Of a file. */
  readonly content?: readonly Uint8Array[] | undefined;
  /** Of a directory. */
  readonly folder?: Folder | undefined;
}

/** A directory, and its tree as it was stored unless it has changed since. */
interface Folder {
  readonly items: Map<string, Item>;
  saved: Id | undefined;
}

function randomTime(random: Random, isOdd: boolean): Timestamp {
  if (random.int(3) === 0) return pick(random, TIMES);
  const two = (below: number, from = 0): string => String(from + random.int(below)).padStart(2, '0');
  const day = `${2000 + random.int(26)}-${two(12, 1)}-${two(28, 1)}`;
  const fraction = pick(random, ['', '', '.5', isOdd ? '.250' : '.25', '.000000001', '.123456789']);
  return `${day}T${two(24)}:${two(60)}:${two(60)}${fraction}${pick(random, ['Z', isOdd ? '+00:00' : 'Z', '+01:00', '-05:00', '+05:45'])}`;
}

/** A folder that changes by chance. */
export class RandomTree {
  readonly #random: Random;
  readonly #isOdd: boolean;
  readonly #root: Folder = { items: new Map(), saved: undefined };
  readonly #contents: Uint8Array[] = [];
  /** Files that others may be hard links to. */
  readonly #linkable: Item[] = [];

  /** @param isOdd also what `check` complains of, nodes without a type, and what `rewrite` refuses, times not as Go writes them */
  constructor(random: Random, isOdd: boolean) {
    this.#random = random;
    this.#isOdd = isOdd;
    for (let i = 0; i < 12; i++) put(this.#root, this.#name(), this.#make(0));
  }

  /** Makes, changes, moves, replaces or removes something. */
  change(): void {
    const { folder, depth } = this.#enter();
    const known = [...folder.items.keys()];
    const at = pick(this.#random, ['', ...known]);
    const item = folder.items.get(at);
    // A folder that has got large shrinks.
    const kind = this.#random.int(known.length > 12 ? 8 : 6);
    if (item === undefined || kind < 2) put(folder, this.#name(), this.#make(depth));
    else if (kind < 4) put(folder, at, this.#alter(item));
    else if (kind === 4) {
      folder.items.delete(at);
      put(this.#enter().folder, this.#random.int(2) === 0 ? at : this.#name(), item);
    } else if (this.#random.int(2) === 0) put(folder, at, this.#make(depth));
    else folder.items.delete(at);
  }

  /** Stores what the folder holds now; resolves with the id of the tree. */
  save(upload: Upload): Promise<Id> {
    return save(upload, this.#root);
  }

  /** Number of files, and bytes in them. */
  totals(): { files: number; bytes: number } {
    return totalsOf(this.#root);
  }

  /** Every path there is now, with a leading `/`. */
  paths(): string[] {
    return pathsOf(this.#root, '');
  }

  #name(): string {
    const random = this.#random;
    return random.int(6) === 0 ? pick(random, TRAP_NAMES) : pick(random, STEMS) + pick(random, ENDS);
  }

  #make(depth: number): Item {
    const kind = this.#random.int(5);
    if (kind < 3) return this.#makeFile();
    return kind === 3 ? this.#makeOther() : this.#makeFolder(depth);
  }

  #makeFile(): Item {
    const random = this.#random;
    const first = this.#linkable[random.int(this.#linkable.length * 8 + 1)];
    if (first !== undefined) return { ...first, node: { ...first.node, links: 2 } };
    const content = Array.from({ length: pick(random, [0, 1, 1, 1, 2, 3, 9]) }, () => this.#blob());
    const size = content.reduce((sum, part) => sum + part.length, 0);
    const node = { name: '', ...this.#metadata('file'), size, links: 1 + random.int(2), content: [] };
    this.#linkable.push({ node, content });
    return { node, content };
  }

  #blob(): Uint8Array {
    const random = this.#random;
    const known = this.#contents[random.int(this.#contents.length * 2 + 1)];
    if (known !== undefined) return known;
    // Some that compress, some that do not.
    const length = 1 + random.int(3000);
    const bytes = random.int(2) === 0 ? random.bytes(length) : Buffer.alloc(length, random.int(250));
    this.#contents.push(bytes);
    return bytes;
  }

  #makeOther(): Item {
    const random = this.#random;
    const type = pick<NodeType>(random, this.#isOdd ? [...OTHERS, 'irregular'] : OTHERS);
    const isDevice = type === 'dev' || type === 'chardev';
    const base: Node = { name: '', ...this.#metadata(type), content: null };
    if (type === 'symlink') {
      const linkTarget = pick(random, ['../away', '/etc/passwd', 'ü\u2028<', pick(random, TRAP_NAMES)]);
      return { node: { ...base, links: 1, linkTarget } };
    }
    return { node: { ...base, ...(isDevice && { device: random.int(1e9), links: 1 }) } };
  }

  #makeFolder(depth: number): Item {
    const folder: Folder = { items: new Map(), saved: undefined };
    for (let left = this.#random.int(5); left > 0 && depth < 5; left--)
      put(folder, this.#name(), this.#make(depth + 1));
    return { node: { name: '', ...this.#metadata('dir'), content: null }, folder };
  }

  #metadata(type: NodeType): Omit<Node, 'name' | 'content'> {
    const random = this.#random;
    const mtime = randomTime(random, this.#isOdd);
    const isRare = random.int(8) === 0;
    return {
      type,
      mode: TYPE_BITS[type] + (isRare ? random.int(512) + pick(random, [0, 2 ** 23, 2 ** 22, 2 ** 20]) : 0o644),
      mtime,
      atime: isRare ? randomTime(random, this.#isOdd) : mtime,
      ctime: isRare ? randomTime(random, this.#isOdd) : mtime,
      uid: pick(random, [0, 0, 1000, 100_000, 4_294_967_294]),
      gid: pick(random, [0, 100, 1000]),
      user: pick(random, ['root', 'me', '', 'ü<&>']),
      group: pick(random, ['root', '']),
      inode: pick(random, [0, 1 + random.int(1e6), 1 + random.int(1e6), 2n ** 63n + BigInt(random.int(100))]),
      deviceId: pick(random, [0, 64_768, 64_768, 2n ** 64n - 3n]),
      ...(random.int(6) === 0 && {
        extendedAttributes: ['user.a', 'user.ü', 'security.x'].slice(random.int(3)).map((name) => ({
          name,
          value: random.int(5) === 0 ? null : random.bytes(random.int(9)),
        })),
      }),
      ...(random.int(25) === 0 && { error: 'lstat: <gone>' }),
    };
  }

  #alter({ node, content, folder }: Item): Item {
    const other = this.#metadata(node.type);
    switch (this.#random.int(3)) {
      case 0:
        // The content alone, as from a disk that decays.
        return { node, folder, content: content?.map((part) => this.#random.bytes(part.length)) };
      case 1:
        return { node: { ...node, ...other }, content, folder };
      default:
        return { node: { ...node, mtime: other.mtime, mode: other.mode }, content, folder };
    }
  }

  /** A folder by chance; all on the way to it count as changed. */
  #enter(): { folder: Folder; depth: number } {
    let folder = this.#root;
    for (let depth = 0; ; depth++) {
      folder.saved = undefined;
      const below = [...folder.items.values()].flatMap((item) => item.folder ?? []);
      const next = this.#random.int(4) === 0 ? undefined : below[this.#random.int(below.length)];
      if (next === undefined) return { folder, depth };
      folder = next;
    }
  }
}

function put(folder: Folder, name: string, item: Item): void {
  folder.items.set(name, { ...item, node: { ...item.node, name } });
}

async function save(upload: Upload, folder: Folder): Promise<Id> {
  if (folder.saved !== undefined) return folder.saved;
  const nodes: Node[] = [];
  for (const { node, content, folder: below } of folder.items.values()) {
    if (below !== undefined) nodes.push({ ...node, subtree: await save(upload, below) });
    else if (content === undefined) nodes.push(node);
    else {
      const ids: Id[] = [];
      for (const part of content) ids.push((await upload.save('data', part)).id);
      nodes.push({ ...node, content: ids });
    }
  }
  const { id } = await upload.save('tree', encodeTree(nodes.toSorted((a, b) => compareNames(a.name, b.name))));
  folder.saved = id;
  return id;
}

function totalsOf(folder: Folder): { files: number; bytes: number } {
  const totals = { files: 0, bytes: 0 };
  for (const { node, folder: below } of folder.items.values()) {
    const inside = below === undefined ? { files: node.type === 'file' ? 1 : 0, bytes: 0 } : totalsOf(below);
    totals.files += inside.files;
    totals.bytes += inside.bytes + Number(node.size ?? 0);
  }
  return totals;
}

function pathsOf(folder: Folder, parent: string): string[] {
  return [...folder.items].flatMap(([key, { folder: below }]) => {
    const path = `${parent}/${key}`;
    return below === undefined ? [path] : [path, ...pathsOf(below, path)];
  });
}
