/** What tests of restoring share: repositories in memory that hold whatever tree a test describes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareNames, encodeNode, encodeTree, joinTree } from '@restic-engine/repo-format';
import type { Backend, Id, Node, NodeType } from '@restic-engine/repo-format';
import { openRepository, withUpload } from '@restic-engine/repository';
import type { IndexedRepository, Repository, Upload } from '@restic-engine/repository';
import { memoryBackend } from '../../backends/src/index.ts';
import { initRepository } from '../src/init.ts';
import { restoreTree } from '../src/restore/restore-tree.ts';
import type { RestoreTreeOptions, RestoreTreeResult } from '../src/restore/types.ts';
import { makeTempDir } from './temp-dir.ts';
import type { TempDir } from './temp-dir.ts';

const MODES: Record<NodeType, number> = {
  file: 0o644,
  dir: 2 ** 31 + 0o755,
  symlink: 2 ** 27 + 0o777,
  dev: 2 ** 26 + 0o640,
  chardev: 2 ** 26 + 2 ** 21 + 0o640,
  fifo: 2 ** 25 + 0o644,
  socket: 2 ** 24 + 0o755,
  irregular: 2 ** 19,
};

export const MTIME = '2020-02-03T04:05:06.123456789Z';
export const MTIME_NS = 1_580_702_706_123_456_789n;

/** A node to be; `data` are its blobs, `children` its entries in any order. */
export interface Entry extends Partial<Omit<Node, 'content' | 'subtree'>> {
  readonly name: string;
  readonly type: NodeType;
  readonly data?: readonly (string | Uint8Array)[];
  readonly children?: readonly Entry[];
  readonly content?: readonly Id[];
  readonly subtree?: Id;
}

export function file(name: string, ...data: (string | Uint8Array)[]): Entry {
  return { name, type: 'file', data };
}

export function dir(name: string, ...children: Entry[]): Entry {
  return { name, type: 'dir', children };
}

export function symlink(name: string, linkTarget: string): Entry {
  return { name, type: 'symlink', linkTarget };
}

export interface TestRepository extends AsyncDisposable {
  readonly backend: Backend;
  readonly repository: Repository;
  readonly indexed: IndexedRepository;
}

export async function makeRepository(
  options: { readonly backend?: Backend; readonly workers?: number } = {},
): Promise<TestRepository> {
  const { backend = memoryBackend(), workers = 0 } = options;
  await initRepository({ backend, password: 'x', kdf: { N: 16, r: 1, p: 1 }, chunkerPolynomial: '25b468838dcb75' });
  const repository = await openRepository({ backend, password: 'x', workers });
  return {
    backend,
    repository,
    indexed: await repository.loadIndex(),
    [Symbol.asyncDispose]: () => repository[Symbol.asyncDispose](),
  };
}

/** Stores a tree and everything below it. `raw`: names may repeat, be out of order, or be none at all. */
export async function storeTree(indexed: IndexedRepository, entries: readonly Entry[], raw = false): Promise<Id> {
  return withUpload(indexed, {}, (upload) => saveTree(upload, entries, raw));
}

async function saveTree(upload: Upload, entries: readonly Entry[], raw: boolean): Promise<Id> {
  const nodes: Node[] = [];
  for (const entry of entries) nodes.push(await saveNode(upload, entry, raw));
  const bytes = raw
    ? joinTree(nodes.map((node) => encodeNode(node)))
    : encodeTree(nodes.sort((a, b) => compareNames(a.name, b.name)));
  return (await upload.save('tree', bytes)).id;
}

async function saveNode(upload: Upload, entry: Entry, raw: boolean): Promise<Node> {
  const { data = [], children, ...fields } = entry;
  const content: Id[] = [];
  let size = 0;
  for (const blob of data) {
    const bytes = typeof blob === 'string' ? new TextEncoder().encode(blob) : blob;
    content.push((await upload.save('data', bytes)).id);
    size += bytes.length;
  }
  const isFile = entry.type === 'file';
  return {
    mode: MODES[entry.type],
    mtime: MTIME,
    atime: MTIME,
    ctime: MTIME,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    ...(isFile ? { size, links: 1 } : {}),
    ...fields,
    content: isFile ? (entry.content ?? content) : null,
    ...(children === undefined ? {} : { subtree: await saveTree(upload, children, raw) }),
  };
}

export interface Fixture extends AsyncDisposable {
  readonly repo: TestRepository;
  readonly temp: TempDir;
  readonly target: string;
  readonly tree: Id;
  restore(options?: Partial<RestoreTreeOptions>): Promise<RestoreTreeResult>;
  read(path: string): string;
}

/** A repository in memory with one tree, and a directory to restore it into. */
export async function fixture(
  entries: readonly Entry[],
  options: { readonly workers?: number } = {},
): Promise<Fixture> {
  const repo = await makeRepository(options);
  const temp = makeTempDir();
  const target = join(temp.path, 'target');
  const tree = await storeTree(repo.indexed, entries);
  return {
    repo,
    temp,
    target,
    tree,
    restore: (more = {}) => restoreTree(repo.indexed, tree, { target, ...more }),
    read: (path) => readFileSync(join(target, path), 'utf8'),
    async [Symbol.asyncDispose]() {
      temp[Symbol.dispose]();
      await repo[Symbol.asyncDispose]();
    },
  };
}

/** Bytes that no two seeds share and that do not compress. */
export function noise(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed + 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}
