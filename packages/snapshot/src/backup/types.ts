/** Options and results of a backup. */
import type { FastCdcOptions } from '@restic-engine/chunker';
import type { EngineError, Id, Snapshot, SnapshotSummary, Timestamp } from '@restic-engine/repo-format';
import type { IndexedRepository, RepositoryLock } from '@restic-engine/repository';
import type { GroupBy, SnapshotEntry } from '../find.ts';
import type { Source } from '../source/source.ts';

/** What to back up, and what to say of it in the snapshot. */
export interface BackupOptions {
  /** What to back up: `files(…)`, `objects(…)` or `stream(…)`. */
  readonly source: Source;
  /** @default this machine's */
  readonly hostname?: string | undefined;
  /** @default this process's */
  readonly username?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  /** The time of the snapshot. @default now */
  readonly time?: Date | Timestamp | undefined;
  /** Recorded in the snapshot; excluding is the source's part. */
  readonly excludes?: readonly string[] | undefined;
  /** Id, beginning of an id, or `latest`. @default the latest with the same host and paths */
  readonly parent?: string | undefined;
  /** Read everything again, without a parent. @default false */
  readonly force?: boolean | undefined;
  /** What the automatic parent must have in common. @default ['host', 'paths'] */
  readonly groupBy?: readonly GroupBy[] | undefined;
  /** No snapshot when nothing differs from the parent. @default false */
  readonly skipIfUnchanged?: boolean | undefined;
  /** Do everything but write. @default false */
  readonly dryRun?: boolean | undefined;
  /** A changed inode number alone is no change; implies `ignoreCtime`. @default false */
  readonly ignoreInode?: boolean | undefined;
  /** A changed ctime alone is no change. @default false */
  readonly ignoreCtime?: boolean | undefined;
  /** Written into the snapshot. @default this package and its version */
  readonly programVersion?: string | undefined;
  /** Long files read at once. @default as many as there are workers */
  readonly readConcurrency?: number | undefined;
  /**
   * Cuts with FastCDC, by the optional package `fastcdc-wasm`, instead of restic's Rabin: only for repositories that need
   * not deduplicate with restic, which still reads them. Chunks up to 4 MiB; recorded in the snapshot's program version.
   */
  readonly fastcdc?: FastCdcOptions | undefined;
  /** Wait this long for other locks, in ms. @default 0 */
  readonly retryLockMs?: number | undefined;
  /**
   * A lock of the caller's and an index of the same repository that was loaded under it, for several backups, one after
   * another: the index is loaded once, and has what the earlier ones stored. Both stay the caller's.
   * @default a lock and an index of its own
   */
  readonly under?: HeldIndex | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told once, before anything is read, which snapshot unchanged files are taken from. */
  readonly onParent?: ((parent: SnapshotEntry | undefined) => void) | undefined;
  /** Cumulative; at most ten times a second, and once at the end. */
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined;
  /** Every entry when it is done. */
  readonly onItem?: ((item: BackupItem) => void) | undefined;
  /** Every entry that failed, when it fails; the result has them all. */
  readonly onError?: ((error: ItemError) => void) | undefined;
}

/** An index that nobody makes untrue, because a lock has been held since before it was loaded. */
export interface HeldIndex {
  readonly lock: RepositoryLock;
  readonly indexed: IndexedRepository;
}

/** Numbers since the beginning; sizes in bytes. */
export interface BackupProgress {
  readonly filesDone: number;
  readonly dirsDone: number;
  readonly bytesDone: number;
  /** Known once the source has been counted; a lower bound before. */
  readonly filesTotal?: number | undefined;
  readonly bytesTotal?: number | undefined;
  readonly errors: number;
  /** Paths being read. */
  readonly currentFiles: readonly string[];
}

/** An entry that is done; sizes in bytes. */
export interface BackupItem {
  /** In the snapshot. */
  readonly path: string;
  readonly kind: 'file' | 'dir' | 'other';
  readonly action: 'new' | 'changed' | 'unchanged';
  /** New bytes of content, plain and as stored. */
  readonly dataSize: number;
  readonly dataSizeInRepo: number;
  /** New bytes of trees, plain. */
  readonly metadataSize: number;
  readonly durationMs: number;
}

/** An entry that failed; everything else went on. */
export interface ItemError {
  /** Backing up: where it is on this machine, absolute. Restoring: where it is in the snapshot. */
  readonly path: string;
  readonly during: 'scan' | 'archival' | 'restore';
  readonly error: EngineError;
}

/** What a backup did. Look at `errors`: a backup that could not read everything does not reject. */
export interface BackupResult {
  /** undefined after a dry run, and when `skipIfUnchanged` skipped it. */
  readonly snapshotId: Id | undefined;
  /** As stored, or as it would have been. */
  readonly snapshot: Snapshot;
  readonly parentId: Id | undefined;
  readonly summary: SnapshotSummary;
  /** Entries that are not in the snapshot, or not whole. Empty when all went well. */
  readonly errors: readonly ItemError[];
  /** What was not kept although its entry was, each thing once. */
  readonly problems: readonly string[];
  readonly durationMs: number;
}
