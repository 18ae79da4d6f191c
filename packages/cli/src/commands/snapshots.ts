import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { GroupBy, Repository, SnapshotEntry, SnapshotFilter } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { groupSnapshots, latestOfGroups } from '../grouping.ts';
import type { GroupKey } from '../grouping.ts';
import { withLockedRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { snapshotMembers, snapshotTable } from '../render/snapshot.ts';
import { collect, parseGroupBy, snapshotFilter } from '../values/filter.ts';
import { parseCount } from '../values/size.ts';

interface Request {
  readonly ids: readonly string[];
  readonly filter: SnapshotFilter;
  readonly groupBy: readonly GroupBy[];
  readonly compact: boolean;
  readonly latest: number | undefined;
}

export function defineSnapshots(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return program
    .command('snapshots')
    .description('List the snapshots of the repository.')
    .argument('[snapshotID...]')
    .option('-c, --compact', 'use compact output format')
    .option('-g, --group-by <group>', 'group snapshots by host, paths and/or tags, separated by comma', parseGroupBy)
    .option(
      '-H, --host <host>',
      'only consider snapshots for this host (can be specified multiple times, use empty string to unset default value) (default: $RESTIC_HOST)',
      collect,
    )
    .option('--latest <n>', 'only show the last n snapshots for each host and path', (text) =>
      parseCount(text, Number.MIN_SAFE_INTEGER),
    )
    .option(
      '--path <path>',
      'only consider snapshots including this (absolute) path (can be specified multiple times, snapshots must include all specified paths)',
      collect,
    )
    .option(
      '--tag <tag[,tag,...]>',
      'only consider snapshots including tag[,tag,...] (can be specified multiple times)',
      collect,
    )
    .action(async (ids, options) => {
      const context = start();
      const { groupBy = [], compact = false, latest } = options;
      await snapshots(context, { ids, filter: snapshotFilter(options, context.env), groupBy, compact, latest });
    });
}

async function snapshots(context: Context, request: Request): Promise<void> {
  const { ui } = context;
  const { groupBy } = request;
  await withLockedRepository(context, async (repository, engine, signal) => {
    const found = (await collectSnapshots(context, repository, engine, request, signal)).toSorted((a, b) =>
      engine.compareTimestamps(a.time, b.time),
    );
    // restic shows the paths in this order, whatever their order in the snapshot.
    const sorted = found.map((snapshot) => ({ ...snapshot, paths: snapshot.paths.toSorted() }));
    const count = request.latest ?? 0;
    const shown = count > 0 ? latestOfGroups(sorted, ['host', 'paths'], count) : sorted;
    const groups = groupBy.length > 0 ? groupSnapshots(shown, groupBy) : [{ key: undefined, snapshots: shown }];
    if (ui.json) {
      const arrays = groups.map(({ key, snapshots }) => groupJson(engine, key, snapshots));
      ui.line(groupBy.length > 0 ? `[${arrays.join(',')}]` : (arrays[0] ?? '[]'));
      return;
    }
    for (const { key, snapshots } of groups) {
      if (snapshots.length === 0) continue;
      if (key !== undefined) ui.line(groupTitle(key, groupBy));
      for (const line of snapshotTable(snapshots, request.compact)) ui.line(line);
    }
  });
}

/** All that pass the filter, or those that were named; a name without a snapshot is no failure. */
async function collectSnapshots(
  { ui }: Context,
  repository: Repository,
  engine: Engine,
  { ids, filter }: Request,
  signal: AbortSignal,
): Promise<SnapshotEntry[]> {
  if (ids.length === 0) return Array.fromAsync(engine.listSnapshots(repository, { filter, signal }));
  const found = new Map<string, SnapshotEntry>();
  for (const id of ids) {
    try {
      const { snapshot } = await engine.findSnapshot(repository, id, { filter, signal });
      found.set(snapshot.id, snapshot);
    } catch (error) {
      if (!engine.EngineError.is(error, 'not-found') && !engine.EngineError.is(error, 'ambiguous')) throw error;
      ui.warn(`Ignoring "${id}": ${error.message}`);
    }
  }
  return [...found.values()];
}

function groupJson(engine: Engine, key: GroupKey | undefined, snapshots: readonly SnapshotEntry[]): string {
  const objects = snapshots.map((snapshot) => `{${snapshotMembers(engine, snapshot)}}`);
  const array = `[${objects.join(',')}]`;
  return key === undefined ? array : `{"group_key":${JSON.stringify(key)},"snapshots":${array}}`;
}

/** `snapshots for (host [vm], paths [/srv]):` */
function groupTitle({ hostname, paths, tags }: GroupKey, by: readonly GroupBy[]): string {
  const parts: string[] = [];
  if (by.includes('host')) parts.push(`host [${hostname}]`);
  if (tags !== null) parts.push(`tags [${tags.join(', ')}]`);
  if (paths !== null) parts.push(`paths [${paths.join(', ')}]`);
  return `snapshots for (${parts.join(', ')}):`;
}
