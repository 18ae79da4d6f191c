/** Snapshots that a person names. */
import type { Code, FindSnapshotOptions, Repository, SnapshotEntry } from 'restic-engine';
import type { Context } from './context.ts';
import type { Engine } from './open.ts';
import type { Ui } from './ui.ts';
import { withAbsolutePaths } from './values/filter.ts';

export interface NamedOptions extends FindSnapshotOptions {
  readonly ids: readonly string[];
}

/** What keeps a snapshot from being found or read. */
const IGNORED: ReadonlySet<Code> = new Set<Code>(['not-found', 'ambiguous', 'corrupt', 'too-large', 'unsupported']);

/** A snapshot is left out, and the others are not worse for it. */
export function tellIgnored(ui: Ui, id: string, error: Error): void {
  ui.warn(`Ignoring "${id}": ${error.message}`);
}

/** Each snapshot once, in the order of the names; a name without a snapshot, or of one that is damaged, is no failure, but told. */
export async function findNamed(
  { ui }: Context,
  repository: Repository,
  engine: Engine,
  { ids, ...options }: NamedOptions,
): Promise<SnapshotEntry[]> {
  const found = new Map<string, SnapshotEntry>();
  const forLatest = { ...options, filter: options.filter && withAbsolutePaths(options.filter) };
  for (const id of ids) {
    try {
      const { snapshot } = await engine.findSnapshot(repository, id, forLatest);
      found.set(snapshot.id, snapshot);
    } catch (error) {
      if (!engine.EngineError.is(error) || !IGNORED.has(error.code)) throw error;
      const isNone = id === 'latest' && error.code === 'not-found';
      tellIgnored(
        ui,
        id,
        isNone ? new Error(`no snapshot matched given filter (${describeFilter(forLatest)})`) : error,
      );
    }
  }
  const { hosts = [], tags = [], paths = [] } = options.filter ?? {};
  if (!ids.includes('latest') && hosts.length + tags.length + paths.length > 0) {
    ui.warn('Ignoring "filters": explicit snapshot ids are given');
  }
  return [...found.values()];
}

function describeFilter({ filter: { hosts = [], tags = [], paths = [] } = {} }: FindSnapshotOptions): string {
  const lists = tags.map((list) => `[${list.join(', ')}]`);
  return `Paths:[${paths.join(' ')}] Tags:[${lists.join(' ')}] Hosts:[${hosts.join(' ')}]`;
}

/** Those that are named, or all that pass the filter. */
export async function chooseSnapshots(
  context: Context,
  repository: Repository,
  engine: Engine,
  options: NamedOptions,
): Promise<SnapshotEntry[]> {
  if (options.ids.length > 0) return findNamed(context, repository, engine, options);
  const { filter, signal } = options;
  const onBroken = (id: string, error: Error): void => tellIgnored(context.ui, id, error);
  return Array.fromAsync(engine.listSnapshots(repository, { filter, onBroken, signal }));
}
