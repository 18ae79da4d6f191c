/** Snapshot files (restic design document, "Snapshots"). */
import type { Id } from './id.ts';
import type { Timestamp } from './tree/node.ts';

/** Statistics of the backup run that made a snapshot; sizes in bytes. */
export interface SnapshotSummary {
  readonly backupStart: Timestamp;
  readonly backupEnd: Timestamp;
  readonly filesNew: number;
  readonly filesChanged: number;
  readonly filesUnmodified: number;
  readonly dirsNew: number;
  readonly dirsChanged: number;
  readonly dirsUnmodified: number;
  readonly dataBlobs: number;
  readonly treeBlobs: number;
  /** Bytes of new blobs before compression and encryption. */
  readonly dataAdded: number;
  /** The same bytes as stored. */
  readonly dataAddedPacked: number;
  readonly totalFilesProcessed: number;
  readonly totalBytesProcessed: number;
}

export interface Snapshot {
  readonly time: Timestamp;
  readonly parent?: Id | undefined;
  readonly tree: Id;
  readonly paths: readonly string[];
  readonly hostname?: string | undefined;
  readonly username?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly excludes?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly original?: Id | undefined;
  readonly programVersion?: string | undefined;
  readonly summary?: SnapshotSummary | undefined;
  /** Keys this version does not know: key → JSON text. Written back after the known ones. */
  readonly unknown?: Readonly<Record<string, string>> | undefined;
}
