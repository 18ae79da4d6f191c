/**
 * Stores contents through the worker pool: short ones in batches, long ones window by window. The next window of a
 * content starts as soon as the cuts of the one before are known, on whatever worker is free.
 */
import { EngineError, throwIfAborted } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import type { Pool, Upload } from '@restic-engine/repository';
import { closeFile, openRegular } from '../source/fs/read.ts';
import { ByteBudget } from './byte-budget.ts';
import { storeBuffers, storeFiles, storeWindow, WINDOW_BYTES } from './store-tasks.ts';
import type {
  FileOutcome,
  StoreContext,
  StoredBatch,
  StoredContent,
  StoreWindowInput,
  WindowScan,
} from './store-tasks.ts';
import { untilAborted } from './until-aborted.ts';
import { windows } from './windows.ts';

/** What is wrong with one file and with nothing else: it could not be read. Nothing of it has been claimed. */
class Unreadable extends Error {
  readonly error: EngineError;

  constructor(error: EngineError) {
    super(error.message, { cause: error });
    this.error = error;
  }
}

/** Contents up to this length go in batches. */
const SHORT_BYTES = 512 * 1024;
const BATCH_BYTES = 2 << 20;
const BATCH_ITEMS = 64;

export class ContentStore {
  readonly #upload: Upload;
  readonly #pool: Pool;
  readonly #context: StoreContext;
  readonly #budget: ByteBudget;
  /** Long files open at once. */
  readonly #longFiles: ByteBudget;
  readonly #paths: Batcher<string, FileOutcome>;
  readonly #buffers: Batcher<Uint8Array, StoredContent>;

  constructor(upload: Upload, pool: Pool, context: StoreContext, readConcurrency: number = pool.size) {
    this.#upload = upload;
    this.#pool = pool;
    this.#context = context;
    // One more than there are workers: while a window waits to hear what is new, its worker reads another.
    this.#budget = new ByteBudget((pool.size + 1) * WINDOW_BYTES);
    this.#longFiles = new ByteBudget(readConcurrency);
    this.#paths = new Batcher((paths, bytes) => this.#storePaths(paths, bytes));
    this.#buffers = new Batcher((buffers, bytes) => this.#storeBuffers(buffers, bytes));
  }

