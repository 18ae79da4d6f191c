/** What a restore is asked to do, and what it tells. */
import type { EngineError } from '@restic-engine/repo-format';

/** Which existing items a restore replaces (restic manual, "Restoring in-place"). */
export type Overwrite = 'always' | 'if-changed' | 'if-newer' | 'never';

/** Something that could not be restored; the rest goes on. `path` is the one in the snapshot, with a leading `/`. */
export interface RestoreItemError {
  readonly path: string;
  readonly during: 'restore';
  readonly error: EngineError;
}

/** Cumulative numbers; sizes in bytes. Totals grow while the snapshot is being read. */
export interface RestoreProgress {
  /** Items finished: files, directories and all others. */
  readonly filesDone: number;
  readonly filesTotal: number;
  /** Existing files that were left alone or had their content already. */
  readonly filesSkipped: number;
  readonly filesDeleted: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly bytesSkipped: number;
}

/** One item that is done. `size` in bytes, 0 for everything but files. */
export interface RestoredItem {
  readonly path: string;
  /** `other`: links, devices and named pipes. */
  readonly action: 'restored' | 'updated' | 'unchanged' | 'deleted' | 'other';
  readonly size: number;
}

/** What restoring a tree can be told. Patterns are those of `compilePatterns`, matched against paths in the snapshot. */
export interface RestoreTreeOptions {
  /** The directory to restore into; made if missing. It may be a link to a directory, nothing below it is followed. */
  readonly target: string;
  readonly include?: readonly string[] | undefined;
  /** As `include`, without regard to case. */
  readonly iinclude?: readonly string[] | undefined;
  readonly exclude?: readonly string[] | undefined;
  /** As `exclude`, without regard to case. */
  readonly iexclude?: readonly string[] | undefined;
  /** Patterns for names of extended attributes; all are restored without them. */
  readonly includeXattr?: readonly string[] | undefined;
  readonly excludeXattr?: readonly string[] | undefined;
  /** Default `always`. */
  readonly overwrite?: Overwrite | undefined;
  /** Remove what the snapshot does not have, within the selection. */
  readonly delete?: boolean | undefined;
  /** Leave holes where new files hold zeros. */
  readonly sparse?: boolean | undefined;
  /** Read every restored file again and compare it with the snapshot. */
  readonly verify?: boolean | undefined;
  /** Touch nothing, count the same. */
  readonly dryRun?: boolean | undefined;
  /** Find owners by name instead of by number. */
  readonly ownershipByName?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called at most ten times a second, and at the end. */
  onProgress?(progress: RestoreProgress): void;
  onItem?(item: RestoredItem): void;
  /** Errors are in the result as well. */
  onError?(error: RestoreItemError): void;
}

/** What came of it; sizes in bytes. */
export interface RestoreTreeResult {
  readonly filesRestored: number;
  readonly filesSkipped: number;
  readonly filesDeleted: number;
  readonly filesTotal: number;
  readonly bytesRestored: number;
  readonly bytesSkipped: number;
  readonly bytesTotal: number;
  /** Files read again; only with `verify`. */
  readonly verified?: number | undefined;
  readonly errors: readonly RestoreItemError[];
  /** What the target cannot hold, such as extended attributes. */
  readonly problems: readonly string[];
  readonly durationMs: number;
}
