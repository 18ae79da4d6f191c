import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type {
  Backend,
  BackendTraits,
  ByteRange,
  Call,
  FileHandle,
  FileType,
  ListedFile,
} from '@restic-engine/repo-format';
import { filePath } from './layout.ts';

/** What a {@link memoryBackend} pretends to be; by default it can do everything. */
export interface MemoryOptions {
  /** Default 2. */
  readonly connections?: number;
  /** `false`: saving over an existing name rejects with `already-exists`. Default true. */
  readonly atomicReplace?: boolean;
  /** `false`: removing anything but a lock rejects with `denied`, as append-only servers do. Default true. */
  readonly canRemove?: boolean;
}

/**
 * A repository place in the memory of this process, for tests and short-lived repositories.
 * Disposing of it does nothing: its files live as long as the object does.
 */
export function memoryBackend(options: MemoryOptions = {}): Backend {
  const { connections = 2, atomicReplace = true, canRemove = true } = options;
  return new MemoryBackend({ connections, atomicReplace, listAfterWrite: true, canRemove });
}

class MemoryBackend implements Backend {
  readonly location = 'memory';
  readonly traits: BackendTraits;
  readonly #files = new Map<string, { readonly type: FileType; readonly name: string; readonly bytes: Uint8Array }>();

  constructor(traits: BackendTraits) {
    this.traits = traits;
  }

  async create(call?: Call): Promise<void> {
    await turn(call);
  }

  async save(file: FileHandle, segments: readonly Uint8Array[], call?: Call): Promise<void> {
    await turn(call);
    const path = filePath(file);
    if (!this.traits.atomicReplace && this.#files.has(path)) {
      throw new EngineError('already-exists', `${path} exists already`, { file: path });
    }
    const { type, name } = file;
    this.#files.set(path, { type, name, bytes: concatenate(segments) });
  }

  async load(file: FileHandle, range?: ByteRange, call?: Call): Promise<Uint8Array<ArrayBuffer>> {
    await turn(call);
    const bytes = this.#find(file);
    if (range === undefined) return new Uint8Array(bytes);
    const { offset, length } = range;
    if (offset + length > bytes.length) {
      const context = { file: filePath(file), offset, length, size: bytes.length };
      throw new EngineError('out-of-range', `${filePath(file)} is shorter than expected`, context);
    }
    return new Uint8Array(bytes.subarray(offset, offset + length));
  }

  async stat(file: FileHandle, call?: Call): Promise<{ readonly size: number }> {
    await turn(call);
    return { size: this.#find(file).length };
  }

  async *list(type: FileType, call?: Call): AsyncGenerator<ListedFile> {
    await turn(call);
    if (type === 'config') return;
    const files = [...this.#files.values()].filter((file) => file.type === type);
    for (const { name, bytes } of files) {
      throwIfAborted(call?.signal);
      yield { name, size: bytes.length };
    }
  }

  async remove(file: FileHandle, call?: Call): Promise<void> {
    await turn(call);
    const path = filePath(file);
    if (!this.traits.canRemove && file.type !== 'lock') {
      throw new EngineError('denied', 'this place is append-only', { file: path });
    }
    this.#files.delete(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #find(file: FileHandle): Uint8Array {
    const found = this.#files.get(filePath(file));
    if (found === undefined) {
      throw new EngineError('not-found', `${filePath(file)} does not exist`, { file: filePath(file) });
    }
    return found.bytes;
  }
}

/** Makes every call asynchronous, as those of a real store are, so that an abort can hit it while it runs. */
async function turn(call: Call | undefined): Promise<void> {
  throwIfAborted(call?.signal);
  await Promise.resolve();
  throwIfAborted(call?.signal);
}

function concatenate(segments: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(segments.reduce((sum, segment) => sum + segment.length, 0));
  let at = 0;
  for (const segment of segments) {
    bytes.set(segment, at);
    at += segment.length;
  }
  return bytes;
}
