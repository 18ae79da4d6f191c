/** restic's local cache: copies of index files, snapshots and packs of trees in a folder of this machine. */
import { hash } from 'node:crypto';
import { EngineError, SEAL_OVERHEAD, throwIfAborted } from '@restic-engine/repo-format';
import type {
  Backend,
  BackendTraits,
  ByteRange,
  CachedBackend,
  Call,
  Code,
  FileHandle,
  FileType,
  ListedFile,
  RepositoryCache,
} from '@restic-engine/repo-format';
import { filePath } from '../layout.ts';
import { onFile } from '../local/errors.ts';
import { Copies, COPIED_TYPES } from './copies.ts';
import type { PendingCopy } from './copies.ts';
import { defaultCacheFolder } from './folder.ts';
import { SharedWork } from './shared-work.ts';

export interface DiskCacheOptions {
  /** The folder of all caches; it is made when it is missing. @default restic's, see {@link defaultCacheFolder} */
  readonly folder?: string;
  /** Told once for each repository when its copies cannot be read or written. All goes on without them. */
  readonly onUnusable?: (error: EngineError) => void;
}

/**
 * Keeps copies in restic's own cache folder and format, together with restic if it runs on the same machine.
 *
 * Index files and snapshots are copied when they are read or written, packs of trees when any part of them is read, or
 * when they are written. Data, keys, locks and the config never are. A copy is not believed before it is checked: whole
 * files against the hash that is their name; of packs, whoever opens the blobs sees damage, and says so with
 * `Call.fresh`. What is damaged is dropped and fetched again.
 *
 * @example
 * ```ts
 * const repository = await openRepository({ backend, password, cache: diskCache() });
 * ```
 */
export function diskCache(options: DiskCacheOptions = {}): RepositoryCache {
  const { folder = defaultCacheFolder(), onUnusable = () => undefined } = options;
  return { inFrontOf: (store, id) => new DiskCachedBackend(store, new Copies(folder, id), onUnusable) };
}

/** What can be done with the copies. */
type State = 'writable' | 'readable' | 'unusable';

/** A second request for a part is worth a try; after any other failure it would be one for the same error. */
const WHOLE_REFUSED: ReadonlySet<Code> = new Set<Code>(['too-large', 'out-of-range', 'corrupt']);

class DiskCachedBackend implements CachedBackend {
  readonly location: string;
  readonly traits: BackendTraits;
  readonly #store: Backend;
  readonly #copies: Copies;
  readonly #onUnusable: (error: EngineError) => void;
  readonly #packs = new SharedWork<Uint8Array>();
  /** Files of which a damaged copy was dropped. */
  readonly #dropped = new Set<string>();
  /** Files of which no copy is made any more in this run: copies of them break, or the store has them damaged. */
  readonly #notCopied = new Set<string>();
  #state: Promise<State> | undefined;
  #disposal: Promise<void> | undefined;

  constructor(store: Backend, copies: Copies, onUnusable: (error: EngineError) => void) {
    this.#store = store;
    this.#copies = copies;
    this.#onUnusable = onUnusable;
    this.location = store.location;
    this.traits = store.traits;
  }

  create(call?: Call): Promise<void> {
    return this.#store.create(call);
  }

  async save(file: FileHandle, segments: readonly Uint8Array[], call?: Call): Promise<void> {
    if (!isCopied(file)) return this.#store.save(file, segments, call);
    // While the store takes its time.
    const writing = this.#write(file, segments);
    let saved = false;
    try {
      await this.#store.save(file, segments, call);
      saved = true;
    } finally {
      // The segments may be gone when this settles.
      await this.#settle(await writing, saved);
    }
  }

  async load(file: FileHandle, range?: ByteRange, call: Call = {}): Promise<Uint8Array<ArrayBuffer>> {
    if (!isCopied(file) || (file.type === 'data') !== (range !== undefined)) return this.#store.load(file, range, call);
    throwIfAborted(call.signal);
    if (call.fresh === true) await this.#forget(file);
    else {
      const copy = await this.#read(file, range, call.signal);
      if (copy !== undefined) return copy;
    }
    return range === undefined ? this.#loadFile(file, call) : this.#loadPart(file, range, call);
  }

  async stat(file: FileHandle, call?: Call): Promise<{ readonly size: number }> {
    try {
      return await this.#store.stat(file, call);
    } catch (error) {
      if (EngineError.is(error, 'not-found')) await this.#drop(file);
      throw error;
    }
  }

  async *list(type: FileType, call?: Call): AsyncGenerator<ListedFile> {
    const startedMs = Date.now();
    if (!COPIED_TYPES.includes(type)) {
      yield* this.#store.list(type, call);
      return;
    }
    const copied = this.#names(type);
    for await (const file of this.#store.list(type, call)) {
      (await copied).delete(file.name);
      yield file;
    }
    await this.#dropAll(type, await copied, startedMs);
  }

  async remove(file: FileHandle, call?: Call): Promise<void> {
    await this.#store.remove(file, call);
    await this.#drop(file);
  }

  async keepPacks(isNeeded: (pack: string) => boolean, since: number): Promise<void> {
    const names = await this.#names('data');
    await this.#dropAll(
      'data',
      [...names].filter((name) => !isNeeded(name)),
      since,
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#disposal ??= Promise.resolve(this.#store[Symbol.asyncDispose]());
    return this.#disposal;
  }

