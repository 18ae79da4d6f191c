import { EngineError } from '@restic-engine/repo-format';
import type { Backend, ByteRange, Call, FileHandle, FileType, ListedFile } from '@restic-engine/repo-format';

/** A repository in memory that tells what is asked of it, and fails or waits where a test wants it to. */
export class Store implements Backend {
  readonly location = 'store';
  readonly traits = { connections: 5, atomicReplace: true, listAfterWrite: true, canRemove: true };
  readonly files = new Map<string, Uint8Array>();
  readonly calls: string[] = [];
  created = 0;
  disposed = 0;
  /** Called before every operation but listing. */
  before: (operation: string, call?: Call) => Promise<void> | void = () => undefined;

  async create(): Promise<void> {
    await this.#start('create');
    this.created += 1;
  }

  async save(file: FileHandle, segments: readonly Uint8Array[]): Promise<void> {
    await this.#start('save', file);
    this.files.set(key(file), Buffer.concat(segments));
  }

  async load(file: FileHandle, range?: ByteRange, call?: Call): Promise<Uint8Array<ArrayBuffer>> {
    await this.#start('load', file, call);
    const bytes = this.#find(file);
    const { offset, length } = range ?? { offset: 0, length: bytes.length };
    if (offset + length > bytes.length) throw new EngineError('out-of-range', 'too short');
    return new Uint8Array(bytes.subarray(offset, offset + length));
  }

  async stat(file: FileHandle): Promise<{ readonly size: number }> {
    await this.#start('stat', file);
    return { size: this.#find(file).length };
  }

  async *list(type: FileType): AsyncGenerator<ListedFile> {
    await this.#start('list');
    for (const [path, { length }] of this.files) {
      const [folder, name = ''] = path.split('/');
      if (folder === type) yield { name, size: length };
    }
  }

  async remove(file: FileHandle): Promise<void> {
    await this.#start('remove', file);
    this.files.delete(key(file));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed += 1;
  }

  async #start(operation: string, file?: FileHandle, call?: Call): Promise<void> {
    this.calls.push(file === undefined ? operation : `${operation} ${file.type}`);
    await this.before(operation, call);
  }

  #find(file: FileHandle): Uint8Array {
    const found = this.files.get(key(file));
    if (found === undefined) throw new EngineError('not-found', `${key(file)} is not in /secret/place`);
    return found;
  }
}

export function key({ type, name }: FileHandle): string {
  return `${type}/${name}`;
}
