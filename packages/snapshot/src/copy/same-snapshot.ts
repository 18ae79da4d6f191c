/** Which snapshots are the same backup. */
import { compareTimestamps } from '@restic-engine/repo-format';
import type { Call, Id, Snapshot } from '@restic-engine/repo-format';
import { inParallel } from '@restic-engine/repository';
import type { Repository } from '@restic-engine/repository';
import { isDamage, loadSnapshot } from '../find.ts';
import type { SnapshotEntry } from '../find.ts';

/** Do both say the same but for what they came from? This is how restic's `copy` knows what it has copied already. */
export function isSameBackup(a: Snapshot, b: Snapshot): boolean {
  return (
    compareTimestamps(a.time, b.time) === 0 &&
    factsOf(a) === factsOf(b) &&
    haveSame(a.paths, b.paths) &&
    haveSame(a.tags ?? [], b.tags ?? [])
  );
}

/** What must be the same to the letter. */
function factsOf({ tree, hostname = '', username = '', uid = 0, gid = 0, excludes = [] }: Snapshot): string {
  return JSON.stringify([tree, hostname, username, uid, gid, excludes]);
}

/** In any order. */
function haveSame(a: readonly string[], b: readonly string[]): boolean {
  const items = new Set(a);
  return a.length === b.length && b.every((item) => items.has(item));
}

/**
 * The snapshots of a repository by what they came from: each under its own id and that of its original. One that is
 * damaged is left out, since it takes the place of no other.
 */
export async function snapshotsByOrigin(repository: Repository, call: Call = {}): Promise<Map<Id, SnapshotEntry[]>> {
  const found = new Map<Id, SnapshotEntry[]>();
  const add = (origin: Id, snapshot: SnapshotEntry): void => {
    const known = found.get(origin);
    if (known === undefined) found.set(origin, [snapshot]);
    else known.push(snapshot);
  };
  const ids: Id[] = [];
  for await (const { name } of repository.list('snapshot', call)) ids.push(name);
  await inParallel(ids, { places: repository.backend.traits.connections, ...call }, async (id) => {
    try {
      const snapshot = await loadSnapshot(repository, id, call);
      add(id, snapshot);
      if (snapshot.original !== undefined && snapshot.original !== id) add(snapshot.original, snapshot);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  });
  return found;
}
