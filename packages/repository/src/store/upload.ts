/**
 * Storing blobs: a scope in which blobs may be claimed, sealed and packed. When it ends well, everything is durable and
 * named by index files; when it fails, what it claimed is forgotten, and nothing refers to what it stored unless its
 * caller wants to keep that.
 *
 * Order of durability: packs, then the index that names them (restic design document, "Index Files").
 */
import { abortedError, encodeIndex, EngineError, entryBytes, SEAL_OVERHEAD, sha256 } from '@restic-engine/repo-format';
import type { BlobType, Id, SealedBlob } from '@restic-engine/repo-format';
import type { IndexedRepository } from '../indexed.ts';
import { Indexer } from './indexer.ts';
import type { StoredPack } from './indexer.ts';
import { PackerPair } from './packer.ts';
import type { Packer } from './packer.ts';
import { sealBlobs } from './seal-task.ts';
import { Slots } from './slots.ts';

export interface UploadOptions {
  /** Do everything but write to the store. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Write an index file at the latest for packs of so many bytes: what it names survives the death of the process. */
  readonly indexEveryBytes?: number | undefined;
  /**
   * Asked when the upload fails: may packs that are stored be named by the index all the same? Only who still holds the
   * lock may say so. Otherwise nothing refers to them. @default no
   */
  readonly keepOnFailure?: (() => boolean) | undefined;
}

/** What an upload has added; sizes in bytes. */
export interface UploadTotals {
  readonly dataBlobs: number;
  readonly treeBlobs: number;
  /** Before compression and encryption. */
  readonly added: number;
  /** As sealed, with the entries in pack headers. */
  readonly stored: number;
}

/** Writing an index of what a failed upload has stored may take this long. */
const KEEP_LIMIT_MS = 30_000;

/** Plain bytes of small blobs gathered before they go to a worker together. */
const BATCH_BYTES = 1 << 20;
const BATCH_BLOBS = 128;

/** Plain blobs waiting for company. */
class PlainBatch {
  #blobs: { id: Id; plain: Uint8Array }[] = [];
  #bytes = 0;

  get isFull(): boolean {
    return this.#blobs.length >= BATCH_BLOBS || this.#bytes >= BATCH_BYTES;
  }

  add(id: Id, plain: Uint8Array): void {
    this.#blobs.push({ id, plain });
    this.#bytes += plain.length;
  }

  /** The blobs in one buffer of their own: views on others' buffers would take those along to the worker. */
  take(): { plain: Uint8Array<ArrayBuffer>; parts: { id: Id; length: number }[] } {
    const plain = new Uint8Array(this.#bytes);
    let offset = 0;
    const parts = this.#blobs.map((blob) => {
      plain.set(blob.plain, offset);
      offset += blob.plain.length;
      return { id: blob.id, length: blob.plain.length };
    });
    this.#blobs = [];
    this.#bytes = 0;
    return { plain, parts };
  }
}

export class Upload {
  readonly #indexed: IndexedRepository;
  readonly #dryRun: boolean;
  readonly #keepOnFailure: () => boolean;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  /** Ends the writing of index files. */
  #indexSignal: AbortSignal;
  readonly #packers: Record<BlobType, PackerPair>;
  readonly #indexer: Indexer;
  readonly #sealing: Background;
  readonly #storing: Background;
  readonly #totals = { dataBlobs: 0, treeBlobs: 0, added: 0, stored: 0 };
  readonly #batches: Record<BlobType, PlainBatch> = { data: new PlainBatch(), tree: new PlainBatch() };
  #failure: Error | undefined;
  #ended = false;

