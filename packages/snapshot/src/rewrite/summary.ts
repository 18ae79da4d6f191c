/** Summaries of snapshots that were made anew. */
import { EngineError } from '@restic-engine/repo-format';
import type { SnapshotSummary } from '@restic-engine/repo-format';
import type { RewrittenTree } from './rewrite-tree.ts';

/** What Go writes for a time that nobody set. */
const NO_TIME = '0001-01-01T00:00:00Z';

const NO_SUMMARY: SnapshotSummary = {
  backupStart: NO_TIME,
  backupEnd: NO_TIME,
  filesNew: 0,
  filesChanged: 0,
  filesUnmodified: 0,
  dirsNew: 0,
  dirsChanged: 0,
  dirsUnmodified: 0,
  dataBlobs: 0,
  treeBlobs: 0,
  dataAdded: 0,
  dataAddedPacked: 0,
  totalFilesProcessed: 0,
  totalBytesProcessed: 0,
};

/** The same summary where it says so already. */
export function countInto(summary: SnapshotSummary | undefined, { files, bytes }: RewrittenTree): SnapshotSummary {
  if (!Number.isSafeInteger(bytes)) throw new EngineError('corrupt', 'sizes of files that cannot be', { bytes });
  if (summary?.totalFilesProcessed === files && summary.totalBytesProcessed === bytes) return summary;
  return { ...(summary ?? NO_SUMMARY), totalFilesProcessed: files, totalBytesProcessed: bytes };
}
