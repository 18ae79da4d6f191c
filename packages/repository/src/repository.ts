/** An open repository: its files, opened and sealed with its key. */
import { openUnpacked, sealUnpacked, sha256, EngineError } from '@restic-engine/repo-format';
import type {
  Backend,
  CachedBackend,
  Call,
  Config,
  FileType,
  Id,
  ListedFile,
  MasterKey,
  Sealer,
} from '@restic-engine/repo-format';
import type { CodecSpec } from './codec.ts';
import type { IndexedRepository } from './indexed.ts';
import { loadIndex } from './index/load-index.ts';
import type { LoadIndexOptions } from './index/load-index.ts';
import { acquireLock } from './lock.ts';
import type { LockOptions, RepositoryLock } from './lock.ts';
import type { Platform } from './platform.ts';
import type { Pool } from './pool/pool.ts';

/** Files that are sealed as a whole and named by the hash of what is stored. */
export type UnpackedType = 'snapshot' | 'index' | 'lock';

/** What a repository is made of; `openRepository` puts it together. */
export interface RepositoryParts {
  readonly backend: Backend;
  /** The same, when it has copies nearby. */
  readonly cached: CachedBackend | undefined;
  readonly config: Config;
  readonly key: MasterKey;
  readonly keyId: Id | undefined;
  readonly sealer: Sealer;
  readonly codecSpec: CodecSpec;
  readonly packSize: number;
  readonly platform: Platform;
  readonly pool: Pool;
}

/**
 * An open repository: its files can be listed and read, locks taken. Disposing ends its worker threads and makes what
 * is under way fail with `aborted`; the backend stays the caller's.
 */
export class Repository implements AsyncDisposable {
  /**
   * The key file that opened the repository, or took the place of that one since; undefined when a raw master key
   * opened it.
   */
  keyId: Id | undefined;
  readonly #parts: RepositoryParts;
  #tidying: Promise<void> | undefined;

  constructor(parts: RepositoryParts) {
    this.#parts = parts;
    this.keyId = parts.keyId;
  }

  get backend(): Backend {
    return this.#parts.backend;
  }

  get config(): Config {
    return this.#parts.config;
  }

  get platform(): Platform {
    return this.#parts.platform;
  }

  /** Bytes at which a pack is closed. */
  get packSize(): number {
    return this.#parts.packSize;
  }

  /** Worker threads of this repository. */
  get pool(): Pool {
    return this.#parts.pool;
  }

  /** Seals and opens on this thread. */
  get sealer(): Sealer {
    return this.#parts.sealer;
  }

  /** For tasks that seal or open blobs in a worker. Holds the key: a secret. */
  get codecSpec(): CodecSpec {
    return this.#parts.codecSpec;
  }

  /** The key of everything in this repository: a secret. */
  get masterKey(): MasterKey {
    return this.#parts.key;
  }

  /** The files of a type, in any order; `size` in bytes as stored. */
  list(type: FileType, call: Call = {}): AsyncIterable<ListedFile> {
    return this.backend.list(type, call);
  }

  /**
   * Reads, verifies and opens a file. Rejects with `not-found`, or `corrupt` when its bytes do not match its name even
   * at the second attempt.
   */
  async loadFile(type: UnpackedType, id: Id, call: Call = {}): Promise<Uint8Array> {
    const file = { type, name: id };
    let bytes = await this.backend.load(file, undefined, call);
    if (sha256(bytes) !== id) {
      bytes = await this.backend.load(file, undefined, { ...call, fresh: true });
      if (sha256(bytes) !== id) {
        throw new EngineError('corrupt', `${type} ${id} does not match its name`, { type, id, size: bytes.length });
      }
    }
    return openUnpacked(bytes, this.config.version, this.sealer);
  }

  /** Seals and stores a file; resolves with its name once it is durable. */
  async saveFile(type: UnpackedType, json: Uint8Array, call: Call = {}): Promise<Id> {
    const bytes = sealUnpacked(json, this.config.version, this.sealer);
    const id = sha256(bytes);
    await this.backend.save({ type, name: id }, [bytes], call);
    return id;
  }

  async removeFile(type: UnpackedType, id: Id, call: Call = {}): Promise<void> {
    await this.backend.remove({ type, name: id }, call);
  }

  /** Locks the repository as restic does; see `acquireLock`. Rejects with `locked`. */
  lock(options: LockOptions = {}): Promise<RepositoryLock> {
    return acquireLock(this, options);
  }

  /**
   * Loads every index file. A snapshot that is listed before this call has all its blobs in the result; one that is
   * written later may not.
   */
  async loadIndex(options: LoadIndexOptions = {}): Promise<IndexedRepository> {
    const startedMs = Date.now();
    const indexed = await loadIndex(this, options);
    // Nobody need wait for it but who ends everything.
    const earlier = this.#tidying;
    const keeping = this.#parts.cached?.keepPacks((pack) => indexed.table.hasPack(pack), startedMs);
    this.#tidying = keeping?.then(() => earlier);
    return indexed;
  }

  /** Ends the worker threads. The backend stays open: it is the caller's. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.pool[Symbol.asyncDispose]();
    await this.#tidying;
  }
}
