/** The contract between the engine and a place that keeps repository files. */

/** The kinds of file a repository consists of; `data` files are packs. */
export type FileType = 'config' | 'key' | 'lock' | 'snapshot' | 'index' | 'data';

/** Names one file. `name` is 64 lower-case hex digits, or '' for `config`. */
export interface FileHandle {
  readonly type: FileType;
  readonly name: string;
  /** A hint for caches, no part of the name: this pack holds trees, which are read again and again. */
  readonly metadata?: boolean;
}

/** What a store promises. Callers and the conformance suite read the same record. */
export interface BackendTraits {
  /** Requests worth running at once; callers keep to it. */
  readonly connections: number;
  /** `save` over an existing name replaces it in one step. */
  readonly atomicReplace: boolean;
  /** A listing started after `save` resolved shows the file. */
  readonly listAfterWrite: boolean;
  /** `remove` works; append-only stores refuse it with `denied`. */
  readonly canRemove: boolean;
}

/** What every call to a store may be given. */
export interface Call {
  /** Ends the call with `aborted`. */
  readonly signal?: AbortSignal | undefined;
  /** For `load`: what an earlier one gave is damaged. Ask the store itself, not a copy of what it holds. */
  readonly fresh?: boolean;
}

/** A part of a file, in bytes. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A file found by a listing; `size` in bytes. */
export interface ListedFile {
  readonly name: string;
  readonly size: number;
}

/**
 * A place that keeps repository files.
 *
 * Implementations do not validate arguments, retry, cache or limit concurrency: the caller has done the first, and
 * wrappers do the others. Every method rejects with an `EngineError`: `not-found`, `out-of-range`, `already-exists`,
 * `denied`, `no-space`, `io`, `aborted` once the signal fires, and from a server also `unauthorized`, `untrusted`,
 * `clock-skew`, `throttled`, or `corrupt` for an answer that breaks its protocol.
 */
export interface Backend extends AsyncDisposable {
  /** For people; never contains a secret. */
  readonly location: string;
  readonly traits: BackendTraits;
  /** Makes the place ready for a new repository (folders, bucket). Doing it twice is harmless. */
  create(call?: Call): Promise<void>;
  /**
   * Stores the concatenation of `segments` as one file, whole or not at all. Resolves when a crash can no longer lose
   * it. The segments stay the caller's and do not change meanwhile, so a wrapper may send them again. Once `save` has
   * settled their memory may be gone: a backend that keeps bytes copies them.
   */
  save(file: FileHandle, segments: readonly Uint8Array[], call?: Call): Promise<void>;
  /**
   * Reads a range, or the whole file. The result is the caller's to keep or transfer: it has an `ArrayBuffer` of its
   * own. A file that ends before the range does rejects with `out-of-range`, never with a short result. Reading whole
   * what is far larger than any sound file of its type rejects with `too-large`, before memory is taken for it.
   */
  load(file: FileHandle, range?: ByteRange, call?: Call): Promise<Uint8Array<ArrayBuffer>>;
  /** The size of a file in bytes. */
  stat(file: FileHandle, call?: Call): Promise<{ readonly size: number }>;
  /** Every file of a type once, in any order; names that are not ids are left out. A missing folder is an empty one. */
  list(type: FileType, call?: Call): AsyncIterable<ListedFile>;
  /** Removing what is not there is success. */
  remove(file: FileHandle, call?: Call): Promise<void>;
  /**
   * Takes back the folders, or the bucket, that `create` of this object made, as far as they are empty. Absent where
   * there is no way to remove them.
   */
  removeFolders?(call?: Call): Promise<void>;
}

/** A backend that has copies of some of a store's files nearby. */
export interface CachedBackend extends Backend {
  /**
   * Drops copies of packs for which `isNeeded` says no, but for those made at `since` (ms since the epoch) or later,
   * which it cannot know of. Never rejects.
   */
  keepPacks(isNeeded: (pack: string) => boolean, since: number): Promise<void>;
}

/** A place for copies of the files of many repositories. */
export interface RepositoryCache {
  /**
   * The store of one repository behind its copies. `id` is the one in the config, 64 hex digits. Disposing of the result
   * disposes of `store`. Failures of the cache are never failures of the result.
   */
  inFrontOf(store: Backend, id: string): CachedBackend;
}
