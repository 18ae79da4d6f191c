/** Reading files of the target again: which blobs are in place already, and is a restored file what it must be? */
import { closeSync, fstatSync } from 'node:fs';
import { EngineError, sha256 } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import { task } from '@restic-engine/repository';
import type { Task } from '@restic-engine/repository';
import { openForReading, readFully } from './files.ts';
import { Folders } from './folders.ts';
import { plainError, stopped } from './session.ts';
import type { PlainError, SinkSpec } from './session.ts';

/** A run of the blobs of a file. */
export interface Stretch {
  readonly folder: string;
  readonly path: string;
  readonly name: string;
  /** Where the first blob begins, in bytes. */
  readonly offset: number;
  readonly ids: readonly Id[];
  /** Plain bytes of each. */
  readonly lengths: readonly number[];
  /** Bytes the file must have; undefined if that does not matter. */
  readonly size?: number | undefined;
}

export interface CompareInput {
  readonly sink: SinkSpec;
  readonly stretches: readonly Stretch[];
}

export interface Compared {
  /** 1 for each blob in place. */
  readonly matches: Uint8Array;
  /** The file is missing, no file, of another size, or cannot be read. */
  readonly error?: PlainError | undefined;
}

/** Compares stretches of files with the blobs that belong there. A blob that is not in place is no error. */
export const compareStretches: Task<CompareInput, Compared[]> = task(import.meta.url, 'compareStretches', (input) => {
  const folders = new Folders(input.sink.target);
  const scratch = new Scratch();
  try {
    return { value: input.stretches.map((stretch) => compare(stretch, folders, scratch, input.sink)) };
  } finally {
    folders.close();
  }
});

/** A buffer that is used for one blob after the other. */
class Scratch {
  #bytes = new Uint8Array(1 << 20);

  take(length: number): Uint8Array {
    if (length > this.#bytes.length) this.#bytes = new Uint8Array(length);
    return this.#bytes.subarray(0, length);
  }
}

function compare(stretch: Stretch, folders: Folders, scratch: Scratch, sink: SinkSpec): Compared {
  const matches = new Uint8Array(stretch.ids.length);
  try {
    const descriptor = openForReading(folders.child(stretch.folder, stretch.name));
    try {
      compareOpen(descriptor, stretch, matches, scratch, sink);
    } finally {
      closeSync(descriptor);
    }
    return { matches };
  } catch (error) {
    return { matches, error: plainError(error, stretch.path) };
  }
}

function compareOpen(
  descriptor: number,
  stretch: Stretch,
  matches: Uint8Array,
  scratch: Scratch,
  sink: SinkSpec,
): void {
  const found = fstatSync(descriptor);
  if (!found.isFile()) throw new EngineError('corrupt', 'not a regular file', {});
  if (stretch.size !== undefined && found.size !== stretch.size) {
    throw new EngineError('corrupt', `the file has ${found.size} bytes instead of ${stretch.size}`, {});
  }
  let offset = stretch.offset;
  for (const [index, id] of stretch.ids.entries()) {
    if (stopped(sink)) return;
    const length = stretch.lengths[index] ?? 0;
    // Lengths come from the index: nothing is allocated for what the file does not hold.
    if (offset + length > found.size) return;
    const bytes = scratch.take(length);
    if (readFully(descriptor, bytes, offset) && sha256(bytes) === id) matches[index] = 1;
    offset += length;
  }
}
