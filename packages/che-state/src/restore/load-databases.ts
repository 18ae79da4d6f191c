/** Putting dumps back into the databases that Che has made anew, and Che's servers onto them. */
import type { Installation } from '../collect/installation.ts';
import { deploymentOf } from '../database/che-databases.ts';
import type { StateDatabase } from '../database/database.ts';
import type { SavedDatabase } from '../state/state.ts';
import { restartDeployment } from './ready.ts';
import type { RestoreWork } from './work.ts';

/** What became of a dump. */
export interface RestoredDatabase {
  readonly name: string;
  readonly loaded: boolean;
  /** Why not. */
  readonly reason: string | undefined;
}

/** Loads the dumps that were not loaded before, one after the other. Rejects as loading does. */
export async function loadDatabases(
  work: RestoreWork,
  databases: readonly StateDatabase[],
): Promise<readonly RestoredDatabase[]> {
  const { plan, state, record, progress, signal } = work;
  const restored: RestoredDatabase[] = [];
  for (const { name } of plan.databases) {
    const saved = state.databases.find((one) => one.name === name);
    const database = databases.find((one) => one.name === name);
    if (saved === undefined || database === undefined || database.by === 'skipped') {
      const reason = database === undefined ? 'Che has no such database' : 'it is an external one';
      restored.push({ name, loaded: false, reason });
      continue;
    }
    const { loaded } = record.current();
    if (!loaded.includes(name)) {
      await database.load(counted(work, saved), { signal });
      await record.update({ loaded: [...loaded, name] });
    }
    progress.databasesDone++;
    work.tell();
    restored.push({ name, loaded: true, reason: undefined });
  }
  return restored;
}

async function* counted(work: RestoreWork, saved: SavedDatabase): AsyncGenerator<Uint8Array> {
  for await (const piece of work.state.readDatabase(saved, { signal: work.signal })) {
    work.progress.bytesDone += piece.length;
    work.tell();
    yield piece;
  }
}

/** Servers hold what they have read: those of loaded databases are started anew. Rejects with `timeout`. */
export async function restartServers(work: RestoreWork, installation: Installation): Promise<void> {
  const { loaded, startedAt: at } = work.record.current();
  const { namespace } = installation;
  for (const name of new Set(loaded.map((database) => deploymentOf(installation, database)))) {
    await restartDeployment(work.cluster, { namespace, name, at }, work);
  }
}
