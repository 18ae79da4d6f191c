/** Snapshots as zip archives, written from front to back. */
import { promisify } from 'node:util';
import { crc32, deflateRaw } from 'node:zlib';
import { EngineError, pathToBytes } from '@restic-engine/repo-format';
import type { Id, Node } from '@restic-engine/repo-format';
import type { IndexedRepository } from '@restic-engine/repository';
import { contentLength, readFile } from '../walk.ts';
import { walkForArchive } from './entries.ts';
import type { ArchiveEntry, PackOptions } from './entries.ts';
import { DEFLATED, descriptor, directoryEnd, directoryHeader, isLarge, localHeader, STORED } from './zip-records.ts';
import type { ZipContent, ZipEntry } from './zip-records.ts';

/** Contents up to this length are deflated in one call, which takes less than setting up a stream. */
const AT_ONCE = 1 << 20;
/** Headers of the directory are joined into pieces of this many bytes: one object each would take more than they do. */
const PIECE = 1 << 16;
/** The length of a name has 16 bits. */
const LONGEST_NAME = 2 ** 16 - 1;

const deflateAtOnce = promisify<Uint8Array, Uint8Array>(deflateRaw);

/**
 * Files, directories and symbolic links below a tree as a zip archive, in the order of `walk`, as `restic dump --archive zip` has it: contents
 * deflated, symbolic links as entries that hold their target, modes of Unix, times in whole seconds, names as the bytes
 * they are. Hard links become files of their own; owners and extended attributes are not kept. Memory grows by about 80
 * bytes and the name for each entry: the directory of an archive is at its end.
 * Chunks belong to the reader. Rejects in the middle with `not-found` and `corrupt` for what cannot be read, `corrupt`
 * also for names that lead out of their directory, `too-large` for paths of more than 65,535 bytes, `aborted`.
 */
export async function* packZip(
  repository: IndexedRepository,
  tree: Id,
  options: PackOptions = {},
): AsyncGenerator<Uint8Array> {
  const directory = new Directory();
  let position = 0;
  for await (const found of walkForArchive(repository, tree, options)) {
    for await (const chunk of packEntry(repository, found, position, directory, options)) {
      position += chunk.length;
      yield chunk;
    }
  }
  yield* directory.pieces;
  yield directoryEnd(directory.entries, position, directory.length);
}

async function* packEntry(
  repository: IndexedRepository,
  { name, node }: ArchiveEntry,
  offset: number,
  directory: Directory,
  options: PackOptions,
): AsyncGenerator<Uint8Array> {
  if (name.length > LONGEST_NAME) {
    throw new EngineError('too-large', 'a path is too long for a zip archive', { bytes: name.length });
  }
  // What the blobs have counts: a file may have changed its size while it was read.
  const size = node.type === 'file' ? contentLength(repository, node) : 0;
  const method = node.type === 'file' ? DEFLATED : STORED;
  const entry: ZipEntry = { name, node, method, offset, large: isLarge(size) };
  yield localHeader(entry);
  const counted = { crc: 0, packed: 0, plain: 0 };
  for await (const chunk of packedContent(repository, node, size, counted, options)) {
    counted.packed += chunk.length;
    yield chunk;
  }
  if (node.type !== 'dir') yield descriptor(entry, counted);
  directory.add(entry, counted);
}

type Counted = { -readonly [key in keyof ZipContent]: number };

async function* packedContent(
  repository: IndexedRepository,
  node: Node,
  size: number,
  counted: Counted,
  { signal }: PackOptions,
): AsyncGenerator<Uint8Array> {
  if (node.type === 'symlink') {
    yield* counting([pathToBytes(node.linkTarget ?? '')], counted);
    return;
  }
  if (node.type === 'dir') return;
  const plain = counting(readFile(repository, node, { signal }), counted);
  if (size <= AT_ONCE) {
    yield await deflateAtOnce(Buffer.concat(await Array.fromAsync(plain)));
    return;
  }
  yield* ReadableStream.from(plain).pipeThrough(new CompressionStream('deflate-raw'));
}

async function* counting(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  counted: Counted,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    counted.crc = crc32(chunk, counted.crc);
    counted.plain += chunk.length;
    yield chunk;
  }
}

/** The central directory as far as it is known. */
class Directory {
  /** Headers in a row, several to a piece. */
  readonly pieces: Uint8Array[] = [];
  entries = 0;
  /** Bytes. */
  length = 0;
  #room: Uint8Array = new Uint8Array(0);

  add(entry: ZipEntry, content: ZipContent): void {
    const header = directoryHeader(entry, content);
    this.entries += 1;
    this.length += header.length;
    const last = this.pieces.at(-1);
    if (last === undefined || header.length > this.#room.length) {
      const piece = new Uint8Array(Math.max(PIECE, header.length));
      this.#start(piece, header);
      return;
    }
    this.#room.set(header);
    this.#room = this.#room.subarray(header.length);
    this.pieces[this.pieces.length - 1] = new Uint8Array(last.buffer, 0, last.length + header.length);
  }

  #start(piece: Uint8Array<ArrayBuffer>, header: Uint8Array): void {
    piece.set(header);
    this.pieces.push(piece.subarray(0, header.length));
    this.#room = piece.subarray(header.length);
  }
}