  /** A whole file from the store, of which a copy is made. */
  async #loadFile(file: FileHandle, call: Call): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = await this.#store.load(file, undefined, call);
    await this.#copy(file, bytes);
    return bytes;
  }

  /** A part of a pack that is copied first: all of it is read sooner or later, and one request costs least. */
  async #loadPart(file: FileHandle, range: ByteRange, call: Call): Promise<Uint8Array<ArrayBuffer>> {
    const path = filePath(file);
    if (call.fresh === true || this.#notCopied.has(path) || (await this.#opened()) !== 'writable') {
      return this.#store.load(file, range, call);
    }
    let pack: Uint8Array;
    try {
      pack = await this.#packs.join(path, call.signal, (signal) => this.#loadPack(file, signal));
    } catch (error) {
      if (!EngineError.is(error) || !WHOLE_REFUSED.has(error.code)) throw error;
      this.#notCopied.add(path);
      return this.#store.load(file, range, call);
    }
    const { offset, length } = range;
    // What is wrong with the range, the store says best.
    if (offset + length > pack.length) return this.#store.load(file, range, call);
    return new Uint8Array(pack.subarray(offset, offset + length));
  }

  /** Somebody else may have made the copy since this caller looked for it. */
  async #loadPack(file: FileHandle, signal: AbortSignal): Promise<Uint8Array> {
    return (await this.#read(file, undefined, signal)) ?? this.#loadFile(file, { signal });
  }

  async #read(
    file: FileHandle,
    range: ByteRange | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if ((await this.#opened()) === 'unusable') return undefined;
    try {
      const bytes = await onFile('read', 'cache', () => this.#copies.read(file, range, signal));
      if (bytes === undefined || range !== undefined || matchesName(file, bytes)) return bytes;
    } catch (error) {
      throwIfAborted(signal);
      if (!EngineError.is(error)) throw error;
    }
    await this.#forget(file);
    return undefined;
  }

  /** Makes a copy of what the store gave, unless it is damaged. */
  async #copy(file: FileHandle, bytes: Uint8Array): Promise<void> {
    if (!matchesName(file, bytes)) this.#notCopied.add(filePath(file));
    else await this.#settle(await this.#write(file, [bytes]), true);
  }

  async #write(file: FileHandle, segments: readonly Uint8Array[]): Promise<PendingCopy | undefined> {
    const bytes = segments.reduce((sum, segment) => sum + segment.length, 0);
    // No sealed file is that short, and restic takes such a copy for damaged.
    if (bytes <= SEAL_OVERHEAD || this.#notCopied.has(filePath(file))) return undefined;
    if ((await this.#opened()) !== 'writable') return undefined;
    return this.#attempt(() => this.#copies.write(file, segments), undefined);
  }

  async #settle(copy: PendingCopy | undefined, saved: boolean): Promise<void> {
    if (copy !== undefined) await this.#attempt(() => (saved ? copy.commit() : copy.discard()), undefined);
  }

  /** Drops a copy that is damaged. The second time in one run, something breaks all copies of it. */
  async #forget(file: FileHandle): Promise<void> {
    const path = filePath(file);
    if (this.#dropped.has(path)) this.#notCopied.add(path);
    this.#dropped.add(path);
    await this.#drop(file);
  }

  async #drop(file: FileHandle): Promise<void> {
    if (!COPIED_TYPES.includes(file.type) || (await this.#opened()) !== 'writable') return;
    await this.#attempt(() => this.#copies.drop(file), undefined);
  }

  async #names(type: FileType): Promise<Set<string>> {
    if ((await this.#opened()) !== 'writable') return new Set();
    return this.#attempt(() => this.#copies.names(type), new Set<string>());
  }

  async #dropAll(type: FileType, names: Iterable<string>, madeBeforeMs: number): Promise<void> {
    for (const name of names) {
      const file = { type, name };
      if (await this.#attempt(() => this.#copies.isOlder(file, madeBeforeMs), false)) await this.#drop(file);
    }
  }

  /** Opens the cache at its first use. */
  #opened(): Promise<State> {
    this.#state ??= this.#open();
    return this.#state;
  }

  async #open(): Promise<State> {
    let state: State = 'unusable';
    try {
      await onFile('open', 'cache', async () => {
        if (await this.#copies.exists()) state = 'readable';
        await this.#copies.prepare();
      });
      return 'writable';
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      this.#onUnusable(error);
      return state;
    }
  }

  /** Work on the copies whose failure is not the caller's: after the first, no more is changed. */
  async #attempt<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
    try {
      return await onFile('use', 'cache', work);
    } catch (error) {
      if (!EngineError.is(error)) throw error;
      if ((await this.#opened()) === 'writable') {
        this.#state = Promise.resolve('readable');
        this.#onUnusable(error);
      }
      return otherwise;
    }
  }
}

function isCopied({ type, metadata = false }: FileHandle): boolean {
  return type === 'index' || type === 'snapshot' || (type === 'data' && metadata);
}

function matchesName({ name }: FileHandle, bytes: Uint8Array): boolean {
  return hash('sha256', bytes) === name;
}
