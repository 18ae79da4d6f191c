import { posix } from 'node:path';
import { Option, type CommandUnknownOpts } from '@commander-js/extra-typings';
import type { SnapshotFilter } from 'restic-engine';
import type { Context, Start } from '../context.ts';
import { Fatal, InvalidValue } from '../failure.ts';
import { listNodes, SORT_MODES, sortNodes } from '../listing.ts';
import type { ListedNode, SortMode } from '../listing.ts';
import { documented, REPOSITORY_EXITS } from '../manual/manual.ts';
import type { Manual } from '../manual/manual.ts';
import { loadIndex, withLockedRepository } from '../open.ts';
import type { Engine } from '../open.ts';
import { ncduPrinter } from '../render/ncdu.ts';
import { jsonPrinter, textPrinter } from '../render/node.ts';
import type { NodePrinter } from '../render/node.ts';
import { addFilterFlags, latestFilter } from '../values/filter.ts';
import type { FilterFlags } from '../values/filter.ts';

interface Request {
  readonly snapshot: string;
  /** As they were given. */
  readonly folders: readonly string[];
  readonly cleaned: readonly string[];
  readonly filter: SnapshotFilter;
  readonly recursive: boolean;
  readonly long: boolean;
  readonly humanReadable: boolean;
  readonly ncdu: boolean;
  readonly sort: SortMode;
  readonly reverse: boolean;
}

/** Characters gathered before they are written. */
const FLUSH = 1 << 16;

interface Flags extends FilterFlags {
  readonly humanReadable?: true | undefined;
  readonly long?: true | undefined;
  readonly ncdu?: true | undefined;
  readonly recursive?: true | undefined;
  readonly reverse?: true | undefined;
  readonly sort: SortMode;
}

const MANUAL: Manual = {
  examples: [
    { purpose: 'List a folder of the latest snapshot', words: '-r /srv/backups ls latest /home/ann' },
    { purpose: 'Show the largest files first', words: '-r /srv/backups ls latest --long --sort size' },
    { purpose: 'Look at sizes with ncdu', words: '-r /srv/backups ls latest --ncdu' },
  ],
  exits: REPOSITORY_EXITS,
};

export function defineLs(program: CommandUnknownOpts, start: Start): CommandUnknownOpts {
  const command = documented(program.command('ls'), MANUAL)
    .description(
      'List files and directories in a snapshot: all of them, or those in the given directories, which are absolute paths in the snapshot. "latest" stands for the latest snapshot, and "ID:folder" for a part of one.',
    )
    .argument('[snapshotID]')
    .argument('[dir...]')
    .option('--human-readable', 'print sizes in human readable format')
    .option('-l, --long', 'use a long listing format showing size and mode')
    .option('--ncdu', "output NCDU export format (pipe into 'ncdu -f -')")
    .option('--recursive', 'include files in subfolders of the listed directories')
    .option('--reverse', 'reverse sorted output')
    .addOption(
      new Option('-s, --sort <mode>', 'sort output by this, time is mtime')
        .choices([...SORT_MODES, 'mtime'])
        .argParser(parseSort)
        .default('name'),
    );
  addFilterFlags(command, { latest: true });
  return command.action(async (snapshot, folders, flags: Flags) => {
    const context = start();
    if (snapshot === undefined)
      throw new Fatal("no snapshot ID specified, specify snapshot ID or use special ID 'latest'");
    if (folders.some((folder) => !folder.startsWith('/'))) {
      throw new Fatal("All path filters must be absolute, starting with a forward slash '/'");
    }
    const { recursive = false, long = false, humanReadable = false, ncdu = false, sort, reverse = false } = flags;
    if (ncdu && context.ui.json) throw new Fatal('only either --json or --ncdu can be specified');
    if (ncdu && (sort !== 'name' || reverse)) throw new Fatal('--sort and --reverse cannot be combined with --ncdu');
    const filter = latestFilter(flags, context.env);
    const cleaned = folders.map((folder) => posix.resolve(folder));
    await ls(context, { snapshot, folders, cleaned, filter, recursive, long, humanReadable, ncdu, sort, reverse });
  });
}

async function ls(context: Context, request: Request): Promise<void> {
  const { ui } = context;
  const { cleaned, recursive, ncdu, sort, reverse } = request;
  await withLockedRepository(context, async (repository, engine, signal) => {
    const { snapshot, subfolder } = await engine.findSnapshot(repository, request.snapshot, {
      filter: request.filter,
      signal,
    });
    const indexed = await loadIndex(context, repository, signal);
    const tree = await engine.findTree(indexed, snapshot.tree, subfolder, { signal });
    const printer = printerFor(context, engine, request);
    let text = printer.begin({ ...snapshot, tree });
    const nodes = listNodes(engine, indexed, tree, { folders: cleaned, recursive, parents: ncdu, signal });
    for await (const entry of sort === 'name' && !reverse ? nodes : await sorted(engine, nodes, sort, reverse)) {
      text += printer.node(entry);
      if (text.length < FLUSH) continue;
      await ui.bytes(engine.pathToBytes(text));
      text = '';
    }
    await ui.bytes(engine.pathToBytes(text + printer.end()));
  });
}

async function sorted(
  engine: Engine,
  nodes: AsyncIterable<ListedNode>,
  sort: SortMode,
  reverse: boolean,
): Promise<ListedNode[]> {
  return sortNodes(engine, await Array.fromAsync(nodes), sort, reverse);
}

function printerFor({ ui }: Context, engine: Engine, request: Request): NodePrinter {
  if (ui.json) return jsonPrinter(engine);
  return request.ncdu ? ncduPrinter(engine) : textPrinter({ ...request, quiet: ui.verbosity === 0, screen: ui.screen });
}

function parseSort(text: string): SortMode {
  const mode = SORT_MODES.find((name) => name === (text === 'mtime' ? 'time' : text));
  if (mode === undefined) {
    throw new InvalidValue(`invalid sort mode "${text}", must be one of (name|size|time=mtime|atime|ctime|extension)`);
  }
  return mode;
}