  constructor(indexed: IndexedRepository, options: UploadOptions) {
    const { repository } = indexed;
    this.#indexed = indexed;
    this.#dryRun = options.dryRun ?? false;
    this.#keepOnFailure = options.keepOnFailure ?? (() => false);
    this.#signal =
      options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal]);
    this.#indexSignal = this.#signal;
    const chance = coin();
    this.#packers = {
      data: new PackerPair(repository.packSize, chance),
      tree: new PackerPair(repository.packSize, chance),
    };
    this.#indexer = new Indexer(
      (packs) => this.#saveIndex(packs),
      () => repository.platform.now().seconds,
      options.indexEveryBytes,
    );
    this.#sealing = background(repository.pool.size * 2);
    this.#storing = background(repository.backend.traits.connections);
  }

  get totals(): UploadTotals {
    return this.#totals;
  }

  /** Fires when the scope has failed or its caller gave up: pass it to what feeds this upload. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** Which of `ids` are new? Each new one is claimed: whoever asked must {@link add} it. */
  claim(type: BlobType, ids: readonly Id[]): boolean[] {
    this.#check();
    return ids.map((id) => this.#indexed.table.claim(type, id));
  }

  /** Puts claimed and sealed blobs into packs. Resolves when there is room for more; the bytes stay with the upload. */
  async add(blobs: readonly SealedBlob[]): Promise<void> {
    this.#check();
    for (const blob of blobs) {
      this.#count(blob);
      const full = this.#packers[blob.type].add(blob);
      if (full !== undefined) await this.#store(full);
    }
  }

  /**
   * Stores a blob unless it is known. Resolves with its id as soon as that is known and there is room for more; the
   * bytes must not change before the scope ends. Rejects with `RangeError` for an empty blob, which no pack can hold.
   */
  async save(type: BlobType, plain: Uint8Array): Promise<{ id: Id; isNew: boolean }> {
    this.#check();
    if (plain.length === 0) throw new RangeError('an empty blob cannot be stored');
    const id = sha256(plain);
    if (!this.#indexed.table.claim(type, id)) return { id, isNew: false };
    const batch = this.#batches[type];
    batch.add(id, plain);
    if (batch.isFull) await this.#sealBatch(type);
    return { id, isNew: true };
  }

  /** Makes everything durable: packs, then the index. */
  async finish(): Promise<void> {
    await this.#sealBatch('tree');
    await this.#sealBatch('data');
    await this.#settled(this.#sealing);
    for (const type of ['tree', 'data'] as const) {
      for (const packer of this.#packers[type].takeRest()) await this.#store(packer);
    }
    await this.#settled(this.#storing);
    await this.#indexer.flush();
    this.#check();
    const { pending } = this.#indexed.table;
    // Whatever refers to such a blob would refer to nothing.
    if (!this.#dryRun && pending > 0) throw new Error(`${pending} blobs were claimed and never stored`);
    this.#ended = true;
  }

  /**
   * Stops what is under way and waits for it, so that nothing of it goes on behind the caller's back. Resolves with
   * what went wrong first: what `reason` says may only be a consequence of it.
   */
  async abandon(reason: unknown): Promise<Error> {
    const failure = this.#fail(reason);
    await Promise.allSettled([...this.#sealing.running, ...this.#storing.running]);
    if (this.#keepOnFailure()) {
      this.#indexSignal = AbortSignal.timeout(KEEP_LIMIT_MS);
      // What failed first is what counts.
      await this.#indexer.flush().catch(() => undefined);
    }
    return failure;
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#signal.aborted) throw abortedError(this.#signal);
    if (this.#ended) throw new TypeError('this upload has ended');
  }

  #fail(reason: unknown): Error {
    this.#failure ??= reason instanceof Error ? reason : new Error(String(reason));
    this.#stop.abort(reason);
    return this.#failure;
  }

  #count(blob: SealedBlob): void {
    this.#totals[blob.type === 'data' ? 'dataBlobs' : 'treeBlobs'] += 1;
    this.#totals.added += blob.uncompressedLength || blob.bytes.length - SEAL_OVERHEAD;
    this.#totals.stored += blob.bytes.length + entryBytes(blob);
  }

  async #sealBatch(type: BlobType): Promise<void> {
    const { plain, parts } = this.#batches[type].take();
    if (parts.length === 0) return;
    const { pool, codecSpec } = this.#indexed.repository;
    await this.#start(this.#sealing, async () => {
      const input = { codec: codecSpec, type, plain, parts };
      await this.add(await pool.run(sealBlobs, input, { signal: this.#signal, transfer: [plain.buffer] }));
    });
  }

  #store(packer: Packer): Promise<void> {
    return this.#start(this.#storing, () => this.#storePack(packer));
  }

  async #storePack(packer: Packer): Promise<void> {
    const { repository } = this.#indexed;
    const pack = packer.finish(repository.sealer);
    if (!this.#dryRun) {
      const file = { type: 'data', name: pack.id, metadata: pack.entries[0]?.type === 'tree' } as const;
      await repository.backend.save(file, pack.segments, { signal: this.#signal });
    }
    for (const segment of pack.segments) release(segment);
    await this.#indexer.add({ id: pack.id, blobs: pack.entries });
  }

  /** Blobs count as stored from here on. Before, should this upload fail, whoever needs them stores them again. */
  async #saveIndex(packs: readonly StoredPack[]): Promise<void> {
    if (this.#dryRun) return;
    const { repository, table, indexFiles } = this.#indexed;
    indexFiles.add(await repository.saveFile('index', encodeIndex(packs), { signal: this.#indexSignal }));
    for (const pack of packs) {
      const number = table.addPack(pack.id);
      for (const { type, id, offset, length, uncompressedLength } of pack.blobs) {
        table.settle(type, id, number, offset, length, uncompressedLength);
      }
    }
  }

  /** Starts `work` when there is room for it. Its failure is that of the upload. */
  async #start({ slots, running }: Background, work: () => Promise<void>): Promise<void> {
    await slots.take();
    try {
      this.#check();
    } catch (error) {
      slots.give();
      throw error;
    }
    const started: Promise<void> = work()
      .catch((error: unknown) => void this.#fail(error))
      .finally(() => {
        running.delete(started);
        slots.give();
      });
    running.add(started);
  }

  async #settled({ running }: Background): Promise<void> {
    while (running.size > 0) await Promise.all(running);
    this.#check();
  }
}

/** Shorter ones share buffers with others, or are not worth it. */
const RELEASE_BYTES = 256 * 1024;

/** Gives the memory of a stored blob back at once: the collector would let hundreds of megabytes of them pile up. */
function release({ buffer, length }: Uint8Array): void {
  if (length >= RELEASE_BYTES && length === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Work under way, and the room there is for it. */
interface Background {
  readonly slots: Slots;
  readonly running: Set<Promise<void>>;
}

function background(places: number): Background {
  return { slots: new Slots(places), running: new Set() };
}

/** Unpredictable yes or no, 256 at a time. */
function coin(): () => boolean {
  const bytes = new Uint8Array(256);
  let next = bytes.length;
  return () => {
    if (next === bytes.length) {
      globalThis.crypto.getRandomValues(bytes);
      next = 0;
    }
    return ((bytes[next++] ?? 0) & 1) === 1;
  };
}

/**
 * Runs `body` with an open upload. When its promise resolves, all it stored is durable and indexed before
 * `withUpload` resolves. When anything fails, the first failure rejects it, whatever `body` made of that. One upload at
 * a time for one loaded index (`bad-request` otherwise).
 */
export async function withUpload<T>(
  indexed: IndexedRepository,
  options: UploadOptions,
  body: (upload: Upload) => Promise<T>,
): Promise<T> {
  if (indexed.uploading) throw new EngineError('bad-request', 'an upload is already open on this index');
  indexed.uploading = true;
  const upload = new Upload(indexed, options);
  try {
    const result = await body(upload);
    await upload.finish();
    return result;
  } catch (error) {
    throw await upload.abandon(error);
  } finally {
    // What a failed upload claimed, and all that a dry run did.
    indexed.table.dropPending();
    indexed.uploading = false;
  }
}
