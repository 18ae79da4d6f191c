/**
 * What a worker does with content: read, cut, hash, ask which blobs are new, compress and seal those.
 * Bytes of files stay in the worker that read them; only ids leave it, and sealed blobs.
 */
import { fastcdc, parsePolynomial, rabin, RESTIC_SIZES } from '@restic-engine/chunker';
import type { Cutter, FastCdcOptions } from '@restic-engine/chunker';
import { EngineError, entryBytes, sha256 } from '@restic-engine/repo-format';
import type { Code, Id, SealedBlob } from '@restic-engine/repo-format';
import { codecFor, sealedBatch, sealingRoom, task } from '@restic-engine/repository';
import type { CodecSpec, Outcome, Task, TaskContext } from '@restic-engine/repository';
import { readShortFile, readWindow } from '../source/fs/read.ts';

/** Bytes that are cut at a time: room for the longest chunk. What follows the last cut is read again, 5 to 10 %. */
export const WINDOW_BYTES: number = RESTIC_SIZES.maxSize;

/** How contents are cut: with Rabin by the polynomial of the config (hex digits), or with FastCDC. */
export type ChunkerSpec = { readonly polynomial: string } | FastCdcOptions;

export interface StoreContext {
  readonly codec: CodecSpec;
  readonly chunker: ChunkerSpec;
}

/** Which of these data blobs are new? Answered in order; every new one is stored by the asking task. */
export type WhichAreNew = { readonly ids: readonly Id[] };

/** A stored file: its blobs in order, and the bytes that were new in it, plain and as sealed. */
export interface StoredContent {
  readonly ids: readonly Id[];
  readonly size: number;
  readonly added: number;
  readonly stored: number;
}

export interface FailedContent {
  readonly code: Code;
  readonly message: string;
}

/** A file that is longer than a window now goes by windows. */
export type FileOutcome = StoredContent | { readonly failed: FailedContent } | { readonly tooLong: true };

export interface StoreFilesInput extends StoreContext {
  /** Paths of files that were short when they were listed. */
  readonly paths: readonly string[];
  /** Bytes of all of them, then. */
  readonly bytes: number;
}

export interface StoreBuffersInput extends StoreContext {
  /** Whole contents, each at most a window long. */
  readonly buffers: readonly Uint8Array[];
}

export interface StoredBatch<T> {
  readonly outcomes: readonly T[];
  readonly sealed: readonly SealedBlob[];
}

/** A stretch of a longer content: of an open file from `position` on, or bytes, given away, that begin where a chunk begins. */
export interface StoreWindowInput extends StoreContext {
  readonly from:
    | { readonly fd: number; readonly position: number }
    | { readonly bytes: Uint8Array<ArrayBuffer>; readonly final: boolean };
}

/** Asked once for each window: where the next one begins is known before this one is sealed. */
export interface WindowScan extends WhichAreNew {
  /** Bytes up to the last cut. */
  readonly length: number;
  /** Nothing comes after this window. */
  readonly final: boolean;
  /** The bytes after the last cut, when the window came as bytes. */
  readonly rest: Uint8Array<ArrayBuffer> | undefined;
}

/** Short files of a directory tree, several in one message. A file that fails is an outcome; the others go on. */
export const storeFiles: Task<StoreFilesInput, StoredBatch<FileOutcome>, WhichAreNew, boolean[]> = task(
  import.meta.url,
  'storeFiles',
  async (input, context) => {
    const batch = await Batch.open(input);
    const room = takeRoom(input.bytes);
    let used = 0;
    const read = (path: string): Uint8Array | undefined => {
      const bytes = readShortFile(path, WINDOW_BYTES, room.subarray(used));
      if (bytes?.buffer === room.buffer) used += bytes.length;
      return bytes;
    };
    try {
      return await batch.finish(
        input.paths.map((path) => attempt(() => read(path), batch)),
        context,
      );
    } finally {
      rooms.push(room);
    }
  },
);

/** Contents that are in memory already. */
export const storeBuffers: Task<StoreBuffersInput, StoredBatch<StoredContent>, WhichAreNew, boolean[]> = task(
  import.meta.url,
  'storeBuffers',
  async (input, context) => {
    const batch = await Batch.open(input);
    return batch.finish(
      input.buffers.map((buffer) => batch.take(buffer)),
      context,
    );
  },
);

/** One window of a long content. */
export const storeWindow: Task<StoreWindowInput, StoredBatch<StoredContent>, WindowScan, boolean[]> = task(
  import.meta.url,
  'storeWindow',
  async (input, context) => {
    const { from } = input;
    const own = 'fd' in from ? takeWindow() : undefined;
    try {
      const { bytes, final } = own === undefined ? given(from) : filled(from, own);
      const batch = await Batch.open(input);
      const outcome = batch.cut(bytes, final);
      const rest = own === undefined && !final ? bytes.slice(outcome.size) : undefined;
      return await batch.finish([outcome], {
        ask: ({ ids }) =>
          context.ask({ ids, length: outcome.size, final, rest }, rest === undefined ? [] : [rest.buffer]),
      });
    } finally {
      if (own !== undefined) windows.push(own);
      // Bytes that came with the task are its own; the collector would be late.
      if ('bytes' in from) from.bytes.buffer.transfer(0);
    }
  },
);

