/** Snapshots that a person names. */
import type { FindSnapshotOptions, Repository, SnapshotEntry } from 'restic-engine';
import type { Context } from './context.ts';
import type { Engine } from './open.ts';

export interface NamedOptions extends FindSnapshotOptions {
  readonly ids: readonly string[];
}

/** Each snapshot once, in the order of the names; a name without a snapshot is no failure, but told. */
export async function findNamed(
  { ui }: Context,
  repository: Repository,
  engine: Engine,
  { ids, ...options }: NamedOptions,
): Promise<SnapshotEntry[]> {
  const found = new Map<string, SnapshotEntry>();
  for (const id of ids) {
    try {
      const { snapshot } = await engine.findSnapshot(repository, id, options);
      found.set(snapshot.id, snapshot);
    } catch (error) {
      if (!engine.EngineError.is(error, 'not-found') && !engine.EngineError.is(error, 'ambiguous')) throw error;
      ui.warn(`Ignoring "${id}": ${error.message}`);
    }
  }
  return [...found.values()];
}
