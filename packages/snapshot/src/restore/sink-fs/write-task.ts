/** The content of files: sealed blobs are opened and written where they belong, in a worker. */
import { closeSync } from 'node:fs';
import type { Node } from '@restic-engine/repo-format';
import { EngineError } from '@restic-engine/repo-format';
import { codecFor, task } from '@restic-engine/repository';
import type { BlobLocation, CodecSpec, Task } from '@restic-engine/repository';
import { createFile, openForUpdate, setSizeOrClose, writeFully, writeSparsely } from './files.ts';
import { Folders } from './folders.ts';
import { metadataWriter, newReport, plainError, reporter, stopped } from './session.ts';
import type { PlainError, SinkSpec, TaskReport } from './session.ts';

/** A file that gets content from a task. */
export interface FileWork {
  readonly folder: string;
  readonly name: string;
  /** `create` and `update` as planned; `part`: it is there already, and other tasks write to it too. */
  readonly opening: 'create' | 'update' | 'part';
  /** Bytes in the end; given to files that are updated or have holes. */
  readonly size: number;
  /** Leave out zeros. Only for files that are new. */
  readonly holes: boolean;
  /** Present if this task completes the file: its metadata is then applied. */
  readonly node?: Node | undefined;
}

export interface BlobWork {
  /** All that opening it takes. */
  readonly location: Pick<BlobLocation, 'id' | 'type' | 'offset' | 'length' | 'uncompressedLength'>;
  /** Pairs: an index into `files`, and the offset in that file in bytes. */
  readonly targets: readonly number[];
}

export interface WriteInput {
  readonly sink: SinkSpec;
  readonly files: readonly FileWork[];
  readonly blobs: readonly BlobWork[];
}

export interface SealedInput extends WriteInput {
  readonly codec: CodecSpec;
  /** A part of a pack, and where in the pack it begins. */
  readonly sealed: Uint8Array<ArrayBuffer>;
  readonly start: number;
}

export interface PlainInput extends WriteInput {
  /** The verified bytes of the only blob. */
  readonly plain: Uint8Array;
}

export interface WriteResult extends TaskReport {
  /** Blobs that are not what their ids say: index into `blobs`. Their files are made, but not completed. */
  readonly damaged: { readonly blob: number; readonly error: PlainError }[];
  /** Files that could not be written: index into `files`. */
  readonly failed: { readonly file: number; readonly error: PlainError }[];
}

/** Opens the blobs of one range of a pack and writes them. */
export const writeSealed: Task<SealedInput, WriteResult> = task(import.meta.url, 'writeSealed', (input) => {
  const codec = codecFor(input.codec);
  const value = write(input, ({ location }) => {
    const from = location.offset - input.start;
    return codec.peek(location, input.sealed.subarray(from, from + location.length));
  });
  // Given back at once: the collector would let many megabytes of such buffers pile up in every thread.
  input.sealed.buffer.transfer(0);
  return { value };
});

/** Writes a blob that was opened and verified before. */
export const writePlain: Task<PlainInput, WriteResult> = task(import.meta.url, 'writePlain', (input) => ({
  value: write(input, () => input.plain),
}));

function write(input: WriteInput, plainOf: (blob: BlobWork) => Uint8Array): WriteResult {
  const writer = new Writer(input);
  try {
    for (const [index, blob] of input.blobs.entries()) {
      if (stopped(input.sink)) break;
      writer.writeBlob(index, blob, plainOf);
    }
    writer.finishEmpty();
  } finally {
    writer.close();
  }
  return writer.result;
}

/** Files with more to come are kept open, up to this many. */
const MAX_OPEN = 128;

interface FileState {
  readonly index: number;
  readonly work: FileWork;
  /** Writes to come. */
  left: number;
  descriptor: number | undefined;
  /** It exists: it can be opened again. */
  made: boolean;
  /** A blob is missing. */
  incomplete: boolean;
  failed: boolean;
}