  /** Resolves when there is room for more: whoever feeds the store waits here now and then. */
  async room(): Promise<void> {
    if (this.#longFiles.isSpent) await this.#longFiles.take(0);
    if (this.#budget.isSpent) await this.#budget.take(0);
  }

  /**
   * Stores the file at `path`, about `size` bytes. A file that cannot be read is a result; a rejection means that the
   * upload has failed. `onRead` is told of bytes of long contents while they are being read.
   */
  async storeFile(
    path: string,
    size: number,
    onRead: (bytes: number) => void,
  ): Promise<StoredContent | { readonly failed: EngineError }> {
    try {
      if (size > SHORT_BYTES) return await this.#storeLongFile(path, onRead);
      const outcome = await this.#paths.add(path, size);
      if ('failed' in outcome) {
        return { failed: new EngineError(outcome.failed.code, outcome.failed.message, { path }) };
      }
      return 'tooLong' in outcome ? await this.#storeLongFile(path, onRead) : outcome;
    } catch (error) {
      if (error instanceof Unreadable) return { failed: error.error };
      throw error;
    }
  }

  /** Stores bytes, or pieces that make up one content. Bytes must not change before this resolves. */
  async storeContent(
    content: Uint8Array | AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>,
    onRead: (bytes: number) => void,
  ): Promise<StoredContent> {
    if (content instanceof Uint8Array && content.length <= SHORT_BYTES)
      return this.#buffers.add(content, content.length);
    const given = content instanceof Uint8Array ? [content] : untilAborted(content, this.#upload.signal);
    const pieces = windows(given, WINDOW_BYTES);
    try {
      return await this.#storeWindows(async (scan) => {
        const { value } = await pieces.next(scan?.rest ?? new Uint8Array(0));
        if (value === undefined) throw new TypeError('a window was asked for after the last one');
        return { from: value, transfer: [value.bytes.buffer] };
      }, onRead);
    } finally {
      await pieces.return();
    }
  }

  /** Sends off what waits for company. Call it when nothing more comes. */
  flush(): void {
    this.#paths.flush();
    this.#buffers.flush();
  }

  async #storeLongFile(path: string, onRead: (bytes: number) => void): Promise<StoredContent> {
    await this.#longFiles.take(1);
    try {
      throwIfAborted(this.#upload.signal);
      const fd = open(path);
      let position = 0;
      try {
        return await this.#storeWindows(async (scan) => {
          position += scan?.length ?? 0;
          return { from: { fd, position }, transfer: [] };
        }, onRead);
      } finally {
        closeFile(fd);
      }
    } finally {
      this.#longFiles.give(1);
    }
  }

  /** Stores windows until the last; resolves or rejects when none is under way any more. */
  async #storeWindows(
    next: (
      scan: WindowScan | undefined,
    ) => Promise<{ from: StoreWindowInput['from']; transfer: readonly ArrayBuffer[] }>,
    onRead: (bytes: number) => void,
  ): Promise<StoredContent> {
    const parts: Promise<StoredContent>[] = [];
    try {
      for (let scan: WindowScan | undefined; scan === undefined || !scan.final; ) {
        await this.#budget.take(WINDOW_BYTES);
        const window = await next(scan).catch((error: unknown) => {
          this.#budget.give(WINDOW_BYTES);
          throw error;
        });
        const started = this.#startWindow(window.from, window.transfer);
        parts.push(started.stored);
        scan = await started.scan;
        onRead(scan.length);
        if (scan.length === 0 && !scan.final) throw new EngineError('io', 'a window of content held no whole chunk');
      }
      return joined(await Promise.all(parts));
    } finally {
      await Promise.allSettled(parts);
    }
  }

  #startWindow(
    from: StoreWindowInput['from'],
    transfer: readonly ArrayBuffer[],
  ): { scan: Promise<WindowScan>; stored: Promise<StoredContent> } {
    const { promise: scan, resolve, reject } = Promise.withResolvers<WindowScan>();
    let asked = false;
    const input: StoreWindowInput = { ...this.#context, from };
    const run = this.#pool.run(storeWindow, input, {
      transfer,
      signal: this.#upload.signal,
      onAsk: (question) => {
        asked = true;
        resolve(question);
        return this.#upload.claim('data', question.ids);
      },
    });
    const stored = this.#collect(run, WINDOW_BYTES).then(
      ([content]) => {
        if (content === undefined) throw new TypeError('a window came back without its content');
        return content;
      },
      (error: unknown) => {
        throw !asked && EngineError.is(error) && error.code !== 'aborted' ? new Unreadable(error) : error;
      },
    );
    stored.catch(reject);
    return { scan, stored };
  }

  async #storePaths(paths: readonly string[], bytes: number): Promise<readonly FileOutcome[]> {
    await this.#budget.take(bytes);
    const options = {
      signal: this.#upload.signal,
      onAsk: ({ ids }: { ids: readonly Id[] }) => this.#upload.claim('data', ids),
    };
    return this.#collect(this.#pool.run(storeFiles, { ...this.#context, paths, bytes }, options), bytes);
  }

  async #storeBuffers(contents: readonly Uint8Array[], bytes: number): Promise<readonly StoredContent[]> {
    await this.#budget.take(bytes);
    // Copies of their own: a view on a large buffer would take all of it along to the worker.
    const buffers = contents.map((content) => new Uint8Array(content));
    const options = {
      signal: this.#upload.signal,
      transfer: buffers.map((buffer) => buffer.buffer),
      onAsk: ({ ids }: { ids: readonly Id[] }) => this.#upload.claim('data', ids),
    };
    return this.#collect(this.#pool.run(storeBuffers, { ...this.#context, buffers }, options), bytes);
  }

  /** Packs what came back sealed; only then is there room for more. */
  async #collect<T>(run: Promise<StoredBatch<T>>, bytes: number): Promise<readonly T[]> {
    try {
      const { outcomes, sealed } = await run;
      await this.#upload.add(sealed);
      return outcomes;
    } finally {
      this.#budget.give(bytes);
    }
  }
}

/** Gathers items until a message is worth sending. */
class Batcher<Item, Outcome> {
  readonly #send: (items: readonly Item[], bytes: number) => Promise<readonly Outcome[]>;
  #items: Item[] = [];
  #bytes = 0;
  #sent: PromiseWithResolvers<readonly Outcome[]> = Promise.withResolvers();

  constructor(send: (items: readonly Item[], bytes: number) => Promise<readonly Outcome[]>) {
    this.#send = send;
  }

  async add(item: Item, bytes: number): Promise<Outcome> {
    const index = this.#items.push(item) - 1;
    this.#bytes += bytes;
    const { promise } = this.#sent;
    if (this.#items.length >= BATCH_ITEMS || this.#bytes >= BATCH_BYTES) this.flush();
    const outcome = (await promise)[index];
    if (outcome === undefined) throw new TypeError('a batch came back without one of its items');
    return outcome;
  }

  flush(): void {
    if (this.#items.length === 0) return;
    const [items, bytes, sent] = [this.#items, this.#bytes, this.#sent];
    this.#items = [];
    this.#bytes = 0;
    this.#sent = Promise.withResolvers();
    this.#send(items, bytes).then(sent.resolve, sent.reject);
  }
}

function joined(parts: readonly StoredContent[]): StoredContent {
  return {
    ids: parts.flatMap((part) => part.ids),
    size: parts.reduce((sum, part) => sum + part.size, 0),
    added: parts.reduce((sum, part) => sum + part.added, 0),
    stored: parts.reduce((sum, part) => sum + part.stored, 0),
  };
}

function open(path: string): number {
  try {
    return openRegular(path).fd;
  } catch (error) {
    throw EngineError.is(error) ? new Unreadable(error) : error;
  }
}
