/** Removing snapshot files. */
import { EngineError } from '@restic-engine/repo-format';
import type { Id } from '@restic-engine/repo-format';
import type { Repository } from '@restic-engine/repository';

/** A snapshot that should have been changed or removed and is still there. */
export interface SnapshotFailure {
  readonly id: Id;
  readonly error: EngineError;
}

/** Removes snapshots, as many at once as the store has connections. What cannot be removed stays in the result. */
export async function removeSnapshots(
  repository: Repository,
  ids: readonly Id[],
  signal: AbortSignal,
): Promise<{ removed: Id[]; failed: SnapshotFailure[] }> {
  const removed: Id[] = [];
  const failed: SnapshotFailure[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let id = ids[next++]; id !== undefined; id = ids[next++]) {
      try {
        await repository.removeFile('snapshot', id, { signal });
        removed.push(id);
      } catch (error) {
        if (!EngineError.is(error) || error.code === 'aborted') throw error;
        failed.push({ id, error });
      }
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: repository.backend.traits.connections }, worker));
  for (const result of workers) if (result.status === 'rejected') throw result.reason;
  return { removed, failed };
}