class Writer {
  readonly result: WriteResult = { ...newReport(), damaged: [], failed: [] };
  readonly #sink: SinkSpec;
  readonly #folders: Folders;
  readonly #states: readonly FileState[];
  /** Those that have a descriptor, the longest open first. */
  readonly #open = new Set<FileState>();

  constructor({ files, blobs, sink }: WriteInput) {
    this.#sink = sink;
    this.#folders = new Folders(sink.target);
    this.#states = files.map((work, index) => newState(index, work));
    for (const { targets } of blobs) {
      for (const [state] of this.#targets(targets)) state.left++;
    }
  }

  writeBlob(index: number, blob: BlobWork, plainOf: (blob: BlobWork) => Uint8Array): void {
    let plain: Uint8Array | undefined;
    try {
      plain = plainOf(blob);
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      this.result.damaged.push({ blob: index, error: error.toJSON() });
    }
    for (const [state, offset] of this.#targets(blob.targets)) {
      if (stopped(this.#sink)) return;
      state.left--;
      if (!state.failed) this.#attempt(state, () => this.#writeTo(state, offset, plain));
    }
  }

  /** Files without content. */
  finishEmpty(): void {
    for (const state of this.#states) {
      if (stopped(this.#sink)) return;
      if (state.left === 0 && !state.made && !state.failed) {
        this.#attempt(state, () => {
          this.#descriptor(state);
          this.#finish(state);
        });
      }
    }
  }

  close(): void {
    for (const state of this.#open) this.#close(state);
    this.#folders.close();
  }

  *#targets(targets: readonly number[]): Generator<[state: FileState, offset: number]> {
    for (let at = 0; at < targets.length; at += 2) {
      const state = this.#states[targets[at] ?? -1];
      if (state !== undefined) yield [state, targets[at + 1] ?? 0];
    }
  }

  #attempt(state: FileState, action: () => void): void {
    try {
      action();
    } catch (error) {
      state.failed = true;
      this.#close(state);
      this.result.failed.push({ file: state.index, error: plainError(error, pathOf(state.work)) });
    }
  }

  #writeTo(state: FileState, offset: number, plain: Uint8Array | undefined): void {
    const descriptor = this.#descriptor(state);
    if (plain === undefined) state.incomplete = true;
    else if (state.work.holes) writeSparsely(descriptor, plain, offset);
    else writeFully(descriptor, plain, offset);
    if (state.left === 0) this.#finish(state);
  }

  /** Metadata last: writing would change the times again. */
  #finish(state: FileState): void {
    const { node, folder, name } = state.work;
    if (node !== undefined && !state.incomplete) {
      const writer = metadataWriter(this.#sink);
      const pinned = state.descriptor === undefined ? undefined : this.#folders.pathOf(state.descriptor);
      writer.apply(this.#folders.child(folder, name), node, reporter(this.result, pathOf(state.work)), pinned);
    }
    this.#close(state);
  }

  #descriptor(state: FileState): number {
    if (state.descriptor !== undefined) return state.descriptor;
    for (const oldest of this.#open) {
      if (this.#open.size < MAX_OPEN) break;
      this.#close(oldest);
    }
    const descriptor = this.#openFile(state);
    state.descriptor = descriptor;
    state.made = true;
    this.#open.add(state);
    return descriptor;
  }

  #openFile({ work, made }: FileState): number {
    const path = this.#folders.child(work.folder, work.name);
    if (made || work.opening === 'part') return openForUpdate(path);
    const descriptor = work.opening === 'create' ? createFile(path, this.#sink.recursive) : openForUpdate(path);
    // What is in place may be longer, and what ends with a hole is not written to its end.
    if (work.opening === 'update' || work.holes) setSizeOrClose(descriptor, work.size);
    return descriptor;
  }

  #close(state: FileState): void {
    this.#open.delete(state);
    if (state.descriptor !== undefined) closeSync(state.descriptor);
    state.descriptor = undefined;
  }
}

function pathOf({ folder, name }: FileWork): string {
  return `${folder}/${name}`;
}

function newState(index: number, work: FileWork): FileState {
  return { index, work, left: 0, descriptor: undefined, made: false, incomplete: false, failed: false };
}
