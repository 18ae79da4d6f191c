import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { GroupBy, GroupKey, SnapshotEntry, SnapshotFilter } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { chooseSnapshots } from '../named.ts';
import { withLockedRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { groupTitle, shownIn, snapshotArray, snapshotTable } from '../render/snapshot.ts';
import { addFilterFlags, groupByFlag, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';
import { parseCount } from '../values/size.ts';

interface Request {
  readonly ids: readonly string[];
  readonly filter: SnapshotFilter;
  readonly groupBy: readonly GroupBy[];
  readonly compact: boolean;
  readonly latest: number | undefined;
}

interface Flags extends FilterFlags {
  readonly compact?: true | undefined;
  readonly groupBy?: readonly GroupBy[] | undefined;
  readonly latest?: number | undefined;
  readonly last?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'List all', words: '-r /srv/backups snapshots' },
    {
      purpose: 'Show the latest of each host and path, in short',
      words: '-r /srv/backups snapshots --latest 1 --compact',
    },
    { purpose: 'Group those with a tag by host', words: '-r /srv/backups snapshots --tag nightly --group-by host' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineSnapshots(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('snapshots'), MANUAL)
    .description('List the snapshots of the repository.')
    .argument('[snapshotID...]')
    .option('-c, --compact', 'use compact output format')
    .addOption(groupByFlag())
    .addOption(new Option('--last', 'the old name of --latest 1').hideHelp())
    .option('--latest <n>', 'only show the last n snapshots for each host and path', (text) =>
      parseCount(text, Number.MIN_SAFE_INTEGER),
    );
  addFilterFlags(command);
  return command.action(async (ids, flags: Flags) => {
    const context = start();
    const { groupBy = [], compact = false, last } = flags;
    if (last) context.ui.warn('Flag --last has been deprecated, use --latest 1');
    const latest = flags.latest ?? (last ? 1 : undefined);
    await snapshots(context, { ids, filter: snapshotFilter(flags, context.env), groupBy, compact, latest });
  });
}

async function snapshots(context: Context, request: Request): Promise<void> {
  const { ui } = context;
  const { ids, filter, groupBy } = request;
  await withLockedRepository(context, async (repository, engine, signal) => {
    const found = await chooseSnapshots(context, repository, engine, { ids, filter, signal });
    const sorted = found
      .map((snapshot) => shownIn(engine, snapshot, groupBy))
      .toSorted((a, b) => engine.compareTimestamps(a.time, b.time));
    const count = Math.max(0, request.latest ?? 0);
    const groups =
      groupBy.length > 0
        ? // The last ones of each group; all of them from -0 on.
          engine
            .groupSnapshots(sorted, groupBy)
            .map(({ key, snapshots }) => ({ key, snapshots: snapshots.slice(-count) }))
        : [{ key: undefined, snapshots: count > 0 ? latestOfGroups(engine, sorted, count) : sorted }];
    if (ui.json) {
      const arrays = groups.map(({ key, snapshots }) => groupJson(engine, key, snapshots));
      ui.line(groupBy.length > 0 ? `[${arrays.join(',')}]` : (arrays[0] ?? '[]'));
      return;
    }
    for (const { key, snapshots } of groups) {
      if (snapshots.length === 0) continue;
      const { compact } = request;
      const { screen } = ui;
      const table = snapshotTable(snapshots, { compact, zone: engine.nodePlatform().zone, screen });
      ui.print([...(key === undefined ? [] : groupTitle(key, screen)), ...table]);
    }
  });
}

/** The last `count` snapshots of each host and set of paths. `snapshots` are sorted by time. */
function latestOfGroups(engine: Engine, snapshots: readonly SnapshotEntry[], count: number): SnapshotEntry[] {
  const groups = engine.groupSnapshots(snapshots, ['host', 'paths']);
  const kept = new Set(groups.flatMap((group) => group.snapshots.slice(-count)));
  return snapshots.filter((snapshot) => kept.has(snapshot));
}

function groupJson(engine: Engine, key: GroupKey | undefined, snapshots: readonly SnapshotEntry[]): string {
  const array = snapshotArray(engine, snapshots);
  return key === undefined ? array : `{"group_key":${JSON.stringify(key)},"snapshots":${array}}`;
}