type Window = { readonly bytes: Uint8Array; readonly final: boolean };

function given(from: StoreWindowInput['from']): Window {
  if ('fd' in from) throw new TypeError('a window of a file is read, not given');
  return from;
}

function filled(from: StoreWindowInput['from'], window: Uint8Array): Window {
  if (!('fd' in from)) return from;
  const bytes = readWindow(from.fd, from.position, window);
  return { bytes, final: bytes.length < window.length };
}

/** Contents that are cut and hashed, waiting for the answer which blobs are new. */
class Batch {
  readonly #codec: CodecSpec;
  readonly #cutter: Cutter;
  readonly #plains: Uint8Array[] = [];
  readonly #ids: Id[] = [];

  private constructor(codec: CodecSpec, cutter: Cutter) {
    this.#codec = codec;
    this.#cutter = cutter;
  }

  static async open({ codec, chunker }: StoreContext): Promise<Batch> {
    return new Batch(codec, await cutterFor(chunker));
  }

  /** Takes a whole content. */
  take(bytes: Uint8Array): MutableContent {
    return this.cut(bytes, true);
  }

  /** Takes the chunks that end inside `bytes`; its `size` tells how far they reach. */
  cut(bytes: Uint8Array, final: boolean): MutableContent {
    const first = this.#ids.length;
    let start = 0;
    for (const end of this.#ends(bytes, final)) {
      const chunk = bytes.subarray(start, end);
      this.#plains.push(chunk);
      this.#ids.push(sha256(chunk));
      start = end;
    }
    return { ids: this.#ids.slice(first), size: start, added: 0, stored: 0, first };
  }

  /** What is shorter than the shortest chunk is one chunk; the chunker need not look at it. */
  #ends(bytes: Uint8Array, final: boolean): readonly number[] {
    if (final && bytes.length <= this.#cutter.minSize) return bytes.length === 0 ? [] : [bytes.length];
    return this.#cutter.cuts(bytes, final);
  }

  async finish<T extends FileOutcome | MutableContent>(
    outcomes: readonly T[],
    context: TaskContext<WhichAreNew, boolean[]>,
  ): Promise<Outcome<StoredBatch<T>>> {
    const isNew = await context.ask({ ids: this.#ids });
    const { seal } = codecFor(this.#codec);
    const room = sealingRoom();
    const sealed = this.#plains.map((plain, i) =>
      isNew[i] === true ? seal('data', plain, this.#ids[i], room) : undefined,
    );
    for (const outcome of outcomes) {
      if ('first' in outcome) account(outcome, this.#plains, sealed);
    }
    const { blobs, buffers } = sealedBatch(sealed.filter((blob) => blob !== undefined));
    return { value: { outcomes, sealed: blobs }, transfer: buffers };
  }
}

interface MutableContent extends StoredContent {
  added: number;
  stored: number;
  /** Number of its first blob in the batch. */
  readonly first: number;
}

function account(
  content: MutableContent,
  plains: readonly Uint8Array[],
  sealed: readonly (SealedBlob | undefined)[],
): void {
  for (let i = content.first; i < content.first + content.ids.length; i++) {
    const blob = sealed[i];
    if (blob === undefined) continue;
    content.added += plains[i]?.length ?? 0;
    content.stored += blob.bytes.length + entryBytes(blob);
  }
}

function attempt(read: () => Uint8Array | undefined, batch: Batch): FileOutcome | MutableContent {
  try {
    const bytes = read();
    return bytes === undefined ? { tooLong: true } : batch.take(bytes);
  } catch (error) {
    if (!EngineError.is(error)) throw error;
    return { failed: { code: error.code, message: error.message } };
  }
}

/** Window buffers of this thread that are not in use. */
const windows: Uint8Array<ArrayBuffer>[] = [];

function takeWindow(): Uint8Array<ArrayBuffer> {
  return windows.pop() ?? new Uint8Array(WINDOW_BYTES);
}

/** Memory of this thread for the files of a batch that is not in use: a buffer for each file keeps the collector busy. */
const rooms: Uint8Array<ArrayBuffer>[] = [];
const ROOM_STEP_BYTES = 256 * 1024;

/** More than `bytes`: one byte more shows that a file ends where it should. */
function takeRoom(bytes: number): Uint8Array<ArrayBuffer> {
  const found = rooms.findIndex(({ length }) => length > bytes);
  const [room] = found < 0 ? [] : rooms.splice(found, 1);
  return room ?? new Uint8Array((Math.floor(bytes / ROOM_STEP_BYTES) + 1) * ROOM_STEP_BYTES);
}

const cutters = new Map<string, Promise<Cutter>>();

/** Cutters hold tables that take a while to make: one for each chunker and thread. */
function cutterFor(chunker: ChunkerSpec): Promise<Cutter> {
  const key = JSON.stringify(chunker);
  let cutter = cutters.get(key);
  if (cutter === undefined) {
    if (cutters.size >= 8) cutters.clear();
    cutters.set(key, (cutter = makeCutter(chunker)));
  }
  return cutter;
}

async function makeCutter(chunker: ChunkerSpec): Promise<Cutter> {
  if (!('polynomial' in chunker)) return fastcdc(chunker);
  return rabin({ ...RESTIC_SIZES, polynomial: parsePolynomial(chunker.polynomial) });
}
