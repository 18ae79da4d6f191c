import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { CacheEntry } from 'restic-engine';
import { cacheFolder, removeCaches } from '../cache.ts';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { documented, LOCAL_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import type { Engine } from '../open.ts';
import { formatBytes } from '../render/bytes.ts';
import type { Column } from '../render/table.ts';
import { parseCount } from '../values/size.ts';

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
const SIZE_WIDTH = 11;

interface Flags {
  readonly cleanup?: true | undefined;
  readonly maxAge: number;
  readonly size: boolean;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'List the caches', words: 'cache' },
    { purpose: 'Remove those that were not used for two weeks', words: 'cache --cleanup --max-age 14' },
  ],
  exits: LOCAL_EXITS,
};

export function defineCache(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  return documented(program.command('cache'), MANUAL)
    .description('List the local caches of repositories, or remove those that were not used for long.')
    .option('--cleanup', 'remove old cache directories')
    .option(
      '--max-age <days>',
      'max age in days for cache directories to be considered old',
      (text) => parseCount(text),
      DEFAULT_DAYS,
    )
    .option('--no-size', 'do not output the size of the cache directories')
    .action(async (flags) => {
      const context = start();
      if (!context.globals.cache.wanted) throw new Fatal('Refusing to do anything, the cache is disabled');
      const engine = await import('restic-engine');
      const folder = cacheFolder(engine, context);
      if (flags.cleanup === true || context.globals.cache.cleanUp) await cleanUp(context, engine, folder, flags);
      else await list(context, engine, folder, flags);
    });
}

async function cleanUp({ ui }: Context, engine: Engine, folder: string, { maxAge }: Flags): Promise<void> {
  const old = engine.oldCaches(await engine.listCaches(folder), maxAge * DAY_MS);
  if (old.length === 0) {
    ui.say('no old cache dirs found');
    return;
  }
  ui.say(`remove ${old.length} old cache directories`);
  await removeCaches(ui, engine, folder, old);
}

interface Row extends CacheEntry {
  readonly old: boolean;
  /** Bytes. */
  readonly size: number;
}

async function list({ ui }: Context, engine: Engine, folder: string, { maxAge, size }: Flags): Promise<void> {
  const nowMs = Date.now();
  const caches = await engine.listCaches(folder);
  if (caches.length === 0) {
    ui.line(`no cache dirs found, basedir is ${folder}`);
    return;
  }
  const old = new Set(engine.oldCaches(caches, maxAge * DAY_MS, nowMs));
  const rows: Row[] = [];
  for (const cache of caches) {
    rows.push({ ...cache, old: old.has(cache), size: size ? await engine.cacheSize(folder, cache) : 0 });
  }
  ui.table(columns(nowMs, size), rows);
  ui.line(`${caches.length} cache dirs in ${folder}`);
}

function columns(nowMs: number, size: boolean): Column<Row>[] {
  const shown: Column<Row>[] = [
    { header: 'Repo ID', cell: ({ name }) => (name.startsWith('restic-') ? name : name.slice(0, 10)) },
    {
      header: 'Last Used',
      cell: ({ usedMs }) => `${Math.max(0, Math.floor((nowMs - usedMs) / DAY_MS))} days ago`,
    },
    { header: 'Old', cell: ({ old }) => (old ? 'yes' : '') },
  ];
  if (size) shown.push({ header: 'Size', cell: (row) => formatBytes(row.size).padStart(SIZE_WIDTH) });
  return shown;
}
