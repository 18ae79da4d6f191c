import type { CommandUnknownOpts } from '@commander-js/extra-typings';
import type { Id, IndexedRepository, SnapshotEntry } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal } from '../failure.ts';
import { LinePrinter } from '../line-printer.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { chooseSnapshots } from '../named.ts';
import { loadIndex, withLockedRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { idJson, idText, nodeJson, nodeText } from '../render/find.ts';
import type { FindPrinter } from '../render/find.ts';
import { addFilterFlags, collect, snapshotFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';
import { parseSearchTime } from '../values/search-time.ts';

interface Flags extends FilterFlags {
  readonly oldest?: string | undefined;
  readonly newest?: string | undefined;
  readonly snapshot?: readonly string[] | undefined;
  readonly blob?: true | undefined;
  readonly tree?: true | undefined;
  readonly pack?: true | undefined;
  readonly showPackId?: true | undefined;
  readonly ignoreCase?: true | undefined;
  readonly reverse?: true | undefined;
  readonly long?: true | undefined;
  readonly humanReadable?: true | undefined;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'Find files by name in the snapshots of a host', words: "-r /srv/backups find '*.pdf' --host web1" },
    {
      purpose: 'Find files of a folder that were changed in 2024',
      words: "-r /srv/backups find --oldest 2024-01-01 --newest 2025-01-01 '/home/ann/*'",
    },
    { purpose: 'Find out which files a pack belongs to', words: '-r /srv/backups find --pack 32615a07' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineFind(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('find'), MANUAL)
    .description(
      'Search for files and directories by name or path, in all snapshots or those that pass a filter, the youngest first; or for the places where blobs, trees and packs are used.',
    )
    .argument('[PATTERN...]')
    .option('-O, --oldest <oldest>', 'oldest modification date/time', parseSearchTime)
    .option('-N, --newest <newest>', 'newest modification date/time', parseSearchTime)
    .option('-s, --snapshot <id>', 'snapshot id to search in (can be given multiple times)', collect)
    .option('--blob', 'pattern is a blob-ID')
    .option('--tree', 'pattern is a tree-ID')
    .option('--pack', 'pattern is a pack-ID')
    .option('--show-pack-id', 'display the pack-ID the blobs belong to (with --blob or --tree)')
    .option('-i, --ignore-case', 'ignore case for pattern')
    .option('-R, --reverse', 'reverse sort order oldest to newest')
    .option('-l, --long', 'use a long listing format showing size and mode')
    .option('--human-readable', 'print sizes in human readable format');
  addFilterFlags(command);
  return command.action((patterns: readonly string[], flags: Flags) => find(start(), patterns, flags));
}

async function find(context: Context, patterns: readonly string[], flags: Flags): Promise<void> {
  const { ui } = context;
  const { oldest, newest, blob, tree, pack, reverse } = flags;
  if (patterns.length === 0) throw new Fatal('wrong number of arguments');
  if (oldest !== undefined && newest !== undefined && oldest > newest) {
    throw new Fatal('--oldest must specify a time before --newest');
  }
  const kinds = [blob, tree, pack].filter((flag) => flag === true).length;
  if (kinds > 1) throw new Fatal('cannot have several ID types');
  await withLockedRepository(context, async (repository, engine, signal) => {
    const indexed = await loadIndex(context, repository, signal);
    const wanted = kinds === 0 ? undefined : wantedIds(indexed, patterns, flags);
    const filter = snapshotFilter(flags, context.env);
    const { snapshot: ids = [] } = flags;
    const chosen = await chooseSnapshots(context, repository, engine, { ids, filter, signal });
    const oldestFirst = chosen.toSorted((a, b) => engine.compareTimestamps(a.time, b.time) || (a.id < b.id ? -1 : 1));
    const snapshots = reverse ? oldestFirst : oldestFirst.toReversed();
    const search: Search = { engine, indexed, snapshots, signal, output: new LinePrinter(ui, engine) };
    if (wanted === undefined) {
      const { ignoreCase } = flags;
      const { long = false, humanReadable = false } = flags;
      const printer = ui.json
        ? nodeJson()
        : nodeText({ long, humanReadable, quiet: ui.verbosity === 0, screen: ui.screen });
      const found = (each: SnapshotEntry) =>
        engine.searchNodes(indexed, each.tree, { patterns, ignoreCase, oldest, newest, signal });
      await printAll(search, found, printer);
      return;
    }
    await printAll(
      search,
      (each) => engine.searchBlobs(indexed, each.tree, { ...wanted, signal }),
      ui.json ? idJson() : idText(ui.screen),
    );
    if (flags.showPackId) for (const line of packLines(indexed, wanted)) ui.line(line);
  });
}

interface Search {
  readonly engine: Engine;
  readonly indexed: IndexedRepository;
  readonly snapshots: readonly SnapshotEntry[];
  readonly signal: AbortSignal;
  readonly output: LinePrinter;
}

async function printAll<Found>(
  { snapshots, output }: Search,
  find: (snapshot: SnapshotEntry) => AsyncIterable<Found>,
  printer: FindPrinter<Found>,
): Promise<void> {
  for (const snapshot of snapshots) {
    for await (const found of find(snapshot)) await output.text(printer.found(snapshot, found));
  }
  await output.text(printer.end());
  await output.flush();
}

interface WantedIds {
  readonly data: ReadonlySet<string>;
  readonly trees: ReadonlySet<string>;
}

function wantedIds(indexed: IndexedRepository, patterns: readonly string[], { blob, tree }: Flags): WantedIds {
  if (blob) return { data: new Set(patterns), trees: new Set() };
  if (tree) return { data: new Set(), trees: new Set(patterns) };
  const missing = new Set(patterns);
  const data = new Set<Id>();
  const trees = new Set<Id>();
  const names = new Set(patterns);
  for (const { pack, type, id } of indexed.table.entries()) {
    const forms = [pack, pack.slice(0, 8)].filter((form) => names.has(form));
    if (forms.length === 0) continue;
    for (const form of forms) missing.delete(form);
    (type === 'data' ? data : trees).add(id);
  }
  if (missing.size > 0) throw new Fatal(`unable to find pack(s): [${[...missing].toSorted().join(' ')}]`);
  return { data, trees };
}

function packLines(indexed: IndexedRepository, { data, trees }: WantedIds): string[] {
  const lines: string[] = [];
  const names = { data, tree: trees };
  for (const { pack, type, id, offset, length, uncompressedLength } of indexed.table.entries()) {
    if (!names[type].has(id) && !names[type].has(id.slice(0, 8))) continue;
    const size = uncompressedLength === 0 ? '' : `, uncompressed length ${uncompressedLength}`;
    lines.push(
      `Object belongs to pack ${pack}`,
      ` ... Pack ${pack.slice(0, 8)}: <Blob (${type}) ${id.slice(0, 8)}, offset ${offset}, length ${length}${size}>`,
    );
  }
  return lines;
}
